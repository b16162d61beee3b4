"""Which runs a claim looks at, the intervals of what they show, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy import stats

from experiments.silent_alignment.summary import TURNED
from phenom_jax.laws.bootstrap import Interval
from phenom_jax.results.claims import Decision, Verdict
from phenom_jax.store.axes import groups

FEWEST = 3  # runs that an interval is made of
SETTING = ("depth", "inputs", "width", "strength", "learning_rate")


def whitened(results: xr.Dataset, start: str = "gaussian") -> xr.Dataset:
    """Returns the runs that are over of linear networks with one output on whitened inputs."""
    linear = (results["model"] == "linear") & (results["spectrum"] == 0) & (results["modes"] == 1)
    return chosen(results, linear & (results["start"] == start))


def chosen(results: xr.Dataset, which: xr.DataArray) -> xr.Dataset:
    """Returns the chosen runs that came to their end without diverging."""
    return results.isel(run=(which & results["status"].isin(["finished", "done"])).values)


def extreme(
    runs: xr.Dataset, pick: Callable[[np.ndarray], float], at_least: float = 0.0, at_most: float = np.inf
) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields, setting by setting, the runs that learnt from the smallest or the largest init scale within bounds."""
    scale = runs["init_scale"]
    runs = chosen(runs, (scale >= at_least) & (scale <= at_most) & runs["half_time"].notnull())
    for label, group in groups(runs, SETTING):
        cell = extreme_of(group, "init_scale", pick)
        if seeds(cell) >= FEWEST:
            yield f"{label}, init scale {cell['init_scale'].values[0]:g}", cell


def extreme_of(runs: xr.Dataset, name: str, pick: Callable[[np.ndarray], float]) -> xr.Dataset:
    return runs.isel(run=(runs[name] == pick(runs[name].values)).values)


def seeds(runs: xr.Dataset) -> int:
    return len(np.unique(runs["seed"].values))


def at_turning(runs: xr.Dataset, name: str) -> np.ndarray:
    """Returns float[run], the last measured value while at most 10 % of the loss is gone."""
    early = runs["relative_loss"].values >= 1 - TURNED
    place = early.shape[1] - 1 - early[:, ::-1].argmax(1)
    return runs[name].values[np.arange(len(place)), place]


def mean(values: np.ndarray) -> Interval:
    """Returns the mean over runs with Student's 95 % interval."""
    centre, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    half = stats.t.ppf(0.975, len(values) - 1) * error
    return Interval(float(centre), float(centre - half), float(centre + half))


def within(found: Interval, low: float, high: float) -> Verdict:
    """Returns whether an interval lies inside bounds, outside, or across one."""
    if low <= found.low and found.high <= high:
        return "holds"
    return "fails" if found.high < low or found.low > high else "undecided"


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns "holds" if all do, "fails" if any does."""
    return "fails" if "fails" in verdicts else "holds" if set(verdicts) == {"holds"} else "undecided"


def decision(verdicts: Sequence[Verdict], said: Sequence[str], numbers: Mapping[str, float], lacking: str) -> Decision:
    """Returns the Decision that all cells make together; undecided where there is none, which `lacking` says."""
    if not verdicts:
        return Decision("undecided", f"no {lacking}")
    return Decision(together(verdicts), "; ".join(said), numbers)
