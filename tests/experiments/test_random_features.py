"""Random features of one run: exact risks against samples, its refusals."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import hyp0f1

from experiments.random_features import experiment
from experiments.random_features.science import (
    SMALLEST_RIDGE,
    RandomFeatures,
    _bessel_0f1,
    features,
    init,
    measure,
    target,
)
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size

SETTINGS = [
    {"activation": "relu", "ridge": 0.01},
    {"activation": "fourier", "ridge": 0.0, "frequency": 1.3},
    {"inputs": "line", "ridge": 1e-8, "frequency": 2.0},
]
SIZES = {"features": 30, "samples": 20, "dimension": 6}


def sizes(**others: Any) -> dict[str, Any]:
    return {name: Size(count, count) for name, count in SIZES.items()} | others


@functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
def fitted(hp):
    state = init(hp)
    return state, measure(state, hp)


def run(hp):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, fitted(hp))


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_risk_is_that_of_a_large_sample(setting):
    hp = RandomFeatures(**setting, **sizes(), noise=0.2)
    state, measured = run(hp)
    rng, count = np.random.default_rng(0), 200_000
    with jax.enable_x64(True):
        if hp.inputs == "sphere":
            x = rng.normal(size=(count, 6))
            x *= np.sqrt(6) / np.linalg.norm(x, axis=1, keepdims=True)
        else:
            x = rng.normal(size=(count, 1))
        phi = features(jnp.asarray(x), state.directions_DxF, state.shifts_F, hp)
        errors = np.asarray(jnp.square(phi @ jnp.asarray(state.weights_F) - target(jnp.asarray(x), state.target_D, hp)))
    assert abs(errors.mean() - measured.excess_risk) < 5 * errors.std() / np.sqrt(count)
    np.testing.assert_allclose(measured.test_error, measured.excess_risk + 0.04)


def test_weights_minimise_the_penalised_error():
    hp = RandomFeatures(ridge=0.05, **sizes())
    state, _ = run(hp)
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        x = rng.normal(size=(4, 6))
        phi = np.asarray(features(jnp.asarray(x), state.directions_DxF, state.shifts_F, hp))
    np.testing.assert_allclose(phi, np.maximum(x @ np.asarray(state.directions_DxF) / np.sqrt(6), 0), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(state.directions_DxF, axis=0), np.sqrt(6))
    np.testing.assert_allclose(np.linalg.norm(state.target_D), 1)
    # at its minimum the train error and the norm trade off at the rate of the penalty
    tighter, _ = run(RandomFeatures(ridge=0.06, **sizes()))
    gained = np.sum(np.square(state.weights_F)) - np.sum(np.square(tighter.weights_F))
    lost = tighter.train_error - state.train_error
    assert 0.05 * 30 / 6 <= lost / gained <= 0.06 * 30 / 6


def test_interpolation_begins_at_as_many_features_as_samples():
    errors = [run(RandomFeatures(**sizes(features=Size(count, 40))))[1].train_error for count in (19, 20, 40)]
    assert errors[0] > 1e-4 and max(errors[1:]) < 1e-12


@pytest.mark.parametrize("b, z", [(10.0, -19.0), (25.0, -150.0), (1.5, 0.0)])
def test_the_characteristic_function_of_the_sphere(b, z):
    with jax.enable_x64(True):
        np.testing.assert_allclose(_bessel_0f1(jnp.asarray(b), jnp.asarray(z)), hyp0f1(b, z), atol=1e-12)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"features": 0}, "features: 0 is not at least 1"),
        ({"samples": 0}, "samples: 0 is not at least 1"),
        ({"dimension": 0}, "dimension: 0 is not at least 2"),
        ({"ridge": -1.0}, "ridge: -1.0 is not at least 0"),
        ({"noise": -0.1}, "noise: -0.1 is not at least 0"),
        ({"activation": "tanh"}, "activation: 'tanh' is not one of relu, fourier"),
        ({"activation": "fourier", "frequency": 3.0}, "frequency: 3.0 is not at most 2, which inputs=sphere needs"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(RandomFeatures, values)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--float_type=float32"], "ridge: 0.0 is too small for float_type=float32, allowed is at least 0.001"),
        (["--float_type=float32", "--preset=course"], "float_type: float32 cannot solve inputs=line"),
        (["--frequency=2", "--activation=relu"], "frequency: has no effect with activation=relu"),
        (["--inputs=line", "--activation=relu", "--dimension=30"], "has no effect with inputs=line"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, flags)


def test_float32_is_taken_where_a_ridge_makes_it_do():
    assert parse(experiment, ["--float_type=float32", f"--ridge={SMALLEST_RIDGE}"]).settings.float_type == "float32"
