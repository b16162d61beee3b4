"""The claims and figures of polynomial regression on fits by NumPy and on made-up risks."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.polynomial.legendre import legvander

from experiments.polynomial import experiment
from experiments.polynomial.science import (
    CHECKED,
    CHECKED_IN,
    CURVES,
    DATASETS,
    INPUTS,
    NODES,
    Polynomial,
    decompose,
    exact,
    summarise,
)
from phenom_jax.claims.lift import decide
from phenom_jax.hparams import fields
from phenom_jax.report.draw import draw

U_SHAPE, PARTS, SUM, EXACT, PEAK, SECOND, MEDIANS = experiment.claims
SAMPLES, NOISE = 12, 0.3


def sweep(seeds, **axes):
    """Returns finished runs over the product of the axes, which measured nothing yet."""
    defaults = {name: field.default for name, field in fields(Polynomial).items()}
    axes = {"seed": range(seeds)} | axes
    grids = [grid.ravel() for grid in np.meshgrid(*[np.arange(len(values)) for values in axes.values()], indexing="ij")]
    columns = {name: np.full(grids[0].size, default) for name, default in defaults.items()}
    columns |= {name: np.asarray(list(values))[grid] for (name, values), grid in zip(axes.items(), grids)}
    coords: dict[str, Any] = {name: ("run", values, {"hyperparameter": 1}) for name, values in columns.items()}
    coords["status"] = ("run", np.full(grids[0].size, "finished"))
    return xr.Dataset(coords=coords | {"step": [0]}, attrs={"order": list(defaults)})


@pytest.fixture(scope="module")
def fits():
    """Fits to 160 datasets on the grid."""
    results = sweep(8 * DATASETS, functions=(1, 2, 4, 6, 8, 10), samples=(SAMPLES,), noise=(NOISE,))
    x, rows = (2 * np.arange(SAMPLES) + 1) / SAMPLES - 1, []
    for seed, count in zip(results["seed"].values, results["functions"].values):
        labels = CURVES["sine"](x) + NOISE * np.random.default_rng(seed).normal(size=SAMPLES)
        rows.append(legvander(INPUTS, count - 1) @ np.linalg.lstsq(legvander(x, count - 1), labels)[0])
    risk = (np.array(rows) - CURVES["sine"](INPUTS)[None]) ** 2 @ NODES
    of_the_test_set = 0.005 * np.random.default_rng(5).normal(size=len(risk))
    return results.assign(
        predictions=(("run", "step", "input"), np.array(rows)[:, None]),
        excess_risk=(("run", "step"), risk[:, None]),
        train_error=(("run", "step"), risk[:, None]),
        test_error=(("run", "step"), (risk + NOISE**2 + of_the_test_set)[:, None]),
    )


def with_risk(levels, seeds=20, spread=0.1, **axes):
    """Returns the sweep of the Legendre fits whose risk is log-normal about a level for each number of functions."""
    axes = {name: (value,) for name, value in CHECKED_IN.items()} | {"noise": (0.0,), "functions": levels} | axes
    results = sweep(seeds, **axes)
    normal = np.random.default_rng(0).normal(size=results.sizes["run"])
    risk = np.array([levels[count] for count in results["functions"].values]) * np.exp(spread * normal)
    curve = (("run", "step"), risk[:, None])
    variables: dict[str, Any] = dict.fromkeys(("excess_risk", "test_error", "train_error"), curve)
    variables["predictions"] = (("run", "step", "input"), np.ones((len(risk), 1, len(INPUTS))))
    return results.assign(variables)


def verdict(claim, results):
    return decide(claim, summarise(results), strict=True).verdict


def test_blocks_have_the_parts_of_their_datasets(fits):
    results = summarise(fits)
    third = fits.isel(run=((fits["seed"] // DATASETS == 2) & (fits["functions"] == 6)).values)
    parts = decompose(third["predictions"].values[:, 0], "sine")
    found = results.isel(run=((results["block"] == 2) & (results["functions"] == 6)).values)
    assert np.isfinite(found["bias2"].values[:, 0]).tolist() == [True] + [False] * (DATASETS - 1)
    assert found["bias2"].values[0, 0] == parts.bias2 and found["variance"].values[0, 0] == parts.variance
    assert found["sum_of_parts"].values[0, 0] == pytest.approx(parts.total + NOISE**2)
    expected = exact("sine", "legendre", 0, SAMPLES, 0.0, NOISE, 6).total
    np.testing.assert_allclose(found["exact_risk"], expected)
    np.testing.assert_allclose(found["relative_risk"] * expected, third["excess_risk"])


def test_a_block_that_is_not_whole_or_not_over_has_no_parts(fits):
    some = fits.isel(run=(fits["seed"] < DATASETS - 1).values)
    assert np.isnan(summarise(some)["bias2"]).all()
    waiting = fits.assign_coords(status=("run", np.where(fits["seed"] == 3, "running", "finished")))
    results = summarise(waiting)
    assert np.isnan(results["bias2"].values[(results["block"] == 0).values]).all()
    assert verdict(PARTS, some) == "not tested" and decide(PARTS, results, strict=True).units == 7


def test_drawn_inputs_have_no_exact_risk(fits):
    drawn = fits.assign_coords(inputs=("run", ["uniform"] * fits.sizes["run"], {"hyperparameter": 1}))
    assert np.isnan(summarise(drawn)["relative_risk"]).all()
    assert [verdict(claim, drawn) for claim in (U_SHAPE, PARTS, SUM, EXACT)] == ["holds"] * 2 + ["not tested"] * 2


def test_real_fits_are_what_theory_says(fits):
    assert [verdict(claim, fits) for claim in (U_SHAPE, PARTS, SUM)] == ["holds"] * 3
    assert verdict(EXACT, fits) != "fails"
    assert [verdict(claim, fits) for claim in (PEAK, SECOND, MEDIANS)] == ["not tested"] * 3


def test_an_error_without_a_minimum_inside_fails(fits):
    falling = 1 / fits["functions"] * xr.ones_like(fits["test_error"]) * np.exp(0.1 * fits["test_error"])
    assert verdict(U_SHAPE, fits.assign(test_error=falling)) == "fails"


def test_variance_that_falls_fails(fits):
    true = CURVES["sine"](INPUTS)[None, None]
    steady = true + (fits["predictions"] - true) / fits["functions"] ** 2
    assert verdict(PARTS, fits.assign(predictions=steady)) == "fails"


@pytest.mark.parametrize("factor, spread, expected", [(1, 0.1, "holds"), (1.3, 0.1, "fails"), (1, 2.0, "undecided")])
def test_a_mean_risk_agrees_within_a_margin(factor, spread, expected, fits):
    """Issue 10, fault 6: "within four standard errors" holds for any risk that is noisy enough."""
    of_seed = np.exp(spread * np.random.default_rng(0).normal(size=8 * DATASETS))
    scaled = factor * (of_seed / of_seed.mean())[fits["seed"].values]
    risk = summarise(fits)["exact_risk"] * xr.DataArray(scaled, dims="run")
    assert verdict(EXACT, fits.assign(excess_risk=risk)) == expected


def test_a_sum_that_is_not_the_error_fails(fits):
    assert verdict(SUM, fits.assign(test_error=1.2 * fits["test_error"])) == "fails"


@pytest.mark.parametrize("beyond, expected", [(0.4, "holds"), (0.9, "fails")])
def test_the_second_descent_and_the_peak(beyond, expected):
    levels = {2: 0.6, 5: 0.8, 15: 1e6, 30: beyond, 200: 0.95}
    assert verdict(SECOND, with_risk(levels)) == expected
    assert verdict(PEAK, with_risk(levels)) == "holds"
    assert verdict(PEAK, with_risk(levels | {30: 1e7})) == "fails"


@pytest.mark.parametrize(
    "factor, seeds, expected", [(1, 1000, "holds"), (2, 1000, "fails"), (1, 40, "undecided")], ids=str
)
def test_medians_found_by_others(factor, seeds, expected):
    levels = {count: factor * median for count, median in CHECKED.items()}
    assert verdict(MEDIANS, with_risk(levels, seeds, spread=0.5)) == expected
    assert verdict(MEDIANS, with_risk(levels, samples=(16,))) == "not tested"


def test_few_units_decide_nothing(fits):
    few = fits.isel(run=(fits["seed"] < 4).values)
    assert {verdict(claim, few) for claim in (U_SHAPE, EXACT)} == {"undecided"}
    blocks = fits.isel(run=(fits["seed"] < 4 * DATASETS).values)
    assert {verdict(claim, blocks) for claim in (PARTS, SUM)} == {"undecided"}
    risks = with_risk(CHECKED, seeds=4)
    assert {verdict(claim, risks) for claim in (PEAK, SECOND, MEDIANS)} == {"undecided"}


def test_figures_are_drawn_where_there_is_something_to_draw(fits):
    assert {claim.figure for claim in experiment.claims} <= {figure.name for figure in experiment.figures}
    some = summarise(fits.isel(run=(fits["seed"] < 2 * DATASETS).values))
    assert all(draw(figure, some) is not None for figure in experiment.figures)
    legendre = summarise(with_risk(CHECKED))
    assert {figure.name for figure in experiment.figures if draw(figure, legendre)} == {"fits", "descent"}
    waiting = some.assign_coords(status=("run", np.full(some.sizes["run"], "waiting")))
    assert not any(draw(figure, waiting) for figure in experiment.figures)
    assert {verdict(claim, waiting) for claim in experiment.claims} == {"not tested"}
