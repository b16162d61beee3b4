"""Early stopping of one run: its closed form, its measures, and its refusals."""

import re
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments.early_stopping import experiment
from experiments.early_stopping.science import (
    PENALTIES,
    SCALES,
    EarlyStopping,
    closed_form,
    init,
    measure,
    ridge_path,
    step,
    step_sizes_of,
    summarise,
)
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.report.draw import draw
from phenom_jax.sizes import exactly
from phenom_jax.theory.epochwise import excess_risk

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy import results_of, train_in

NETWORK: dict[str, Any] = {"model": "network", "inputs": "gaussian", "scales": "one"}


def trained(hp, steps):
    state = jax.lax.fori_loop(0, steps, lambda _, state: step(state, hp, jax.random.key(0))[0], init(hp))
    return state, measure(state, hp)


quick = jax.jit(trained, compiler_options=QUICK_TO_COMPILE)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("schedule", ["equal", "aligned"])
def test_on_noiseless_labels_a_run_has_the_bias_of_the_closed_form(schedule):
    hp = EarlyStopping(features=exactly(3), samples=exactly(11), noise=0.6, step_sizes=schedule)
    start = init(hp)
    deviation, signal = SCALES["two"]
    clean = start.train.inputs_NxD @ np.tile(np.array(signal) / np.sqrt(3), 3)
    state = start._replace(train=start.train._replace(labels_N=clean))
    sizes = np.asarray(step_sizes_of(hp))[:2]
    for count in range(31):
        if count in (0, 4, 30):
            exact = excess_risk([count], deviation, signal, 11, 0.0, sizes).of_scale[0]
            np.testing.assert_allclose(measure(state, hp).scale_risk, exact, rtol=1e-9, atol=1e-12)
        state = jax.jit(step)(state, hp, jax.random.key(0))[0]


@pytest.mark.usefixtures("float64")
def test_ridge_is_that_of_the_normal_equations():
    hp = EarlyStopping(features=exactly(4), samples=exactly(20), inputs="gaussian", noise=0.5)
    state = init(hp)
    inputs, labels = (np.asarray(part, float) for part in state.train)
    deviations, truth = np.tile(SCALES["two"].deviation, 4), np.tile(SCALES["two"].signal, 4) / 2
    found = jax.jit(ridge_path)(state, hp)
    for index in (0, 20, 40, 56):
        moments = inputs.T @ inputs / 20 + PENALTIES[index] * np.eye(8)
        weights = np.linalg.solve(moments, inputs.T @ labels / 20)
        expected = np.sum((deviations * (weights - truth)) ** 2)
        assert found.ridge_excess_risk[index] == pytest.approx(expected, rel=1e-3)
        errors = np.asarray(state.validation.inputs_NxD, float) @ weights - np.asarray(state.validation.labels_N)
        assert found.ridge_validation_loss[index] == pytest.approx(np.mean(errors**2), rel=1e-3)


@pytest.mark.usefixtures("float64")
def test_a_network_overfits_noisy_labels():
    """Its excess risk, on fresh noiseless labels, falls and then rises while the train loss only falls."""
    hp = EarlyStopping(**NETWORK, features=exactly(5), samples=exactly(30), width=exactly(50), noise=1.0)
    measured = [quick(hp, steps)[1] for steps in (0, 30, 2000)]
    train, risk = ([float(getattr(m, name)) for m in measured] for name in ("train_loss", "excess_risk"))
    assert train[0] > train[1] > train[2] and train[2] < 0.2
    assert risk[1] < risk[0] and risk[1] < risk[2]
    assert np.isnan(measured[0].scale_risk).all()


def test_seeds_draw_different_data_and_streams_are_apart():
    one, other = (init(EarlyStopping(seed=seed, inputs="gaussian", validation=exactly(10))) for seed in (0, 1))
    assert (one.train.inputs_NxD != other.train.inputs_NxD).all()
    assert (one.train.inputs_NxD != one.validation.inputs_NxD).all()
    noise = [part.labels_N - part.inputs_NxD @ jnp.array(SCALES["two"].signal) for part in (one.train, one.validation)]
    assert abs(np.corrcoef(np.asarray(noise))[0, 1]) < 0.9 and (noise[0] != noise[1]).all()


