"""Polynomial regression of one run, its decomposition over datasets, its refusals and its claims."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from numpy.polynomial.legendre import legvander

from experiments.polynomial import PRESETS, Polynomial, experiment, functions, init, measure, summarise
from experiments.polynomial.claims import CLAIMS
from experiments.polynomial.curve import CURVES, INPUTS, NODES, decompose, exact
from experiments.polynomial.figures import FIGURES
from phenom_jax.engine.flags import parse
from phenom_jax.experiment import quantities
from phenom_jax.hparams import InvalidValue, build, fields
from phenom_jax.results.claims import decide_all
from phenom_jax.sizes import Size
from phenom_jax.sweep.axes import parse_sweep


@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def fitted(hp):
    state = init(hp)
    return state, measure(state, hp)


def run(**values):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, fitted(Polynomial(**values)))


@pytest.mark.parametrize(
    "setting",
    [
        {"functions": 5, "samples": 12, "inputs": "uniform"},
        {"functions": 20, "samples": 8, "curve": "wiggle", "lowest_degree": 1},
        {"functions": 5, "samples": 8, "basis": "monomial", "ridge": 0.1},
    ],
)
def test_padding_does_not_change_a_run(setting):
    sizes = {name: setting.pop(name) for name in ("functions", "samples")}
    alone = run(**setting, **{name: Size(count, count) for name, count in sizes.items()})
    inside = run(**setting, **{name: Size(count, count + 4) for name, count in sizes.items()})
    for name, value in alone[1]._asdict().items():
        np.testing.assert_allclose(getattr(inside[1], name), value, rtol=1e-6, atol=1e-12, err_msg=name)
    assert not inside[0].weights_P[sizes["functions"] :].any()


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
    with jax.enable_x64(True):
        legendre, power, without = (
            np.asarray(functions(jnp.asarray(x), Polynomial(functions=Size(5, 9), **setting)))
            for setting in ({}, {"basis": "monomial"}, {"lowest_degree": 1})
        )
    np.testing.assert_allclose(legendre[:, :5], legvander(x, 4), atol=1e-14)
    np.testing.assert_allclose(power[:, :5], x[:, None] ** np.arange(5), atol=1e-14)
    np.testing.assert_allclose(without[:, :5], legvander(x, 5)[:, 1:], atol=1e-14)
    assert not legendre[:, 5:].any()


def test_grid_inputs_are_those_of_every_dataset_and_uniform_ones_are_not():
    size = {"functions": Size(6, 6), "samples": Size(6, 6), "noise": 0.0}
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
    cell = sweep({}, functions=(count,), samples=(12,), ridge=(ridge,), noise=(0.3,), seeds=1)
    x, rng = (2 * np.arange(12) + 1) / 12 - 1, np.random.default_rng(1)
    design = np.vstack([legvander(x, count - 1), np.sqrt(ridge) * np.eye(count)])
    labels = CURVES["sine"](x)[:, None] + 0.3 * rng.normal(size=(12, 4000))
    weights = np.linalg.lstsq(design, np.vstack([labels, np.zeros((count, 4000))]), rcond=1e-12)[0]
    found, expected = decompose((legvander(INPUTS, count - 1) @ weights).T, "sine"), exact(cell, count)
    assert found.variance == pytest.approx(expected.variance, rel=0.1)
    assert found.total == pytest.approx(expected.total, rel=0.1)
    assert found.bias2 == pytest.approx(expected.bias2, abs=0.05 * expected.total)


def test_what_is_recorded_has_a_name_and_a_shape_of_its_own():
    hp = Polynomial()
    measured = jax.eval_shape(lambda hp: measure(init(hp), hp), hp)
    for name, quantity in quantities(type(measured)).items():
        assert len(quantity.dims) == getattr(measured, name).ndim and quantity.long_name != name
    results = summarise(xr.Dataset({"predictions": (("run", "step", "input"), np.zeros((1, 1, len(INPUTS))))}))
    np.testing.assert_array_equal(results["input"], INPUTS)


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


def test_presets_parse():
    runs = {name: len(parse_sweep(Polynomial, dict(preset.flags), [])) for name, preset in PRESETS.items()}
    assert runs == {"": 3200, "course": 3200, "legendre": 3400}


def sweep(variables, seeds=20, **axes):
    """Returns finished results over the product of the axes with these per-run variables, functions of the results."""
    defaults = {name: field.default for name, field in fields(Polynomial).items()}
    axes = {"seed": range(seeds)} | axes
    grids = [grid.ravel() for grid in np.meshgrid(*[np.arange(len(values)) for values in axes.values()], indexing="ij")]
    columns = {name: np.full(grids[0].size, default) for name, default in defaults.items()}
    columns |= {name: np.asarray(list(values))[grid] for (name, values), grid in zip(axes.items(), grids)}
    coords = {name: ("run", values, {"hyperparameter": 1}) for name, values in columns.items()}
    coords["status"] = ("run", np.full(grids[0].size, "finished"))
    results = xr.Dataset(coords=coords | {"step": [0]}, attrs={"order": list(defaults)})
    for name, make in variables.items():
        values = np.asarray(make(results))
        results[name] = (("run", "step", "input")[: values.ndim + 1], values[:, None])
    return results


def fits(counts, seeds=40, factor=1.0, sampled=True, **axes):
    """Returns the sweep of real fits on the grid, computed with numpy."""
    results = sweep({}, seeds=seeds, functions=counts, samples=(12,), inputs=("grid",), **axes)
    x, rows = (2 * np.arange(12) + 1) / 12 - 1, []
    for seed, count in zip(results["seed"].values, results["functions"].values):
        labels = CURVES["sine"](x) + 0.3 * np.random.default_rng(seed).normal(size=12)
        rows.append(legvander(INPUTS, count - 1) @ np.linalg.lstsq(legvander(x, count - 1), labels)[0])
    predictions = np.array(rows)
    risk = (predictions - CURVES["sine"](INPUTS)[None]) ** 2 @ NODES
    noise = 0.005 * np.random.default_rng(5).normal(size=len(risk))
    return results.assign(
        predictions=(("run", "step", "input"), predictions[:, None]),
        excess_risk=(("run", "step"), factor * risk[:, None]),
        test_error=(("run", "step"), (factor * risk + 0.09 + noise)[:, None]),
    )


def test_claims_that_are_true_hold():
    found = decide_all(CLAIMS, fits((1, 2, 4, 6, 8, 10)))
    assert {name: decision.verdict for name, decision in found.items()} == {
        "u_shape": "holds",
        "bias_falls_variance_grows": "holds",
        "sum_is_error": "holds",
        "agrees_with_exact": "holds",
        "peak_at_interpolation": "undecided",
        "second_descent": "undecided",
    }
    assert found["u_shape"].numbers["best_0"] == 4


def test_claims_that_are_false_fail():
    found = decide_all(CLAIMS, fits((1, 2, 4, 6), factor=1.5))
    assert found["sum_is_error"].verdict == found["agrees_with_exact"].verdict == "fails"
    falling = fits((1, 2, 4, 6))
    falling["test_error"] = 1 / falling["functions"] * xr.ones_like(falling["test_error"])
    assert decide_all(CLAIMS, falling)["u_shape"].verdict == "fails"


@pytest.mark.parametrize("beyond, verdict", [(0.4, "holds"), (0.9, "fails")])
def test_the_second_descent_is_decided_by_the_lowest_medians(beyond, verdict):
    levels = {2: 0.6, 5: 0.8, 15: 1e6, 30: beyond, 200: 0.95}

    def risk(results):
        normal = np.random.default_rng(0).normal(size=results.sizes["run"])
        return np.array([levels[count] for count in results["functions"].values]) * np.exp(0.1 * normal)

    variables = {"excess_risk": risk, "test_error": risk}
    results = sweep(variables, functions=tuple(levels), samples=(15,), noise=(0.0,), inputs=("uniform",))
    found = decide_all(CLAIMS, results)
    assert found["peak_at_interpolation"].verdict == "holds"
    assert found["second_descent"].verdict == verdict


def test_figures_are_drawn_where_there_is_something_to_draw():
    results = fits((1, 2, 4, 6), seeds=5)
    assert all(figure.draw(results) is not None for figure in FIGURES)
    none_over = results.assign_coords(status=("run", np.full(results.sizes["run"], "waiting")))
    assert not any(figure.draw(none_over) for figure in FIGURES)


def test_without_any_run_over_all_is_undecided():
    results = fits((1, 2))
    found = decide_all(CLAIMS, results.assign_coords(status=("run", np.full(results.sizes["run"], "waiting"))))
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    assert not any("could not be computed" in decision.statistic for decision in found.values())
