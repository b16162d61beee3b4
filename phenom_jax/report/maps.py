"""Draws maps of a sweep: when something happens over two swept axes, and spectra over training and seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.report import marks
from phenom_jax.report.figures import DARK, blank, log_steps, note, style, thin
from phenom_jax.report.roles import counted, resolve, shown_values, where
from phenom_jax.report.tables import spread
from phenom_jax.store.axes import final_values, hold, show, strata, words
from phenom_jax.sweep.status import OVER

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MOST = 12  # values of an axis that are shown or named
_DARKER = 0.55  # of the colour scale, below which a cell's number is white
_CROWDED = 20  # from here on a colour bar has room for powers of ten alone


def draw_phase_map(mark: marks.PhaseMap, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a map of the median step at which something happened, over two swept axes."""
    across, up = resolve(results, mark.x, mark.y)
    if mark.when not in results or (across is None and up is None):
        return None
    held, notes = hold(results, [across, up], mark.at or {})
    held = held.isel(run=np.isin(held["status"].values, OVER))
    columns, columns_note = shown_values(held, across, _MOST)
    rows, rows_note = shown_values(held, up, _MOST)
    if not held.sizes["run"]:
        return None
    cells = [[where(where(held, across, i), up, j)[mark.when].values for i in columns] for j in rows]
    with style():
        figure = _drawn(cells, columns, rows, across, up, mark.label)
        never = any(np.isinf(spread(steps, never=True).median) for line in cells for steps in line)
        hatched = "hatched: half of the runs or more never do within their steps" if never else ""
        note(figure, [*notes, columns_note, rows_note, _of_runs(held, "run"), hatched])
    return figure


