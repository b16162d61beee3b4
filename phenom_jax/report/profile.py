"""Draws what runs end with over a swept hyperparameter: a centre with its interval, exact theory, vertical lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.laws import intervals
from phenom_jax.report import marks
from phenom_jax.report.figures import (
    DARK,
    DASHES,
    GREY,
    PALE,
    Key,
    colours,
    label_axes,
    legend,
    line_keys,
    line_style,
    note,
    panels,
    scale_axis,
    style,
)
from phenom_jax.report.marks import Centre, LineStyle, VLine
from phenom_jax.report.roles import counted, resolve, shown_values, title, to_draw, where
from phenom_jax.store.axes import final_values, show, strata, words
from phenom_jax.sweep.status import ENDED

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_FINE = 600  # points of a theory curve
_DOTTED = 40  # values of x up to which each is marked by a dot


def draw_profile(mark: marks.Profile, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns curves of final values over x: a panel per value of one hyperparameter, a colour per value of another."""
    x, colour, panel = resolve(results, mark.x, mark.colour, mark.panel)
    final = final_values(results)
    lines: marks.Lines = {name: line for name, line in mark.lines.items() if name in final}
    held, notes = to_draw(final, list(lines), [x, colour, panel], mark.at)
    if x is None or held is None:
        return None
    lost = int((held["status"].values == "diverged").sum())
    over = np.isin(held["status"].values, ENDED)
    held = held.isel(run=over & ((held[x].values > 0) | (not mark.log_x)))
    places = np.unique(held[x].values)
    if len(places) < 2:
        return None
    panel_values, panel_note = shown_values(held, panel)
    colour_values, colour_note = shown_values(held, colour)
    palette = dict(zip(colour_values, colours(len(colour_values)), strict=True))
    with style():
        figure, axes = panels(len(panel_values))
        for axis, panel_value in zip(axes, panel_values, strict=True):
            inside = where(held, panel, panel_value)
            for vertical in mark.verticals:
                _draw_vertical(axis, vertical, inside)
            for colour_value in colour_values:
                runs = where(inside, colour, colour_value)
                for name, line in lines.items():
                    _draw(axis, runs[x].values, runs[name].values, palette[colour_value], line_style(line), mark.centre)
                if mark.exact is not None and runs.sizes["run"]:
                    fine = _between(places, mark.log_x)
                    curve = np.asarray(mark.exact(runs, fine), float)
                    curve = np.where(np.isfinite(curve), curve, np.nan)
                    axis.plot(fine, curve, color=DARK, linewidth=1, linestyle=DASHES, zorder=3)
            axis.set_title(title(panel, panel_value))
            _scale_x(axis, places, mark.log_x)
        for axis in axes:  # they share limits, which what is drawn last may still move
            scale_axis(axis, mark.y)
        label_axes(axes, mark.y, words(x))
        keys = [Key(f"{words(str(colour))} {show(value)}", palette[value], "-") for value in colour_values if colour]
        dark = GREY if colour_values != [None] else palette[None]
        keys += line_keys(held, lines, dict.fromkeys(lines, dark))
        keys += [Key(mark.exact_label, DARK, "--", 1.0)] if mark.exact else []
        keys += [Key(vertical.label, PALE, ":", 1.0) for vertical in mark.verticals]
        legend(figure, keys)
        left_out = f"{lost} runs that diverged are left out" if lost else ""
        note(figure, [*notes, panel_note, colour_note, _said(held, x, mark.centre), left_out])
    return figure


def interval(values: np.ndarray, centre: Centre) -> tuple[float, float, float]:
    """Returns the low end, the centre and the high end of its 95 % interval; NaN values are left out.

    Args:
      values: of the runs of one cell; infinite ones count as largest.
      centre: "median": between order statistics, the whole range where there are too few; "mean": Student's t. Of a
        single value both ends are the value itself.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return np.nan, np.nan, np.nan
    if centre == "mean" and (len(values) == 1 or not np.isfinite(values).all()):
        mean = float(values.mean())
        return mean, mean, mean
    if centre == "mean":
        middle, low, high = intervals.student(values)
        return low, middle, high
    middle, low, high = intervals.order_statistics(values)
    return max(low, values.min()), middle, min(high, values.max())


def _draw(
    axis: matplotlib.axes.Axes, x: np.ndarray, values: np.ndarray, colour: str, line: LineStyle, centre: Centre
) -> None:
    places = np.unique(x)
    spans = np.array([interval(values[x == place], centre) for place in places]).reshape(-1, 3)
    low, middle, high = np.where(np.isfinite(spans), spans, np.nan).T
    drawn = np.isfinite(middle)
    if not drawn.any():
        return
    marker = {"marker": "o", "markersize": 3.5} if len(places) <= _DOTTED else {}
    axis.plot(places, middle, line, color=colour, **marker)
    if np.any(low[drawn] < high[drawn]):
        axis.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)


def _draw_vertical(axis: matplotlib.axes.Axes, vertical: VLine, runs: xr.Dataset) -> None:
    at = vertical.at
    if isinstance(at, str):
        values = np.unique(runs[at].values)
        at = float(values[0]) if len(values) == 1 else np.nan
    place = at(runs) if callable(at) else at
    if np.isfinite(place):
        axis.axvline(place, color=PALE, linewidth=1, linestyle=":", zorder=1)


def _between(places: np.ndarray, log_x: bool) -> np.ndarray:
    """Returns x values for a smooth curve: every whole number, or as many as there is room for."""
    low, high = places[0], places[-1]
    whole = np.issubdtype(places.dtype, np.integer)
    if whole and high - low < 4 * _FINE:
        return np.arange(low, high + 1)
    fine = np.geomspace(low, high, _FINE) if log_x else np.linspace(low, high, _FINE)
    return np.unique(np.concatenate([places, fine.round().astype(int) if whole else fine]))


def _scale_x(axis: matplotlib.axes.Axes, places: np.ndarray, log_x: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = float(places[0]), float(places[-1])
    if log_x:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: show(float(value))))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlim(low / (high / low) ** 0.02, high * (high / low) ** 0.02)
    else:
        axis.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
        axis.locator_params(axis="x", integer=np.issubdtype(places.dtype, np.integer))


def _said(held: xr.Dataset, x: str, centre: Centre) -> str:
    """Returns what lines and bands are made of, in words."""
    counts = np.bincount(strata(held))
    counts = counts[counts > 0]
    if counts.max() == 1:
        return "single runs"
    band = "range" if centre == "median" and counts.min() < 6 else "95 % interval of it"
    return f"{centre} and {band}, {counted(counts)} runs at each {words(x)}"