def test_the_sweep_is_its_runs_and_its_summary_finds_where_to_stop(tmp_path):
    axes: dict[str, Any] = {"seed": "0:3", "noise": "0.5,1", "features": "1,3", "samples": "10,30"}
    train_in(tmp_path / "r", experiment, **axes, steps="40", validation="20")
    results = summarise(results_of(tmp_path / "r").sortby(["noise", "features", "samples", "seed"]))
    assert results.sizes["run"] == 24 and set(results.status.values) == {"finished"}
    run = results.isel(run=-1)
    hp = EarlyStopping(seed=2, noise=1.0, features=exactly(3), samples=exactly(30), validation=exactly(20), steps=40)
    alone = quick(hp, 40)[1]
    assert run.excess_risk.values[-1] == pytest.approx(float(alone.excess_risk), rel=1e-4)
    assert run.validation_loss.values[-1] == pytest.approx(float(alone.validation_loss), rel=1e-4)
    loss, risk = results.validation_loss.values, results.excess_risk.values
    np.testing.assert_array_equal(results.stopping_step, results.step.values[np.nanargmin(loss, 1)])
    np.testing.assert_array_equal(results.best_risk, np.nanmin(risk, 1))
    assert (results.stopping_risk >= results.best_risk).all() and (results.patience_step <= 40).all()
    penalty = results.ridge_validation_loss.isel(step=-1).values.argmin(1)
    np.testing.assert_array_equal(results.ridge_risk, results.ridge_excess_risk.values[np.arange(24), -1, penalty])
    exact = closed_form(results.isel(run=slice(0, 1)), np.array([0]))
    np.testing.assert_allclose(exact.total, 2 * 0.45**2)
    assert results.scale.values.tolist() == [1, 2]
    for figure in experiment.figures:
        assert draw(figure, results) is not None


def test_a_summary_of_runs_that_were_not_measured_is_nan():
    nan = np.full((2, 3), np.nan)
    results = xr.Dataset(
        {
            "validation_loss": (("run", "step"), nan),
            "excess_risk": (("run", "step"), nan),
            "scale_risk": (("run", "step", "scale"), np.full((2, 3, 2), np.nan)),
            "ridge_validation_loss": (("run", "step", "penalty"), np.full((2, 3, len(PENALTIES)), np.nan)),
            "ridge_excess_risk": (("run", "step", "penalty"), np.full((2, 3, len(PENALTIES)), np.nan)),
        },
        coords={"step": [0, 1, 2]},
    )
    summary = summarise(results)
    for name in ("stopping_step", "stopping_risk", "best_risk", "patience_step", "patience_risk", "ridge_risk"):
        assert np.isnan(summary[name].values).all()


@pytest.mark.parametrize(
    "values, message",
    [
        ({"samples": 2}, "samples: 2 is not above 2, all features, which inputs=grid needs"),
        ({"samples": 0}, "samples: 0 is not at least 1"),
        ({"features": 0}, "features: 0 is not at least 1"),
        ({"noise": -1.0}, "noise: -1.0 is not at least 0"),
        ({"learning_rate": 0.0}, "learning_rate: 0.0 is not above 0"),
        ({"learning_rate": 2.5}, "learning_rate: 2.5 is not below 2, where descent diverges"),
        ({"learning_rate": 1.0, "step_sizes": "aligned"}, "learning_rate: 1 is not below 1"),
        ({"noise": 0.0, "step_sizes": "aligned"}, "noise: 0 is not above 0, which step_sizes=aligned needs"),
        ({"model": "network", "step_sizes": "aligned"}, "step_sizes: aligned is defined for model=linear"),
        ({"scales": "four"}, "scales: 'four' is not one of one, two, three"),
        ({"validation": 0}, "validation: 0 is not at least 1"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(EarlyStopping, values)


def test_a_width_has_no_effect_on_a_linear_model():
    with pytest.raises(InvalidValue, match="width: has no effect with model=linear in any run of this sweep"):
        parse(experiment, ["--width=50"])
    assert parse(experiment, ["--preset=network", "--width=50"])
