"""The claims about stages of learning, decided on the runs from the smallest weights of a sweep."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from phenom_jax.laws.bootstrap import bootstrap
from phenom_jax.results.claims import Claim, Decision, Verdict

ENOUGH_RUNS = 20
IN_ORDER = 0.9  # share of the runs
WAITING = 0.1  # of its final value that a mode may have while the one before is learnt


def one_after_other(results: xr.Dataset) -> Decision:
    """Counts the runs that learn the teacher's modes in the order of their strength, with a Wilson interval."""
    runs, said = _small(results)
    if runs is None:
        return Decision("undecided", said)
    step_NxM = np.where(np.isnan(runs["learnt_step"].values), np.inf, runs["learnt_step"].values)
    after_NxM = np.where(np.isinf(step_NxM), runs["last_step"].values[:, None], runs["learnt_after"].values)
    pairs_M = _pairs(runs)
    earlier, later = step_NxM[:, :-1], step_NxM[:, 1:]
    learnt = np.isfinite(earlier) | np.isfinite(later)
    first = learnt & (earlier <= after_NxM[:, 1:])
    second = learnt & (later <= after_NxM[:, :-1])
    told = ((first | second) | ~pairs_M).all(1)
    total, ordered = int(told.sum()), int((told & (first | ~pairs_M).all(1)).sum())
    if total < ENOUGH_RUNS:
        return Decision("undecided", f"{total} runs tell the order of their modes, at least {ENOUGH_RUNS} are needed")
    low, high = stats.binomtest(ordered, total).proportion_ci(method="wilson")
    verdict: Verdict = "holds" if low > IN_ORDER else "fails" if high < IN_ORDER else "undecided"
    medians = ", ".join(f"{value:g}" for value in np.median(step_NxM, 0)[[*pairs_M, pairs_M[-1]]])
    return Decision(
        verdict,
        f"in {ordered} of {total} runs ({100 * low:.0f}–{100 * high:.0f} %) whose measured steps tell; median steps "
        f"{medians}{said}",
        {"ordered": ordered, "told": total, "runs": runs.sizes["run"], "low": low, "high": high},
    )


def stages(results: xr.Dataset) -> Decision:
    """Looks at how much of a mode the network has when it has learnt half of the mode before."""
    runs, said = _small(results)
    if runs is None:
        return Decision("undecided", said)
    parts, verdicts, numbers = [], [], {}
    for place in np.flatnonzero(_pairs(runs)):
        at = runs["learnt_step"].values[:, place]
        here = runs.isel(run=np.isfinite(at))
        if here.sizes["run"] < ENOUGH_RUNS:
            said = f"{here.sizes['run']} runs learn mode {place + 1}, at least {ENOUGH_RUNS} are needed"
            return Decision("undecided", said)
        steps = xr.DataArray(at[np.isfinite(at)].astype(int), dims="run")
        share = np.abs(here["mode_strength"].isel(mode=place + 1).sel(step=steps).values)
        found = bootstrap(lambda rows, share=share: float(np.median(share[rows])), here["seed"].values)
        verdicts.append("holds" if found.high < WAITING else "fails" if found.low > WAITING else "undecided")
        parts.append(f"{found} of mode {place + 2} at the step of mode {place + 1}")
        numbers |= {
            f"share_{place + 2}": found.estimate,
            f"low_{place + 2}": found.low,
            f"high_{place + 2}": found.high,
        }
    verdict: Verdict = "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"
    return Decision(verdict, f"median {', '.join(parts)}{said}", numbers)


def _small(results: xr.Dataset) -> tuple[xr.Dataset | None, str]:
    """Returns the finished runs with the smallest initial weights, if the teacher has two modes; what was left out."""
    over = results.isel(run=(results["status"] == "finished").values)
    if not over.sizes["run"]:
        return None, "no run is over"
    smallest = over["deviation"].values.min()
    runs = over.isel(run=(over["deviation"] == smallest).values)
    if not _pairs(runs).any():
        return None, "the teachers have no two different singular values in common"
    others = over.sizes["run"] > runs.sizes["run"]
    return runs, f"; runs from weights of deviation {smallest:g}" if others else ""


def _pairs(runs: xr.Dataset) -> np.ndarray:
    """Returns bool[modes - 1]: whether a mode and the next one differ and are there in every run."""
    strength_NxM = np.stack([runs[f"strength_{mode}"].values for mode in runs["mode"].values], 1)
    return np.all((strength_NxM[:, :-1] > strength_NxM[:, 1:]) & (strength_NxM[:, 1:] > 0), axis=0)


CLAIMS = (
    Claim(
        "one_after_other",
        "From small weights the teacher's singular values are learnt one after the other, the largest first.",
        "Saxe et al. 2013, section 1.3; 2019, figure 3",
        one_after_other,
        rule="A mode is learnt at half of its final strength. Among the runs of the smallest initial weights whose "
        "measured steps tell, holds if the share that learns all in order is above 0.9 with its whole 95 % Wilson "
        "interval, fails if below.",
    ),
    Claim(
        "stages",
        "Learning goes in stages: a singular value is still near zero when half of the one before is learnt.",
        "Saxe et al. 2013, section 1.3",
        stages,
        rule="Holds if the median share of the later mode is below 0.1 for each pair, with its whole 95 % bootstrap "
        "interval over seeds; fails if it is above for one.",
    ),
)