def draw_final_map(mark: marks.FinalMap, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a map of the median final value over two swept axes, a cell for each of their values."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter

    x, y = resolve(results, mark.x, mark.y)
    if x is None or y is None or mark.variable not in results:
        return None
    held, notes = hold(final_values(results), [x, y], mark.at or {})
    held = held.isel(run=np.isin(held["status"].values, OVER))
    columns, rows = (np.unique(held[axis].values) for axis in (x, y))
    medians = np.full((len(rows), len(columns)), np.nan)
    for (row, column), _ in np.ndenumerate(medians):
        values = where(where(held, x, columns[column].item()), y, rows[row].item())[mark.variable].values
        if (middle := spread(values, never=False).median) > 0:
            medians[row, column] = middle
    shown = medians[np.isfinite(medians)]
    if not len(shown):
        return None
    with style():
        figure = blank(9, 2.2 + 0.3 * min(len(rows), 14))
        axis = figure.subplots()
        axis.grid(False)
        norm = LogNorm(*_range(shown))
        image = axis.pcolormesh(np.where(np.isfinite(medians), medians, np.nan), cmap="viridis", norm=norm)
        for (row, column), middle in np.ndenumerate(medians if mark.numbers else np.empty((0, 0))):
            if np.isfinite(middle):
                colour = "white" if norm(middle) < _DARKER else DARK
                axis.text(column + 0.5, row + 0.5, f"{middle:.3g}", ha="center", va="center", fontsize=11, color=colour)
        for values, ticks in ((columns, axis.set_xticks), (rows, axis.set_yticks)):
            places = np.arange(0, len(values), -(-len(values) // _MOST))
            ticks(places + 0.5, [show(values[place].item()) for place in places])
        axis.tick_params(length=0)
        axis.set_xlabel(words(x))
        axis.set_ylabel(words(y))
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        figure.colorbar(image, ax=axis, label=mark.label, format=plain)
        note(figure, [*notes, _of_runs(held, "seed")])
    return figure


def draw_spectrum(mark: marks.Spectrum, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a spectrum over training for one run, and at the end of training for every seed."""
    name = mark.variable
    if name not in results:
        return None
    held, notes = hold(results, [], mark.at or {})
    measured_NxP = np.any(np.isfinite(held[name].values), axis=2)
    any_N = np.any(measured_NxP, axis=1)
    held, measured_NxP = held.isel(run=any_N), measured_NxP[any_N]
    if not held.sizes["run"]:
        return None
    best = held["status"].values.tolist().index("done") if "done" in held["status"].values else 0
    values_NxPxF, steps = held[name].values, held["step"].values[measured_NxP[best]]
    last_N = values_NxPxF.shape[1] - 1 - measured_NxP[:, ::-1].argmax(1)
    final_NxF = values_NxPxF[np.arange(len(last_N)), last_N]
    seeds, seeds_note = thin(list(range(len(final_NxF))), 24, "seed")
    top = float(np.nanmax(final_NxF))
    with style():
        figure = blank(11, 4.2)
        left, right = figure.subplots(1, 2)
        first = held[name].get_index(held[name].dims[2])[0]
        borders = np.arange(values_NxPxF.shape[2] + 1) + first - 0.5
        _heat(left, _edges(steps), borders, values_NxPxF[best][measured_NxP[best]].T, top)
        log_steps(left, steps)
        left.set_xlabel("training step")
        left.set_ylabel("frequency")
        left.set_title(f"over training, seed {held['seed'].values[best]}")
        image = _heat(right, np.arange(len(seeds) + 1) - 0.5, borders, final_NxF[seeds].T, top)
        right.set_xticks(range(len(seeds)), [show(held["seed"].values[row].item()) for row in seeds])
        right.set_xlabel("seed")
        for border in range(len(seeds) - 1):
            right.axvline(border + 0.5, color="white", linewidth=1.5)
        right.set_title("at the end of training, every seed")
        figure.colorbar(image, ax=[left, right], label=mark.label)
        note(figure, [*notes, seeds_note])
    return figure


def _drawn(
    cells: list[list[np.ndarray]], columns: list, rows: list, across: str | None, up: str | None, label: str
) -> matplotlib.figure.Figure:
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    medians = np.array([[spread(steps, never=True).median for steps in line] for line in cells])
    reached = medians[np.isfinite(medians)]
    figure = blank(2.6 + 1.25 * len(columns), 1.9 + 0.85 * len(rows))
    axis = figure.subplots()
    axis.grid(False)
    low, high = _range(np.maximum(reached, 1)) if reached.size else (1.0, 1.0)
    norm = LogNorm(low, high) if reached.size else None
    image = axis.pcolormesh(np.where(np.isfinite(medians), medians, np.nan), cmap="viridis", norm=norm)
    for (row, column), middle in np.ndenumerate(medians):
        steps = cells[row][column]
        if np.isnan(middle):
            continue
        if np.isinf(middle):
            axis.add_patch(Rectangle((column, row), 1, 1, facecolor="#f2f2f2", edgecolor="#d4d4d4", hatch="//"))
        count = int(np.isfinite(steps).sum())
        number = f"{middle:,.0f}" if np.isfinite(middle) else "" if count else "never"
        share = "" if count in (0, len(steps)) else f"{count} of {len(steps)} do"
        dark = np.isfinite(middle) and norm is not None and norm(middle) < _DARKER
        text = "\n".join(filter(None, (number, share)))
        colour = "white" if dark else DARK
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=11, color=colour)
    axis.set_xticks(np.arange(len(columns)) + 0.5, ["" if value is None else show(value) for value in columns])
    axis.set_yticks(np.arange(len(rows)) + 0.5, ["" if value is None else show(value) for value in rows])
    axis.tick_params(length=0)
    axis.set_xlabel(words(across) if across else "")
    axis.set_ylabel(words(up) if up else "")
    if norm is not None:
        plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
        side = figure.colorbar(image, ax=axis, label=label, format=plain).ax.yaxis
        side.set_minor_formatter(plain if high < _CROWDED * low else NullFormatter())
        if 5 * low < high < _CROWDED * low:
            side.set_minor_locator(LogLocator(subs=(2, 5)))
    return figure


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low / 2, high * 2)


def _of_runs(held: xr.Dataset, unit: str) -> str:
    """Returns what a cell's number is, in words."""
    counts = np.bincount(strata(held))
    counts = counts[counts > 0]
    return f"median of {counted(counts)} {unit}s" if counts.max(initial=1) > 1 else "single runs"


def _heat(axis: matplotlib.axes.Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, top: float):
    axis.grid(False)
    return axis.pcolormesh(x, y, values, cmap="viridis", vmin=0, vmax=top, rasterized=values.size > 5000)


def _edges(steps: np.ndarray) -> np.ndarray:
    """Returns the borders of cells around measured steps, the outermost at the steps themselves."""
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([steps[:1], between, np.maximum(steps[-1:], steps[0] + 1)])
