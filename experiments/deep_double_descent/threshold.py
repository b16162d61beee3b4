"""The interpolation threshold: the narrowest network that fits its train set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.hparams import Value
from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import cell_axes, show, words

FITTED = 0.01  # train error


class Curve(NamedTuple):
    """Final values over width of the runs that agree in every other hyperparameter but their seeds.

    Attributes:
      setting: the other swept axes and their values.
      widths_K: ascending.
      values_SxK: by name; a row per seed that has every width.
    """

    setting: dict[str, Value]
    widths_K: np.ndarray
    values_SxK: dict[str, np.ndarray]

    @property
    def said(self) -> str:
        return ", ".join(f"{words(name)} {show(value)}" for name, value in self.setting.items())


def curves_over_width(results: xr.Dataset, names: tuple[str, ...]) -> Iterator[Curve]:
    """Yields a Curve for every setting that has three widths at least; runs that diverged count as not there."""
    final = final_values(results)
    final = final.isel(run=final["status"].isin(["finished", "done"]).values)
    axes = [axis for axis in cell_axes(results) if axis != "width"]
    settings = sorted(set(zip(*(final[axis].values.tolist() for axis in axes)))) if axes else [()]
    for values in settings:
        chosen = np.ones(final.sizes["run"], bool)
        for axis, value in zip(axes, values, strict=True):
            chosen &= final[axis].values == value
        runs = final.isel(run=chosen)
        widths_K = np.unique(runs["width"].values)
        if len(widths_K) < 3:
            continue
        tables = [_table(runs, name, widths_K) for name in names]
        whole = np.all([np.isfinite(table).all(1) for table in tables], axis=0)
        if whole.any():
            yield Curve(
                dict(zip(axes, values, strict=True)),
                widths_K,
                {name: table[whole] for name, table in zip(names, tables, strict=True)},
            )


def threshold(train_error_SxK: np.ndarray, widths_K: np.ndarray) -> float:
    """Returns the least width from which on the mean train error over seeds is at most 1 %, NaN without one."""
    fits_K = train_error_SxK.mean(0) <= FITTED
    from_K = np.logical_and.accumulate(fits_K[::-1])[::-1]
    return float(widths_K[from_K.argmax()]) if from_K.any() else np.nan


def threshold_of(results: xr.Dataset) -> float:
    """Returns the interpolation threshold of runs that differ in width and seeds alone, NaN where there is none."""
    found = list(curves_over_width(results, ("train_error",)))
    return threshold(found[0].values_SxK["train_error"], found[0].widths_K) if len(found) == 1 else np.nan


def _table(runs: xr.Dataset, name: str, widths_K: np.ndarray) -> np.ndarray:
    seeds = np.unique(runs["seed"].values)
    table = np.full((len(seeds), len(widths_K)), np.nan)
    row, column = np.searchsorted(seeds, runs["seed"].values), np.searchsorted(widths_K, runs["width"].values)
    table[row, column] = runs[name].values
    return table
