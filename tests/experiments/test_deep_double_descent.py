"""Deep double descent of one run: its measures, its refusals."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments.deep_double_descent import experiment
from experiments.deep_double_descent.presets import PRESETS
from experiments.deep_double_descent.science import (
    CLASSES,
    SHAPES,
    DeepDoubleDescent,
    init,
    load,
    measure,
    step,
    summarise,
)
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.sizes import Size
from phenom_jax.sweep.axes import parse_sweep

SMALL = {"test_samples": 40, "label_noise": 0.3, "learning_rate": 0.05}


def sized(width, samples, batch, **more):
    sizes = {"width": width, "samples": samples, "batch_size": batch}
    return DeepDoubleDescent(**SMALL, **{n: Size(count, count) for n, count in sizes.items()}, **more)


def test_measures_equal_a_computation_with_plain_indexing():
    hp = sized(6, 600, 100)  # more than a block
    state = jax.jit(init)(hp)
    data = load(hp)
    measured = jax.jit(measure)(state, hp)

    def scores(x, labels):
        logits = np.asarray(state.model(jnp.asarray(x)), float)
        losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
        return losses.mean(), (logits.argmax(1) != labels).mean()

    right, noisy = data.train_labels_N[:600], np.asarray(state.labels_N)
    expected = {
        "train": scores(data.train_NxF[:600], noisy),
        "right_train": scores(data.train_NxF[:600], right),
        "test": scores(data.test_MxF[:40], data.test_labels_M[:40]),
    }
    for name, (loss, error) in expected.items():
        np.testing.assert_allclose(getattr(measured, f"{name}_loss"), loss, rtol=1e-5)
        np.testing.assert_allclose(getattr(measured, f"{name}_error"), error, rtol=1e-5)
    np.testing.assert_allclose(measured.effective_noise, (right != noisy).mean(), rtol=1e-5)
    assert 0.2 < measured.effective_noise < 0.4


def test_a_subset_of_the_seed_is_nested_and_its_own():
    def rows(seed, count):
        hp = DeepDoubleDescent(**SMALL, width=Size(4, 4), samples=Size(count, count), subset="seed", seed=seed)
        return np.asarray(jax.jit(lambda: init(hp).rows_N)())

    assert (rows(0, 20) == rows(0, 30)[:20]).all() and (rows(0, 20) != rows(1, 20)).any()
    assert len(set(rows(0, 30).tolist())) == 30


@pytest.mark.parametrize("model", ["cnn", "nakkiran_cnn", "resnet18"])
def test_every_network_has_a_step_and_measures(model):
    hp = sized(4, 30, 8, model=model)
    state, metrics = jax.eval_shape(lambda hp: step(init(hp), hp, jax.random.key(0)), hp)
    assert jax.tree.structure(state) == jax.tree.structure(jax.eval_shape(init, hp))
    assert all(value.shape == () for value in jax.eval_shape(measure, state, hp))
    assert metrics.batch_loss.shape == ()


def test_shapes_are_those_of_the_data():
    for name in ("mnist1d", "digits", "mnist5000"):
        try:
            data = load(DeepDoubleDescent(data=name))
        except InvalidValue:  # its package is not installed
            continue
        assert data.shape == SHAPES[name] and data.classes == CLASSES


def test_summary_counts_epochs_and_finds_when_train_sets_are_fitted():
    results = xr.Dataset(
        {
            "train_error": (("run", "step"), [[0.5, np.nan, 0.02, 0.005], [0.5, 0.1, 0.02, 0.02]]),
            "right_train_error": (("run", "step"), [[0.4, np.nan, 0.2, 0.1], [0.4, 0.2, 0.3, 0.1]]),
        },
        coords={
            "step": [0, 10, 20, 40],
            "samples": ("run", [100, 45]),
            "batch_size": ("run", [10, 10]),
            "data": ("run", ["mnist1d", "digits"]),
            "model": ("run", ["mlp", "mlp"]),
            "hidden_layers": ("run", [2, 1]),
            "width": ("run", [16, 5]),
        },
    )
    summary = summarise(results)
    np.testing.assert_allclose(summary["fit_step"], [20 + 20 * 0.01 / 0.015, np.nan])
    np.testing.assert_array_equal(summary["best_step"], [20, 40])  # what lies after the fit does not count
    np.testing.assert_array_equal(summary["parameters"], [41 * 16 + 17 * 16 + 17 * 10, 65 * 5 + 6 * 10])
    np.testing.assert_array_equal(summary["epochs"], [[0, 1, 2, 4], [0, 2, 4, 8]])


@pytest.mark.parametrize(
    "values, message",
    [
        ({"label_noise": 1.5}, "label_noise: 1.5 is not at least 0 and at most 1"),
        ({"label_noise": -0.1}, "label_noise: -0.1 is not at least 0 and at most 1"),
        ({"samples": 4001}, "samples: 4001 is not at most 4000, which data=mnist1d has"),
        ({"samples": 0}, "samples: 0 is not at least 1"),
        ({"data": "mnist"}, "data_dir: '' is no directory, expected --data_dir=DIR with the four files of MNIST"),
        ({"data": "cifar10", "data_dir": "/nowhere"}, "data_dir: /nowhere has no file data_batch_1, expected the six"),
        ({"augmentation": "crop_and_flip"}, "augmentation: crop_and_flip needs images, data=mnist1d has signals"),
        ({"convention": "none"}, "convention: 'none' is not one of uniform, wrong, shuffled"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)) as refused:
        build(DeepDoubleDescent, values)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--second_momentum=0.9"], "second_momentum: has no effect with optimizer=sgd"),
        (["--model=cnn", "--hidden_layers=3"], "hidden_layers: has no effect with model=cnn"),
        (["--data_dir=x"], "data_dir: has no effect with data=mnist1d"),
    ],
)
def test_a_flag_without_effect_is_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, flags)


def test_presets_of_data_that_are_not_here_parse(monkeypatch):
    monkeypatch.setattr(DeepDoubleDescent, "check", lambda self: None)  # which looks for the files
    runs = [len(parse_sweep(DeepDoubleDescent, PRESETS[f"nakkiran_{name}"].flags)) for name in ("cnn", "resnet18")]
    assert runs == [51, 23]
