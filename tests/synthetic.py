"""A sweep that looks like grokking and whose laws are known: made in closed form, stored like a real one."""

import itertools

import numpy as np
import xarray as xr

from phenom_jax.hparams import fields, hparams, size, static, swept
from phenom_jax.sizes import Size
from phenom_jax.store.dataset import Results, open_results
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.recorded import Variable

FREQUENCIES = 29


@hparams
class Grok:
    seed: int = swept(0, "initial weights and split")
    steps: int = swept(10_000, "optimiser steps")
    weight_decay: float = swept(1.0, "decoupled weight decay")
    learning_rate: float = swept(1e-2, "step size")
    width: Size = size(128, "hidden units")
    train_fraction: Size = size(0.5, "share of pairs that train", of=lambda hp: 3481)
    activation: str = static("relu", "nonlinearity")


VARIABLES = [
    Variable(name, shape, np.dtype("f4"), dims, long_name, units)
    for name, shape, dims, long_name, units in (
        ("train_loss", (), (), "train cross-entropy", "nat"),
        ("test_loss", (), (), "test cross-entropy", "nat"),
        ("train_accuracy", (), (), "train accuracy", "1"),
        ("test_accuracy", (), (), "test accuracy", "1"),
        ("weight_norm", (), (), "sum of squared weights", "1"),
        ("restricted_loss", (), (), "loss with key frequencies only", "nat"),
        ("excluded_loss", (), (), "train loss without key frequencies", "nat"),
        ("fourier_spectrum", (FREQUENCIES,), ("frequency",), "share of the embedding's squared norm", "1"),
    )
]
SPARSE = ("restricted_loss", "excluded_loss", "fourier_spectrum")


def grid(last=10_000, points=60):
    return np.unique(np.concatenate([[0], 10 * np.geomspace(1, last / 10, points).round()])).astype(int)


def make(path, steps=None, noise=0.1, lead=0.6, falls=True, statuses=None, **axes):
    """Returns the dataset of a sweep over `axes`, stored at `path`.

    The delay to generalise is exp(noise * N(0, 1)) * 8 / (learning_rate * weight_decay) * sqrt(128 / width); the
    restricted loss falls at `lead` times the generalisation step.
    """
    steps = grid() if steps is None else steps
    defaults = {"seed": 0, "steps": int(steps[-1]), "weight_decay": 1.0, "learning_rate": 1e-2, "width": 128}
    defaults |= {"train_fraction": 0.5, "activation": "relu"}
    axes = {"seed": range(4), "weight_decay": (0.0, 0.3, 1.0), "width": (32, 128)} | axes
    runs = [Run(defaults | dict(zip(axes, point, strict=True))) for point in itertools.product(*axes.values())]
    results = Results.open(path, runs, fields(Grok), steps, VARIABLES, {"experiment": "grokking"})
    for row, run in enumerate(runs):
        curves, last_step, status = _one(run.values, steps, noise, lead, falls)
        status = status if statuses is None else statuses(row, status)
        if status == "waiting":
            continue
        last_step = {"running": steps[len(steps) // 2], "diverged": steps[len(steps) // 3]}.get(status, last_step)
        reason = "train_loss is nan" if status == "diverged" else ""
        results.write([run.id], curves, [status], np.array([last_step]), [reason])
    results.flush()
    return open_results(path)


def with_steps(results, **steps):
    """Returns the results with per-run variables `name=[...]` added."""
    return results.assign({name: ("run", np.asarray(values, float)) for name, values in steps.items()})


def _one(values, steps, noise, lead, falls):
    rng = np.random.default_rng([values["seed"], int(1e6 * values["weight_decay"]), values["width"]])
    rate = values["learning_rate"] * values["weight_decay"]
    memorised = 0.6 / values["learning_rate"] * np.exp(noise * rng.normal())
    with np.errstate(divide="ignore"):
        delay = np.exp(noise * rng.normal()) * 8 / np.float64(rate) * np.sqrt(128 / values["width"])
    generalised = memorised + delay
    t = np.maximum(steps, 0.5).astype(float)
    train = _rise(t, memorised, 6)
    test = 0.02 + 0.98 * _rise(t, generalised, 12)
    norm = 60 + 200 * train * (np.exp(-2 * rate * np.maximum(t - memorised, 0)) if falls else 1.0)
    restricted = 4.1 * (1 - _rise(t, lead * generalised, 12)) + 1e-3
    spectrum = np.full((len(t), FREQUENCIES), 1 / FREQUENCIES)
    keys = rng.choice(FREQUENCIES, 4, replace=False)
    share = _rise(t, lead * generalised, 6)[:, None]
    spectrum = (1 - share) * spectrum + share * np.isin(np.arange(FREQUENCIES), keys) / 4
    curves = {
        "train_loss": 4.1 * (1 - train) + 1e-4,
        "test_loss": 4.1 * (1 + 2 * train) * (1 - _rise(t, generalised, 12)) + 1e-3,
        "train_accuracy": train,
        "test_accuracy": test,
        "weight_norm": norm,
        "restricted_loss": restricted,
        "excluded_loss": 1e-4 + 4.1 * share[:, 0] + 4.1 * (1 - train),
        "fourier_spectrum": spectrum,
    }
    done = np.flatnonzero(test >= 0.99)
    last = done[0] if len(done) else len(steps) - 1
    for name in SPARSE:
        skipped = (np.arange(len(steps)) % 3 != 0) & (np.arange(len(steps)) != last)
        curves[name] = np.where(skipped.reshape(-1, *[1] * (curves[name].ndim - 1)), np.nan, curves[name])
    return {name: curve[None] for name, curve in curves.items()}, steps[last], "done" if len(done) else "finished"


def _rise(t, middle, sharpness):
    return 1 / (1 + (middle / t) ** sharpness)


def assert_same(left: xr.Dataset, right: xr.Dataset) -> None:
    xr.testing.assert_identical(left.drop_attrs(), right.drop_attrs())
