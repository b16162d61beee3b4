"""Every experiment conforms: padding, lifting, purity, presets, figures and claims, by `phenom_jax.testing`."""

import dataclasses
import importlib
import pkgutil

import pytest
from toy import train_in

import experiments
from phenom_jax.experiment import Schedule
from phenom_jax.sweep.settings import Settings
from phenom_jax.testing import check_experiment, check_runs

NAMES = sorted(module.name for module in pkgutil.iter_modules(experiments.__path__))
NOT_HERE = {"deep_double_descent": ("nakkiran_cnn", "nakkiran_resnet18")}  # CIFAR-10 is no package
FEW_PAIRS = {"modulus": "7", "width": "20", "train_fraction": "0.6", "batching": "minibatch", "batch_size": "16"}
SHORT = {"length": "8", "symbols": "4", "probe_block": "3", "probe_repeats": "2", "layers": "1"}
SETTINGS = {  # other code than that of the debug presets
    "deep_double_descent": [{"subset": "seed", "label_noise": "0.3", "samples": "30", "batch_size": "8"}],
    "deep_linear": [{"data": "gaussian", "noise": "0.2", "samples": "6", "inputs": "4", "width": "5"}],
    "early_stopping": [
        {"features": "3", "samples": "5", "inputs": "gaussian", "step_sizes": "aligned"},
        {"samples": "9", "model": "network", "inputs": "gaussian", "scales": "one", "width": "6"},
    ],
    "grokking": [FEW_PAIRS | {"hidden_layers": "2", "biases": "true"}],
    "linear_double_descent": [
        {"singular_values": "true", "samples": "12", "dimension": "5", "ridge": "0.01"},
        {"singular_values": "true", "samples": "5", "dimension": "12", "ridge": "0.01"},
        {"model": "weak_features", "coordinates": "20", "samples": "12", "dimension": "5"},
    ],
    "polynomial": [
        {"functions": "5", "samples": "12", "inputs": "uniform"},
        {"functions": "20", "samples": "8", "curve": "wiggle", "lowest_degree": "1"},
        {"functions": "5", "samples": "8", "basis": "monomial", "ridge": "0.1"},
    ],
    "random_features": [
        {"activation": "fourier", "ridge": "0", "frequency": "1.3", "features": "30", "samples": "20"},
        {"inputs": "line", "ridge": "1e-8", "frequency": "2", "features": "30", "samples": "20"},
    ],
    "silent_alignment": [
        {"depth": "3", "modes": "2", "spectrum": "0.5", "init_scale": "0.6"},
        {"model": "relu", "depth": "3", "init_scale": "0.6"},
    ],
    "sparse_parity": [
        {"data": "finite", "weight_decay": "0.01", "loss": "logistic", "samples": "30"},
        {"model": "sine", "loss": "square", "init_scale": "2"},
        {"model": "polynet", "data": "finite", "samples": "30", "degree": "3"},
    ],
}
TRANSFORMERS = {
    "grokking": [FEW_PAIRS | {"model": "nanda"}, FEW_PAIRS | {"model": "power"}],
    "induction_heads": [SHORT | {"heads": "2", "smeared": "true", "block": "full", "positions": "learned"}],
}


LONG = ("deep_double_descent", "induction_heads", "linear_double_descent", "sparse_parity")  # to compile


def each(settings):
    return [
        pytest.param(name, flags, id=f"{name}-{','.join(map('='.join, flags.items()))}")
        for name, several in settings.items()
        for flags in several
    ]


def experiment_of(name):
    return importlib.import_module(f"experiments.{name}").experiment


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in sorted(set(NAMES) - {"llc"})],
)
def test_an_experiment_conforms(name):
    check_experiment(experiment_of(name), without=NOT_HERE.get(name, ()))


@pytest.mark.slow
def test_an_experiment_with_a_source_conforms(tmp_path):
    schedule = Schedule(resolution=20, points=3, kept_points=2)
    source = dataclasses.replace(experiment_of("deep_linear"), schedule=schedule)
    settings = Settings(schedule=schedule, lanes=4, group=2)
    train_in(tmp_path, source, settings=settings, seed="0:2", steps="40", deviation="0.5")
    early = ("llc", "excess_loss", "lowest_excess_loss", "acceptance", "furthest")  # before the first draw
    check_experiment(experiment_of("llc"), nan=early, without=["grokking"], run=str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name, flags", [*each(SETTINGS), *each(TRANSFORMERS)])
def test_runs_of_other_settings_conform(name, flags):
    check_runs(experiment_of(name), **flags)
