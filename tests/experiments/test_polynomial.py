"""Polynomial regression of one run, its decomposition over datasets and its refusals."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.legendre import legvander

from experiments.polynomial import experiment
from experiments.polynomial.science import (
    CURVES,
    INPUTS,
    NODES,
    Polynomial,
    decompose,
    exact,
    functions,
    init,
    measure,
)
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size


@functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
def fitted(hp):
    state = init(hp)
    return state, measure(state, hp)


def run(**values: Any):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, fitted(Polynomial(**values)))


@pytest.mark.parametrize("functions_, ridge", [(4, 0.0), (30, 0.0), (6, 0.5)])
def test_a_fit_is_that_of_numpy(functions_, ridge):
    state, measured = run(functions=Size(functions_, 30), samples=Size(10, 10), noise=0.0, ridge=ridge)
    x = (2 * np.arange(10) + 1) / 10 - 1
    design = np.vstack([legvander(x, functions_ - 1), np.sqrt(ridge) * np.eye(functions_)])
    weights = np.linalg.lstsq(design, np.append(np.sin(np.pi * x), np.zeros(functions_)))[0]
    np.testing.assert_allclose(state.weights_P[:functions_], weights, atol=1e-9)
    predictions = legvander(INPUTS, functions_ - 1) @ weights
    np.testing.assert_allclose(measured.predictions, predictions, atol=1e-9)
    risk = np.mean(
        (legvander(x_fine := np.linspace(-1, 1, 20001), functions_ - 1) @ weights - np.sin(np.pi * x_fine)) ** 2
    )
    np.testing.assert_allclose(measured.excess_risk, risk, rtol=1e-3)
    np.testing.assert_allclose(measured.test_error, measured.excess_risk, rtol=0.5)


def test_basis_functions_are_the_named_polynomials():
    x = np.linspace(-1, 1, 7)
    settings: list[dict[str, Any]] = [{}, {"basis": "monomial"}, {"lowest_degree": 1}]
    with jax.enable_x64(True):
        legendre, power, without = (
            np.asarray(functions(jnp.asarray(x), Polynomial(functions=Size(5, 9), **setting))) for setting in settings
        )
    np.testing.assert_allclose(legendre[:, :5], legvander(x, 4), atol=1e-14)
    np.testing.assert_allclose(power[:, :5], x[:, None] ** np.arange(5), atol=1e-14)
    np.testing.assert_allclose(without[:, :5], legvander(x, 5)[:, 1:], atol=1e-14)
    assert not legendre[:, 5:].any()


def test_grid_inputs_are_those_of_every_dataset_and_uniform_ones_are_not():
    size: dict[str, Any] = {"functions": Size(6, 6), "samples": Size(6, 6), "noise": 0.0}
    same, other = (run(seed=seed, **size)[1].predictions for seed in (0, 1))
    np.testing.assert_array_equal(same, other)
    first, second = (run(seed=seed, inputs="uniform", **size)[1].predictions for seed in (0, 1))
    assert np.abs(first - second).max() > 1e-6


def test_decomposition_of_fits_whose_parts_are_known():
    rng = np.random.default_rng(0)
    fits = CURVES["sine"](INPUTS)[None] + 0.5 + 0.2 * rng.normal(size=(4000, 1))
    parts = decompose(fits, "sine")
    assert parts.bias2 == pytest.approx(0.25, rel=0.05) and parts.variance == pytest.approx(0.04, rel=0.1)
    few = fits[:7]
    total = np.mean((few - CURVES["sine"](INPUTS)[None]) ** 2 @ NODES)
    assert decompose(few, "sine").total == pytest.approx(total)  # mean excess risk, whatever the number of fits


@pytest.mark.parametrize("count, ridge", [(3, 0.0), (9, 0.0), (9, 0.5), (20, 0.0)])
def test_exact_parts_are_those_of_many_datasets(count, ridge):
    x, rng = (2 * np.arange(12) + 1) / 12 - 1, np.random.default_rng(1)
    design = np.vstack([legvander(x, count - 1), np.sqrt(ridge) * np.eye(count)])
    labels = CURVES["sine"](x)[:, None] + 0.3 * rng.normal(size=(12, 4000))
    weights = np.linalg.lstsq(design, np.vstack([labels, np.zeros((count, 4000))]), rcond=1e-12)[0]
    found, expected = (
        decompose((legvander(INPUTS, count - 1) @ weights).T, "sine"),
        exact("sine", "legendre", 0, 12, ridge, 0.3, count),
    )
    assert found.variance == pytest.approx(expected.variance, rel=0.1)
    assert found.total == pytest.approx(expected.total, rel=0.1)
    assert found.bias2 == pytest.approx(expected.bias2, abs=0.05 * expected.total)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"functions": 0}, "functions: 0 is not at least 1"),
        ({"samples": 0}, "samples: 0 is not at least 1"),
        ({"ridge": -0.1}, "ridge: -0.1 is not at least 0"),
        ({"noise": -1.0}, "noise: -1.0 is not at least 0"),
        ({"lowest_degree": 2}, "lowest_degree: 2 is not at least 0 and at most 1"),
        ({"curve": "cosine"}, "curve: 'cosine' is not one of sine, wiggle"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(Polynomial, values)


def test_float32_is_refused_where_rounding_shows():
    said = "functions: 6 is too many for float_type=float32, allowed are at most 5, or float64"
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, ["--float_type=float32"])
    assert len(parse(experiment, ["--float_type=float32", "--functions=2,5", "--seed=0"]).sweep) == 2
