"""The claims and figures of deep linear stages, on modes that follow the exact curves of three balanced layers."""

import numpy as np
import pytest
import xarray as xr

from experiments.deep_linear import experiment
from experiments.deep_linear.science import summarise
from phenom_jax.claims.lift import decide_all
from phenom_jax.report.draw import draw
from phenom_jax.theory.deep_linear import mode
from phenom_jax.theory.learning_coefficient import deep_linear

STRENGTHS = np.array([3.0, 1.5, 0.7])
SMALL, LARGE = (1e-4, 1e-4, 1e-4), (0.5, 0.5, 0.3)


def sweep(*starts, seeds=40, **given):
    """Returns summarised results: for every seed a run per cell, whose modes start so; cells differ in their depth."""
    steps = np.unique(np.append(0, np.geomspace(1, 6000, 200).round())).astype(int)
    cells, runs = np.tile(np.arange(len(starts)), seeds), len(starts) * seeds
    product = np.zeros((runs, len(steps), 3, 3))
    for run, place in np.ndindex(runs, 3):
        start = starts[cells[run]][place] * (1 + 0.1 * run / runs)
        product[run, :, place, place] = mode(0.02 * steps, float(STRENGTHS[place]), start, 3)
    swept = {"seed": np.repeat(np.arange(seeds), len(starts)), "deviation": np.full(runs, 0.05), "depth": 2 + cells}
    swept |= {f"strength_{k + 1}": np.full(runs, STRENGTHS[k]) for k in range(3)} | {"samples": np.full(runs, 100)}
    swept |= {name: np.full(runs, 3) for name in ("inputs", "width", "outputs")}
    swept |= {name: np.full(runs, value) for name, value in given.items() if name != "status"}
    coordinates = {name: ("run", values, {"hyperparameter": 1}) for name, values in swept.items()}
    coordinates |= {"run_id": ("run", np.arange(runs).astype(str)), "last_step": ("run", np.full(runs, 6000))}
    coordinates |= {"status": ("run", np.full(runs, given.get("status", "finished"))), "step": steps}
    loss = (("run", "step"), np.square(product - np.diag(STRENGTHS)).sum((2, 3)) / 2)
    measured = {"product": (("run", "step", "output", "input"), product), "train_loss": loss, "excess_risk": loss}
    return summarise(xr.Dataset(measured, coordinates))


def verdicts(results):
    return [finding.verdict for finding in decide_all(experiment.claims, results, strict=True)]


def test_modes_and_their_steps_are_told_from_the_product():
    results = sweep(SMALL, seeds=1)
    np.testing.assert_allclose(results["singular_values"].values[0, -1], STRENGTHS, rtol=1e-3)
    np.testing.assert_allclose(results["mode_strength"].values[0, -1], 1, rtol=1e-3)
    assert results["rank"].values[0, [0, -1]].tolist() == [0, 3]
    assert results["learning_coefficient"].values[0, [0, -1]].tolist() == [
        deep_linear([3] * 3, k).value for k in (0, 3)
    ]
    steps, shares = results["learnt_step"].values[0], results["mode_strength"].isel(run=0)
    assert (np.diff(steps) > 0).all() and not np.isin(steps, results["step"]).any()  # between the measured ones
    for k in range(3):
        assert shares.isel(mode=k).interp(step=steps[k]) == pytest.approx(0.5, abs=1e-6)


def test_modes_that_wait_for_each_other_hold_the_claims():
    assert verdicts(sweep(SMALL)) == ["holds", "holds"]


def test_modes_that_start_large_or_in_another_order_fail_them():
    assert verdicts(sweep((1e-4, 1e-4, 0.3))) == ["fails", "fails"]  # the third is learnt before the second
    assert verdicts(sweep(LARGE))[1] == "fails"


def test_runs_of_one_seed_count_as_one_number():
    """One cell in the wrong order makes every seed say so: two runs of a seed are not two witnesses."""
    order, _ = decide_all(experiment.claims, sweep(SMALL, (1e-4, 1e-4, 0.3)), strict=True)
    assert order.verdict == "fails" and order.units == 40 and order.estimate.estimate == 0


def test_too_few_seeds_decide_nothing_and_what_is_missing_is_not_tested():
    assert verdicts(sweep(SMALL, seeds=4)) == ["undecided", "undecided"]
    assert verdicts(sweep(SMALL, status="diverged")) == ["not tested", "not tested"]
    assert verdicts(sweep(SMALL, deviation=0.5)) == ["not tested", "not tested"]
    early = sweep((1e-4, 1e-5, 1e-7), seeds=6)
    assert verdicts(early.assign(learnt_step=early["learnt_step"].where(early["mode"] == 1)))[0] == "not tested"


@pytest.mark.parametrize("starts", [(SMALL,), (SMALL, LARGE)])
def test_figures_are_drawn(starts):
    results = sweep(*starts, seeds=6)
    drawn = {figure.name: draw(figure, results) is not None for figure in experiment.figures}
    assert drawn == {"stages": True, "order": True, "loss": True, "learnt": len(starts) > 1}
    assert {claim.figure for claim in experiment.claims} <= set(drawn)
