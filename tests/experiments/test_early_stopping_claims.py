"""The claims of early stopping on sweeps in closed form, whose answers are known."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.early_stopping import PENALTIES, summarise
from experiments.early_stopping.claims import CLAIMS
from experiments.early_stopping.scales import closed_form
from phenom_jax.results.claims import decide_all

STEPS = np.unique(np.concatenate([[0], np.geomspace(1, 3000, 100).round()])).astype(int)
DEFAULTS = {
    "seed": 0,
    "learning_rate": 0.1,
    "noise": 1.0,
    "features": 16,
    "samples": 160,
    "model": "linear",
    "scales": "two",
    "inputs": "grid",
    "step_sizes": "equal",
}


def sweep(bias=1.0, ridge=1.0, status="finished", **axes):
    """Returns a sweep whose runs scatter about `bias` times the closed form, a factor common to all their steps."""
    axes = {"seed": range(40)} | axes
    points = [DEFAULTS | dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    coords = {name: ("run", np.array([point[name] for point in points]), {"hyperparameter": 1}) for name in DEFAULTS}
    coords["status"] = ("run", [status] * len(points))
    results = xr.Dataset(coords={"step": STEPS, **coords})
    risk = np.stack([closed_form(results.isel(run=[row]), STEPS).total for row in range(len(points))])
    scatter = np.random.default_rng(0).normal(size=(len(points), 1))
    risk = risk * np.where(STEPS > 0, bias * (1 + 0.01 * scatter), 1)
    measured = np.full((len(points), len(STEPS), len(PENALTIES)), np.nan)
    measured[:, -1] = risk.min(1)[:, None] / ridge * (1 + 0.1 * np.abs(np.log(PENALTIES / 0.1)))
    noise = results["noise"].values[:, None]
    return summarise(
        results.assign(
            excess_risk=(("run", "step"), risk),
            validation_loss=(("run", "step"), risk + noise**2),
            scale_risk=(("run", "step", "scale"), np.zeros((*risk.shape, 2))),
            ridge_excess_risk=(("run", "step", "penalty"), measured),
            ridge_validation_loss=(("run", "step", "penalty"), measured + 1),
        )
    )


def verdicts(results):
    return {name: decision.verdict for name, decision in decide_all(CLAIMS, results).items()}


def test_claims_that_are_true_hold():
    found = decide_all(CLAIMS, sweep(noise=(0.5, 1.0, 1.5), step_sizes=("equal", "aligned")))
    assert {name: decision.verdict for name, decision in found.items()} == {
        "closed_form": "holds",
        "second_minimum": "holds",
        "patience_misses": "holds",
        "stopping_beats_the_end": "holds",
        "aligned_has_one_minimum": "holds",
        "close_to_ridge": "undecided",
    }
    assert found["closed_form"].numbers["cells"] == 6 and found["closed_form"].numbers["errors"] < 4
    assert found["second_minimum"].numbers["rise noise 1, step sizes equal"] == pytest.approx(0.2694 - 0.2596, rel=0.02)
    assert found["patience_misses"].statistic.startswith("noise 1, step sizes equal: 40 of 40 (91–100 %)")


def test_a_risk_beside_the_closed_form_fails():
    assert verdicts(sweep(bias=1.05))["closed_form"] == "fails"


def test_a_rise_where_the_closed_form_falls_fails():
    results = sweep()
    results["excess_risk"] = results["excess_risk"].where(results.step < 100, 1.0)
    found = verdicts(summarise(results))
    assert found["second_minimum"] == "fails" and found["patience_misses"] == "fails"


def test_an_end_that_is_better_than_the_stopping_step_fails():
    results = sweep()
    results["excess_risk"] = results["excess_risk"].where(results.step < 3000, 0.01)
    assert verdicts(results.assign(stopping_risk=results.stopping_risk))["stopping_beats_the_end"] == "fails"


def test_a_second_descent_with_aligned_step_sizes_fails():
    results = sweep(step_sizes=("equal", "aligned"))
    late = (results.step_sizes == "aligned") & (results.step > 1000)
    results["excess_risk"] = results["excess_risk"].where(~late, results.excess_risk - 0.02)
    assert verdicts(results)["aligned_has_one_minimum"] == "fails"


@pytest.mark.parametrize("ridge, verdict", [(1.1, "holds"), (1.5, "fails")])
def test_the_ratio_to_ridge_is_decided(ridge, verdict):
    found = decide_all(CLAIMS, sweep(ridge=ridge, inputs=("gaussian",), scales=("one",)))["close_to_ridge"]
    assert found.verdict == verdict and found.statistic.startswith("all runs: ratio")


def test_a_sweep_that_lacks_what_a_claim_needs_is_undecided():
    found = decide_all(CLAIMS, sweep(seed=range(5), noise=(0.0,)))
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    assert not any("could not be computed" in decision.statistic for decision in found.values())
    assert "no cell of a linear model" in found["patience_misses"].statistic


def test_without_any_run_over_all_is_undecided():
    found = decide_all(CLAIMS, sweep(status="waiting"))
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    assert not any("could not be computed" in decision.statistic for decision in found.values())
