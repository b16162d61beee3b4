"""Figures of a sweep as maps: when something happens over two swept axes, and spectra over training and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.report.curves import At
from phenom_jax.report.figures import log_steps, note, style, thin
from phenom_jax.report.tables import OVER, final_values
from phenom_jax.store.axes import hold, show, swept_axes, words

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MOST = 12
_CROWDED = 20  # from here on a colour bar has room for powers of ten alone


def phase_diagram(
    results: xr.Dataset, when: str, x: Sequence[str], y: Sequence[str], label: str, at: At | None = None
) -> matplotlib.figure.Figure | None:
    """Returns a map of the median step at which something happened, over two swept axes.

    A cell says the median over its seeds on a logarithmic colour scale, and how many got there where not all did; a
    cell whose median run never did is hatched, one without a run that is over is blank.

    Args:
      results: of a sweep.
      when: a per-run variable, NaN where it never happened.
      x, y: hyperparameters; the first of each that varies is taken.
      label: of the colour bar.
      at: by axis, which of its values others are held at; else the middle one.
    """
    varying = [name for names in swept_axes(results).values() for name in names]
    across = next((name for name in x if name in varying), None)
    up = next((name for name in y if name in varying and name != across), None)
    if when not in results or (across is None and up is None):
        return None
    held, notes = hold(results, [across, up], at or {})
    held = held.isel(run=np.isin(held["status"].values, OVER))
    columns, columns_note = _values(held, across)
    rows, rows_note = _values(held, up)
    if not held.sizes["run"]:
        return None
    cells = [[_cell(held, when, across, column, up, row) for column in columns] for row in rows]
    with style():
        figure = _drawn(cells, columns, rows, across, up, label)
        never = any(np.isinf(_middle(steps)) for line in cells for steps in line)
        hatched = "hatched: half of the runs or more never do within their steps" if never else ""
        note(figure, [*notes, columns_note, rows_note, hatched])
    return figure


def final_map(
    results: xr.Dataset,
    variable: str,
    x: str,
    y: Sequence[str],
    label: str,
    at: At | None = None,
    numbers: bool = False,
) -> matplotlib.figure.Figure | None:
    """Returns a map of the median final value over two swept axes, a cell for each of their values, colours log-scaled.

    Args:
      results: of a sweep; a variable over (run, step) is taken at its last measured step.
      variable: positive values are shown, others are blank.
      x, y: hyperparameters; the first of `y` that varies is taken. None is returned where there are no two axes.
      label: of the colour bar.
      at: by axis, which of its values others are held at; else the middle one.
      numbers: whether cells say their value, for maps with few of them.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import FuncFormatter

    varying = [name for names in swept_axes(results).values() for name in names]
    up = next((name for name in y if name in varying and name != x), None)
    if x not in varying or up is None or variable not in results:
        return None
    held, notes = hold(final_values(results), [x, up], at or {})
    held = held.isel(run=np.isin(held["status"].values, ("finished", "done")))
    columns, rows = (np.unique(held[axis].values) for axis in (x, up))
    medians = np.full((len(rows), len(columns)), np.nan)
    for (row, column), _ in np.ndenumerate(medians):
        values = held[variable].values[(held[x].values == columns[column]) & (held[up].values == rows[row])]
        if len(values) and (middle := float(np.median(values))) > 0:
            medians[row, column] = middle
    if not np.isfinite(medians).any():
        return None
    shown = medians[np.isfinite(medians)]
    with style():
        figure = _blank(9, 2.2 + 0.3 * min(len(rows), 14))
        axis = figure.subplots()
        axis.grid(False)
        norm = LogNorm(*_log_range(shown))
        image = axis.pcolormesh(np.where(np.isfinite(medians), medians, np.nan), cmap="viridis", norm=norm)
        for (row, column), middle in np.ndenumerate(medians if numbers else np.empty((0, 0))):
            if np.isfinite(middle):
                colour = "white" if norm(middle) < 0.55 else "#222222"
                axis.text(column + 0.5, row + 0.5, f"{middle:.3g}", ha="center", va="center", fontsize=11, color=colour)
        for values, ticks in ((columns, axis.set_xticks), (rows, axis.set_yticks)):
            places = np.arange(0, len(values), -(-len(values) // _MOST))
            ticks(places + 0.5, [show(values[place].item()) for place in places])
        axis.tick_params(length=0)
        axis.set_xlabel(words(x))
        axis.set_ylabel(words(up))
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        figure.colorbar(image, ax=axis, label=label, format=plain)
        counts = np.unique(held["seed"].values)
        note(figure, [*notes, f"median of {len(counts)} seeds" if len(counts) > 1 else "single runs"])
    return figure


def spectrum(results: xr.Dataset, name: str, label: str, at: At | None = None) -> matplotlib.figure.Figure | None:
    """Returns a spectrum over training for one run, and at the end of training for every seed.

    Args:
      results: of a sweep.
      name: a variable over (run, step, frequency).
      label: of the colour bar.
      at: by axis, which of its values is shown; else the middle one.
    """
    if name not in results:
        return None
    held, notes = hold(results, [], at or {})
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
        figure = _blank(11, 4.2)
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
        figure.colorbar(image, ax=[left, right], label=label)
        note(figure, [*notes, seeds_note])
    return figure


def _values(results: xr.Dataset, axis: str | None) -> tuple[list, str]:
    return ([None], "") if axis is None else thin(np.unique(results[axis].values).tolist(), _MOST, words(axis))


def _cell(held: xr.Dataset, when: str, across: str | None, column: object, up: str | None, row: object) -> np.ndarray:
    """Returns the steps of the runs of one cell, ascending, infinite where it never happened."""
    inside = np.ones(held.sizes["run"], bool)
    for axis, value in ((across, column), (up, row)):
        if axis is not None:
            inside &= held[axis].values == value
    steps = held[when].values[inside]
    return np.sort(np.where(np.isnan(steps), np.inf, steps))


def _drawn(
    cells: list[list[np.ndarray]], columns: list, rows: list, across: str | None, up: str | None, label: str
) -> matplotlib.figure.Figure:
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter, NullFormatter

    medians = np.array([[_middle(steps) for steps in line] for line in cells])
    reached = medians[np.isfinite(medians)]
    figure = _blank(2.6 + 1.25 * len(columns), 1.9 + 0.85 * len(rows))
    axis = figure.subplots()
    axis.grid(False)
    low, high = _range(reached) if reached.size else (1.0, 1.0)
    norm = LogNorm(low, high) if reached.size else None
    image = axis.pcolormesh(np.where(np.isfinite(medians), medians, np.nan), cmap="viridis", norm=norm)
    for (row, column), median in np.ndenumerate(medians):
        steps = cells[row][column]
        if np.isnan(median):
            continue
        if np.isinf(median):
            axis.add_patch(Rectangle((column, row), 1, 1, facecolor="#f2f2f2", edgecolor="#d4d4d4", hatch="//"))
        count = int(np.isfinite(steps).sum())
        number = f"{median:,.0f}" if np.isfinite(median) else "" if count else "never"
        share = "" if count in (0, len(steps)) else f"{count} of {len(steps)} do"
        dark = np.isfinite(median) and norm is not None and norm(median) < 0.55
        text = "\n".join(filter(None, (number, share)))
        colour = "white" if dark else "#222222"
        axis.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=11, color=colour)
    axis.set_xticks(np.arange(len(columns)) + 0.5, ["" if value is None else show(value) for value in columns])
    axis.set_yticks(np.arange(len(rows)) + 0.5, ["" if value is None else show(value) for value in rows])
    axis.tick_params(length=0)
    axis.set_xlabel(words(across) if across else "")
    axis.set_ylabel(words(up) if up else "")
    if norm is not None:
        plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
        between = plain if high < _CROWDED * low else NullFormatter()
        figure.colorbar(image, ax=axis, label=label, format=plain).ax.yaxis.set_minor_formatter(between)
    return figure


def _middle(steps: np.ndarray) -> float:
    """Returns the upper median of ascending steps, so that half of the runs or more got there; NaN of none."""
    return float(steps[len(steps) // 2]) if len(steps) else np.nan


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(max(values.min(), 1)), float(max(values.max(), 1))
    return (low, high) if high > low else (low / 2, high * 2)


def _log_range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low / 2, high * 2)


def _heat(axis: matplotlib.axes.Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, top: float):
    axis.grid(False)
    return axis.pcolormesh(x, y, values, cmap="viridis", vmin=0, vmax=top, rasterized=values.size > 5000)


def _edges(steps: np.ndarray) -> np.ndarray:
    """Returns the borders of cells around measured steps, the outermost at the steps themselves."""
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([steps[:1], between, np.maximum(steps[-1:], steps[0] + 1)])


def _blank(width: float, height: float) -> matplotlib.figure.Figure:
    import matplotlib.figure

    return matplotlib.figure.Figure(figsize=(max(width, 5), height))
