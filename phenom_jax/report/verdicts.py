"""Draws the claims of a page: for each the units' numbers, the estimate with its interval, and the zone of the rule."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phenom_jax.report.figures import DARK, GREY, scale_axis, style, thin
from phenom_jax.report.marks import Scale

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

COLOURS = {"holds": "#1b7837", "fails": "#b2352d", "undecided": "#8a6a00"}
_ZONE, _EDGE, _DOTS = "#e3f2df", "#7fb574", "#555555"
_MOST = 12  # cells of a family that are drawn
_WIDE, _LEFT, _RIGHT = 9.0, 0.3, 0.3  # inches
_TITLE, _WORDS, _TICKS, _GAP, _LANE, _CELL = 0.21, 0.165, 0.3, 0.22, 0.46, 0.3  # inches high
_REACH = 1.5  # spans of all else, beyond which the end of an interval is an arrow


class VerdictRow(NamedTuple):
    """A claim as the figure shows it.

    Attributes:
      statement: its title.
      verdict: "holds", "fails" or "undecided"; any other is left out.
      estimate, low, high: with the ends of its interval, which may be infinite; arrays over the cells of a family.
      zone: where the rule says that it lies, from -inf or to inf.
      points: the units' numbers, infinite where they are beyond all; of a family an array for each cell.
      log: whether the x axis is logarithmic.
      words: what the numbers are, small.
      labels: of a family's cells.
      cells: the verdict of each cell, by which it is coloured; else all are by the claim's.
    """

    statement: str
    verdict: str
    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    zone: tuple[float, float]
    points: np.ndarray | Sequence[np.ndarray]
    log: bool
    words: str
    labels: Sequence[str] = ()
    cells: Sequence[str] = ()


class _Cell(NamedTuple):
    label: str
    colour: str
    estimate: float
    low: float
    high: float
    points: np.ndarray


def verdicts(rows: Sequence[VerdictRow]) -> matplotlib.figure.Figure | None:
    """Returns a strip for each claim that was tested, each on an x axis of its own; None where none was."""
    import matplotlib.figure

    strips = [_Strip(row) for row in rows if row.verdict in COLOURS]
    if not strips:
        return None
    height = sum(strip.height for strip in strips) + 0.1
    with style():
        figure = matplotlib.figure.Figure(figsize=(_WIDE, height))
        figure.set_layout_engine("none")
        top = height - 0.1
        for strip in strips:
            strip.draw(figure, top)
            top -= strip.height
    return figure


class _Strip:
    """One claim: how high it is, and how it is drawn."""

    def __init__(self, row: VerdictRow):
        self.row = row
        self.cells, thinned = _cells(row)
        self.title = textwrap.wrap(row.statement, 92) or [""]
        self.words = textwrap.wrap("; ".join(filter(None, (row.words, thinned))), 125)
        self.lane = _LANE if len(self.cells) == 1 else _CELL * len(self.cells)
        self.above = _TITLE * len(self.title) + _WORDS * len(self.words) + 0.05
        self.height = self.above + self.lane + _TICKS + _GAP

    def draw(self, figure: matplotlib.figure.Figure, top: float) -> None:
        """Draws the strip from `top` inches down."""
        tall = figure.get_figheight()
        colour = COLOURS[self.row.verdict]
        for line, text in enumerate(self.title):
            place = (_LEFT / _WIDE, (top - _TITLE * line) / tall)
            figure.text(*place, text, fontsize=11.5, color=DARK, va="top")
        place = (1 - _RIGHT / _WIDE, top / tall)
        figure.text(*place, self.row.verdict, fontsize=11.5, fontweight="bold", color=colour, va="top", ha="right")
        for line, text in enumerate(self.words):
            place = (_LEFT / _WIDE, (top - _TITLE * len(self.title) - _WORDS * line) / tall)
            figure.text(*place, text, fontsize=9, color="#666666", va="top")
        labels = [cell.label for cell in self.cells]
        left = _LEFT + (0.1 + 0.075 * max(map(len, labels)) if any(labels) else 0)
        bottom = top - self.above - self.lane
        axis = figure.add_axes((left / _WIDE, bottom / tall, 1 - (left + _RIGHT) / _WIDE, self.lane / tall))
        limits = _limits(self.row, self.cells)
        scale_axis(axis, Scale("", self.row.log, limits), "x")
        axis.set_ylim(len(self.cells) - 0.5, -0.5)
        axis.set_yticks(range(len(labels)), labels, fontsize=9)
        axis.grid(False)
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
        axis.tick_params(axis="x", which="both", labelsize=9, color="#aaaaaa", labelcolor=GREY)
        axis.spines["bottom"].set_color("#aaaaaa")
        _draw_zone(axis, self.row.zone, limits)
        for place, cell in enumerate(self.cells):
            _draw_cell(axis, cell, place, limits, self.row.log)


def _cells(row: VerdictRow) -> tuple[list[_Cell], str]:
    """Returns the cells to draw, and words for those left out."""
    estimates, lows, highs = (np.atleast_1d(np.asarray(each, float)) for each in (row.estimate, row.low, row.high))
    family = np.ndim(row.estimate) > 0
    points, labels = (row.points, row.labels) if family else ([row.points], [""])
    shades = [COLOURS.get(verdict, GREY) for verdict in row.cells or [row.verdict] * len(labels)]
    shown, words = thin(range(len(estimates)), _MOST, "cells")
    words = words.replace(" values of cells", " cells")
    arrays = [np.asarray(of_units, float) for of_units in points]
    cells = list(map(_Cell, labels, shades, estimates, lows, highs, arrays))
    return [cells[index] for index in shown], words


def _limits(row: VerdictRow, cells: Sequence[_Cell]) -> tuple[float, float]:
    """Returns the ends of the x axis: all dots, estimates and edges, and the intervals that do not reach far beyond."""
    to, back = (np.log10, lambda value: 10.0**value) if row.log else (np.asarray, float)

    def usable(values: np.ndarray) -> np.ndarray:
        return to(values[np.isfinite(values) & ((values > 0) | (not row.log))])

    estimates = np.array([cell.estimate for cell in cells])
    core = usable(np.concatenate([estimates, row.zone, *(cell.points for cell in cells)]))
    ends = usable(np.array([end for cell in cells for end in (cell.low, cell.high)]))
    everything = core if len(core) else ends if len(ends) else np.zeros(1)
    low, high = everything.min(), everything.max()
    reach = _REACH * (high - low)
    near = ends[(ends >= low - reach) & (ends <= high + reach)] if reach else ends
    low, high = min([low, *near]), max([high, *near])
    margin = 0.07 * (high - low) or (0.3 if row.log else abs(low) * 0.1 or 1.0)
    return float(back(low - margin)), float(back(high + margin))


def _draw_zone(axis: matplotlib.axes.Axes, zone: tuple[float, float], limits: tuple[float, float]) -> None:
    axis.axvspan(max(zone[0], limits[0]), min(zone[1], limits[1]), color=_ZONE, linewidth=0, zorder=0)
    for edge in zone:
        if limits[0] < edge < limits[1]:
            axis.axvline(edge, color=_EDGE, linewidth=1.2, zorder=1)


def _draw_cell(axis: matplotlib.axes.Axes, cell: _Cell, place: float, limits: tuple[float, float], log: bool) -> None:
    """Draws the units' dots under the estimate and its interval."""
    low, high = max(cell.low, limits[0]), min(cell.high, limits[1])
    points = np.sort(cell.points[~np.isnan(cell.points)])
    inside = (points >= limits[0]) & (points <= limits[1])
    beside = _side_by_side(points[inside], limits, log)
    jitter = (np.arange(len(points)) * 0.618034) % 1 - 0.5  # the golden ratio spreads any number of dots evenly
    dots = {"color": _DOTS, "linestyle": "", "markeredgewidth": 0, "alpha": 0.55, "zorder": 3, "clip_on": False}
    lane = place + 0.24 + 0.3 * jitter
    axis.plot(beside, lane[inside], marker="o", markersize=4.5, **dots)
    axis.plot(np.full((points > limits[1]).sum(), limits[1]), lane[points > limits[1]], marker=">", **dots)
    axis.plot(np.full((points < limits[0]).sum(), limits[0]), lane[points < limits[0]], marker="<", **dots)
    bar = {"color": cell.colour, "zorder": 4, "clip_on": False}
    level = place - 0.2
    axis.plot([low, high], [level, level], linewidth=4, solid_capstyle="butt", alpha=0.55, **bar)
    for end, marker, beyond in ((limits[0], "<", cell.low < limits[0]), (limits[1], ">", cell.high > limits[1])):
        if beyond:
            axis.plot(end, level, marker=marker, markersize=10, markeredgewidth=0, **bar)
    if limits[0] <= cell.estimate <= limits[1]:
        axis.plot(cell.estimate, level, "o", markersize=8.5, markeredgecolor="white", **bar)


def _side_by_side(points: np.ndarray, limits: tuple[float, float], log: bool) -> np.ndarray:
    """Returns ascending points with equal ones moved apart."""
    _, group, counts = np.unique(points, return_inverse=True, return_counts=True)
    order = np.arange(len(points)) - (np.cumsum(counts) - counts)[group]
    share = (order - (counts[group] - 1) / 2) * np.minimum(0.008, 0.1 / np.maximum(counts[group], 1))
    return points * (limits[1] / limits[0]) ** share if log else points + (limits[1] - limits[0]) * share
