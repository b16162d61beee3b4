"""Draws the phase picture of training: a variable over a swept hyperparameter and training time, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.report import marks
from phenom_jax.report.figures import blank, note, style
from phenom_jax.report.marks import Border
from phenom_jax.report.roles import counted, resolve, shown_values, title, to_draw, where
from phenom_jax.store.axes import show, words
from phenom_jax.sweep.status import ENDED

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_LABELLED = 9  # values of x that get a tick label
_BRIGHTEST = 0.7  # quantile that the colours end at: what an untrained network does would take most of them


def draw_heat(mark: marks.Heat, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the median over runs by x and time: a panel per value of one hyperparameter."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    x, panel = resolve(results, mark.x, mark.panel)
    border = mark.border
    held, notes = to_draw(results, [mark.variable, *([border.variable] if border else [])], [x, panel], mark.at)
    if x is None or held is None:
        return None
    held = held.isel(run=np.isin(held["status"].values, ENDED))
    columns = np.unique(held[x].values)
    if len(columns) < 2:
        return None
    panel_values, panel_note = shown_values(held, panel, 3)
    times = (held["step"].values if mark.time == "step" else held[mark.time].values[0]).astype(float)
    maps = [_medians(where(held, panel, value), mark.variable, x, columns) for value in panel_values]
    rows = np.flatnonzero((times > 0) & np.isfinite(maps).any((0, 2)))
    if len(rows) < 2:
        return None
    shown = np.stack([map_TxX[rows] for map_TxX in maps])
    norm = Normalize(float(np.nanmin(shown)), float(np.nanquantile(shown, _BRIGHTEST)))
    with style():
        figure = blank(4.6 * len(panel_values) + 1.6, 4.4)
        axes = figure.subplots(1, len(panel_values), squeeze=False, sharey=True)[0]
        edges_X, edges_T = np.arange(len(columns) + 1) - 0.5, _edges(times[rows])
        for axis, value, map_TxX in zip(axes, panel_values, shown, strict=True):
            axis.pcolormesh(edges_X, edges_T, map_TxX, cmap="viridis", norm=norm)
            if border:
                fitted_TxX = _medians(where(held, panel, value), border.variable, x, columns)[rows]
                _draw_border(axis, fitted_TxX, times[rows], border)
            _finish(axis, columns, x, title(panel, value))
        axes[0].set_ylabel("training step" if mark.time == "step" else words(mark.time))
        figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes.tolist(), label=mark.label, extend="max")
        if border:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left")
        counts = np.unique([np.sum(held[x].values == value) // len(panel_values) for value in columns])
        note(figure, [*notes, panel_note, f"median of {counted(counts)} runs" if counts[-1] > 1 else "single runs"])
    return figure


def _medians(runs: xr.Dataset, variable: str, x: str, columns: np.ndarray) -> np.ndarray:
    """Returns float[step, x], NaN where nothing was measured."""
    values = np.full((runs.sizes["step"], len(columns)), np.nan)
    for index, column in enumerate(columns):
        chosen = runs[variable].values[runs[x].values == column]
        measured = np.isfinite(chosen).any(0) if len(chosen) else np.zeros(len(values), bool)
        values[measured, index] = np.nanmedian(chosen[:, measured], axis=0) if len(chosen) else np.nan
    return values


def _draw_border(axis: matplotlib.axes.Axes, values_TxX: np.ndarray, times: np.ndarray, border: Border) -> None:
    """Draws the first time at which each column is at the limit as a line of steps; where it never is there is none."""
    inside = values_TxX <= border.limit
    edges = _edges(times)
    first = np.where(inside.any(0), edges[inside.argmax(0)], np.nan)
    x = np.arange(len(first) + 1) - 0.5
    axis.stairs(first, x, baseline=None, color="white", linewidth=4)
    axis.stairs(first, x, baseline=None, color="#d62728", linewidth=2, label=border.label)


def _finish(axis: matplotlib.axes.Axes, columns: np.ndarray, x: str, title: str) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.grid(False)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    shown = np.unique(np.linspace(0, len(columns) - 1, min(_LABELLED, len(columns))).round().astype(int))
    axis.set_xticks(shown, [show(columns[index].item()) for index in shown])
    axis.set_xlabel(words(x))
    axis.set_title(title)


def _edges(times: np.ndarray) -> np.ndarray:
    """Returns the borders of cells around positive times: geometric means, the outermost at the times themselves."""
    return np.concatenate([times[:1], np.sqrt(times[1:] * times[:-1]), times[-1:]])
