"""The claims and figures of linear double descent on training sets solved by NumPy."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.linear_double_descent import LinearDoubleDescent
from experiments.linear_double_descent.claims import CLAIMS
from experiments.linear_double_descent.figures import FIGURES
from phenom_jax.hparams import fields
from phenom_jax.results.claims import decide_all

FIXED = {"signal": 1.0, "cutoff": 0.3, "coordinates": 30, "singular_values": False}


def sweep(**axes):
    """Returns the results of a product of these axes, solved one by one."""
    usual = {"seed": range(12), "noise": (0.5,), "ridge": (0.0,), "dimension": (5, 10, 20, 30, 40), "samples": (20,)}
    axes = usual | {"model": ("isotropic",), "ablation": ("none",)} | axes
    runs = [FIXED | dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    measured = [solve(run) for run in runs]
    order = list(fields(LinearDoubleDescent))
    coords = {name: ("run", [run[name] for run in runs], {"hyperparameter": "swept"}) for name in order}
    return xr.Dataset(
        {name: (("run", "step"), [[found[name]] for found in measured]) for name in measured[0]},
        coords=coords | {"status": ("run", ["finished"] * len(runs)), "step": [0]},
        attrs={"order": order},
    )


def solve(run):
    n, d = run["samples"], run["dimension"]
    rng = np.random.default_rng(run["seed"])
    D = run["coordinates"] if run["model"] == "weak_features" else d
    beta, X = rng.normal(size=D), rng.normal(size=(n, D))
    beta /= np.linalg.norm(beta)
    y = X[:, :d] @ beta[:d] if run["ablation"] == "residuals" else X @ beta + run["noise"] * rng.normal(size=n)
    left, values, right = np.linalg.svd(X[:, :d], full_matrices=False)
    large = values >= run["cutoff"] * values[0]
    gains = values / (values**2 + n * run["ridge"])
    gains = np.where(large, gains, 0) if run["ablation"] == "small_modes" else gains
    w = right.T @ (gains * (left.T @ y))
    missed = w - beta[:d]
    missed = right[large] @ missed if run["ablation"] == "test_directions" else missed
    return {
        "excess_risk": (missed**2).sum() + (beta[d:] ** 2).sum(),
        "train_error": ((y - X[:, :d] @ w) ** 2).mean(),
        "squared_norm": (w**2).sum(),
        "smallest_singular_value": values[-1] / np.sqrt(n),
    }


def decide(results):
    return decide_all(CLAIMS, results)


def drawn(results):
    return {figure.name for figure in FIGURES if figure.draw(results) is not None}


@pytest.fixture(scope="module")
def grid():
    return sweep(noise=(0.5, 2.0), ridge=(0.0, 0.01, 0.1), seed=range(20))


def test_claims_over_dimensions_hold(grid):
    found = decide(grid)
    assert {name: decision.verdict for name, decision in found.items()} == {
        "agrees": "holds",
        "peak_at_threshold": "holds",
        "noise_raises": "holds",
        "ridge_lowers": "holds",
        "second_descent": "undecided",
        "more_data_hurts": "undecided",
        "ablations": "undecided",
    }
    assert found["agrees"].numbers["cells"] == 28  # without ridge d = n decides nothing
    assert found["peak_at_threshold"].numbers["curves"] == 2
    assert not any("could not be computed" in decision.statistic for decision in found.values())


def test_a_wrong_risk_is_found(grid):
    wrong = grid.assign(excess_risk=grid["excess_risk"] * 2)
    assert decide(wrong)["agrees"].verdict == "fails"


def test_a_peak_elsewhere_is_found(grid):
    moved = grid.assign(excess_risk=grid["excess_risk"] + 1e6 * (grid["dimension"] == 30))
    assert decide(moved)["peak_at_threshold"].verdict == "fails"
    turned = grid.assign(excess_risk=1 / grid["excess_risk"])
    assert {decide(turned)[name].verdict for name in ("noise_raises", "ridge_lowers")} == {"fails"}


def test_weak_features_descend_below_the_first_minimum():
    results = sweep(model=("weak_features",), noise=(0.1,), samples=(10,), dimension=(2, 4, 10, 20, 30), seed=range(40))
    found = decide(results)
    assert found["second_descent"].verdict == found["agrees"].verdict == "holds"
    assert found["second_descent"].numbers["ratio"] < 1
    assert decide(results.assign(excess_risk=1 / results["excess_risk"]))["second_descent"].verdict == "fails"


def test_more_data_hurts_up_to_the_threshold():
    results = sweep(dimension=(20,), samples=(5, 10, 20, 40), noise=(0.5, 1.0))
    assert decide(results)["more_data_hurts"].verdict == "holds"
    assert decide(results.assign(excess_risk=1 / results["excess_risk"]))["more_data_hurts"].verdict == "fails"
    assert drawn(results) == {"samples", "sample_map"}


def test_each_ablation_removes_the_peak():
    kinds = ("none", "small_modes", "residuals", "test_directions")
    results = sweep(ablation=kinds, dimension=(10, 20, 40), seed=range(20))
    found = decide(results)["ablations"]
    assert found.verdict == "holds" and found.numbers["whole"] > 2
    assert {"ablation", "risk", "singular_value"} <= drawn(results)
    peaked = results.assign(excess_risk=results["excess_risk"] + 1e3 * (results["dimension"] == 20))
    assert decide(peaked)["ablations"].verdict == "fails"


def test_figures_of_the_grid(grid):
    assert drawn(grid) == {"risk", "train_error", "norm", "map", "singular_value"}


def test_few_seeds_and_unfinished_runs_decide_nothing():
    few = sweep(seed=range(3))
    waiting = few.assign_coords(status=("run", ["waiting"] * few.sizes["run"]))
    for results in (few, waiting):
        found = decide(results)
        assert {decision.verdict for decision in found.values()} == {"undecided"}
        assert not any("could not be computed" in decision.statistic for decision in found.values())
    assert drawn(waiting) == set()
