"""Tables of a sweep: one row per run, and one row per cell of runs that differ in their seed alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.hparams import Value
from phenom_jax.source import FACTS
from phenom_jax.store.atomic import write_whole
from phenom_jax.store.axes import cell_axes, final_values, hyperparameters, strata
from phenom_jax.sweep.status import OVER


class Spread(NamedTuple):
    """The median over the runs of a cell and their range; infinite where the run never got there."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.median):
            return ""
        texts = [
            "never" if np.isinf(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" for value in self
        ]
        return texts[0] if len(set(texts)) == 1 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


class Cell(NamedTuple):
    """Runs that agree in everything but their seed: where they are in the sweep, their statuses, what they measured."""

    values: dict[str, Value]
    statuses: dict[str, int]
    measures: dict[str, Spread]


def write_runs(path: Path, results: xr.Dataset) -> None:
    """Writes one tidy row per run as CSV: hyperparameters, status, per-run variables, last measured values."""
    final = final_values(results)
    labels = [name for name in ("status", "last_step", "reason", "code") if name in final.coords]
    facts = [str(name) for name in final.coords if str(name).startswith(FACTS)]
    columns = dict.fromkeys(["run_id", *hyperparameters(results), *labels, *facts, *map(str, final.data_vars)])
    write_whole(path, final.reset_coords().to_dataframe()[list(columns)].to_csv(index=False))


def cells(results: xr.Dataset) -> list[Cell]:
    """Returns the cells of the sweep, in the order of the swept axes' values.

    Spreads are over the runs that are over. A per-run variable that is NaN never happened in that run, unless it
    is what is known of a source; an `X_after`, the lower end of the interval that ends at `X_step`, is left out, and so
    are texts.
    """
    final, codes, axes = final_values(results), strata(results), cell_axes(results)
    lower_ends = {f"{str(name).removesuffix('_step')}_after" for name in final.data_vars if str(name).endswith("_step")}
    numbers = {str(name): array.values for name, array in final.data_vars.items() if array.dtype.kind in "biuf"}
    shown = {name: values for name, values in numbers.items() if name not in lower_ends}
    per_run = {str(name) for name, array in results.data_vars.items() if array.dims == ("run",)}
    per_run -= {name for name in per_run if name.startswith(FACTS)}  # what a source has not measured
    found = []
    for code in range(codes.max(initial=-1) + 1):
        rows = np.flatnonzero(codes == code)
        over = rows[np.isin(results["status"].values[rows], OVER)]
        found.append(
            Cell(
                {axis: results[axis].values[rows[0]].item() for axis in axes},
                dict(Counter(results["status"].values[rows].tolist())),
                {name: spread(values[over], never=name in per_run) for name, values in shown.items()},
            )
        )
    return found


def spread(values: np.ndarray, never: bool) -> Spread:
    """Returns the Spread of the runs of a cell; NaN is infinite where it says `never`, and else left out."""
    values = np.where(np.isnan(values), np.inf, values) if never else values[~np.isnan(values)]
    if not len(values):
        return Spread(np.nan, np.nan, np.nan)
    ordered = np.sort(values)
    middle = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return Spread(float(middle[0] + middle[1]) / 2, float(ordered[0]), float(ordered[-1]))
