"""Draws measures over training: the centre over seeds with a band, panels and colours along swept axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy
import xarray as xr

from phenom_jax.laws.transition import last_place
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
    log_steps,
    long_name,
    note,
    panels,
    scale_axis,
    style,
)
from phenom_jax.report.marks import STEPS, Centre, Clock, LineStyle, Scale
from phenom_jax.report.roles import counted, resolve, shown_values, title, to_draw, where
from phenom_jax.store.axes import show, strata, words

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MANY = 10  # runs from which a band is 10-90 % rather than the whole range
_DRAWN = 200  # single runs drawn thin, of one colour in one panel
_FINE = 400  # points of a theory curve


def draw_curves(mark: marks.Curves, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the curves by step: a panel per value of one axis, a colour per value of another."""
    colour, panel = resolve(results, mark.colour, mark.panel)
    lines: marks.Lines = {**mark.lines, **mark.right}
    held, notes = to_draw(results, list(lines), [colour, panel], mark.at)
    if held is None:
        return None
    clock = _clock(held, mark.clock)
    panel_values, panel_note = shown_values(held, panel)
    colour_values, colour_note = shown_values(held, colour)
    palette = dict(zip(colour_values, colours(len(colour_values)), strict=True))
    dark = GREY if colour_values != [None] else palette[None]
    of_line = dict(zip(lines, colours(len(lines)) if mark.colour is None else [dark] * len(lines), strict=True))
    single, theory_drawn = None if mark.right else list(lines)[-1], False
    with style():
        figure, axes = panels(len(panel_values))
        twins = [axis.twinx() for axis in axes] if mark.right else axes
        for axis, twin, panel_value in zip(axes, twins, panel_values, strict=True):
            if mark.right and twin is not twins[0]:
                twin.sharey(twins[0])
            for order, colour_value in enumerate(colour_values):
                runs = where(where(held, panel, panel_value), colour, colour_value)
                for name, line in lines.items():
                    target = twin if name in mark.right else axis
                    shade = of_line[name] if mark.colour is None else palette[colour_value]
                    steps, middle = _draw(
                        target, runs[name], shade, line_style(line), name == single, mark.centre, clock
                    )
                    if name == mark.lowest and len(middle):
                        _dot(target, steps, middle, shade, order)
                for name, theory in mark.overlay.of.items() if mark.overlay and runs.sizes["run"] else ():
                    fine = _fine(held["step"].values)
                    curve = np.asarray(theory(runs, fine), float)
                    curve = np.where(np.isfinite(curve), curve, np.nan)
                    theory_drawn |= bool(np.isfinite(curve).any())
                    target = twin if name in mark.right else axis
                    target.plot(fine * clock.per_step, curve, color=DARK, linewidth=1, linestyle=DASHES, zorder=3)
            if mark.threshold is not None:
                axis.axhline(mark.threshold, color=PALE, linewidth=1, linestyle=":")
            if mark.lowest:
                axis.margins(y=0.15)
            log_steps(axis, held["step"].values * clock.per_step)
            axis.set_title(title(panel, panel_value))
        for axis in axes:  # they share limits and the choice of a scale, which what is drawn last may still move
            scale_axis(axis, mark.y)
        if mark.right:
            _finish_right(axes, twins, mark.right_y or Scale(""), [of_line[name] for name in mark.right])
        label_axes(axes, mark.y, clock.label)
        keys = [Key(f"{words(str(colour))} {show(value)}", palette[value], "-") for value in colour_values if colour]
        keys += line_keys(held, lines, of_line)
        keys += [Key(mark.overlay.label, DARK, "--", 1.0)] if mark.overlay and theory_drawn else []
        legend(figure, keys)
        marked = f"dots: lowest {mark.centre} of {long_name(held, mark.lowest)}" if mark.lowest else ""
        note(figure, [*notes, panel_note, colour_note, *_seeds(held, mark.centre), marked])
    return figure


def _clock(held: xr.Dataset, clock: Clock) -> _Ticks:
    """Returns what the x axis says and how much of it a step is; steps, where that differs between runs."""
    if not isinstance(clock.per_step, str):
        return _Ticks(clock.label, clock.per_step)
    lengths = np.unique(held[clock.per_step].values)
    return _Ticks(clock.label, float(lengths[0])) if len(lengths) == 1 else _Ticks(STEPS.label, 1)


class _Ticks(NamedTuple):
    label: str
    per_step: float


def _finish_right(axes: list, twins: list, scale: Scale, shades: list[str]) -> None:
    """Gives the second y axes their scale, and numbers and words to those that end a row."""
    for axis, twin in zip(axes, twins, strict=True):
        scale_axis(twin, scale)
        twin.grid(False)
        twin.spines["right"].set_visible(True)
        ends_row = axis is axes[-1] or axis.get_subplotspec().is_last_col()
        twin.tick_params(which="both", labelright=ends_row)
        twin.set_ylabel(scale.label if ends_row else "")
        if len(shades) == 1:
            twin.yaxis.label.set_color(shades[0])


def _draw(
    axis: matplotlib.axes.Axes,
    curve: xr.DataArray,
    colour: str,
    line: LineStyle,
    single: bool,
    centre: Centre,
    clock: _Ticks,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the centre of the runs with its band, a median with `single` over every run thin; returns steps, centre."""
    from matplotlib.collections import LineCollection

    steps, values_NxP = _carried(curve)
    steps = steps * clock.per_step
    if not values_NxP.size:
        return steps, np.empty(0)
    outer = (10, 90) if len(values_NxP) >= _MANY else (0, 100)
    low, middle, high = (
        _mean_band(values_NxP) if centre == "mean" else np.nanpercentile(values_NxP, [outer[0], 50, outer[1]], axis=0)
    )
    axis.plot(steps, middle, line, color=colour)
    if len(values_NxP) > 1:
        axis.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        if single and centre == "median":
            drawn = [np.column_stack([steps, values])[np.isfinite(values)] for values in values_NxP[:_DRAWN]]
            axis.add_collection(LineCollection(drawn, colors=colour, linewidths=0.7, alpha=0.35))
    return steps, middle


def _mean_band(values_NxP: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the mean at every step between the ends of its 95 % interval (Student's t)."""
    counts = np.isfinite(values_NxP).sum(0)
    mean = np.nanmean(values_NxP, axis=0)
    squares = np.nansum((values_NxP - mean) ** 2, axis=0)
    error = np.sqrt(squares / np.maximum(counts - 1, 1) / counts)
    half = scipy.stats.t.ppf(0.975, np.maximum(counts - 1, 1)) * error
    return mean - half, mean, mean + half


def _dot(axis: matplotlib.axes.Axes, steps: np.ndarray, middle: np.ndarray, colour: str, order: int) -> None:
    """Marks the lowest value of a curve by a dot that says the step, every other colour a line further below."""
    place = int(np.nanargmin(middle))
    axis.plot(steps[place], middle[place], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)
    axis.annotate(
        show(steps[place].item()),
        (steps[place], middle[place]),
        (0, -6 - 12 * (order % 2)),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=10,
        color=colour,
    )


def _fine(steps: np.ndarray) -> np.ndarray:
    """Returns steps for a smooth curve, the measured ones among them."""
    between = np.geomspace(1, max(steps[-1], 1), _FINE).round()
    return np.union1d(steps, between[(between >= steps[0]) & (between <= steps[-1])]).astype(int)


def _carried(curve: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps at which any run was measured, and float[run, step] with done runs at their last value."""
    values = curve.values.astype(float)
    values = np.where(np.isfinite(values), values, np.nan)
    runs = np.isfinite(values).any(1)
    values, done = values[runs], curve["status"].values[runs] == "done"
    measured = np.isfinite(values)
    last = last_place(measured)
    after_end = done[:, None] & (np.arange(values.shape[1]) > last[:, None])
    values = np.where(after_end, np.take_along_axis(values, last[:, None], 1), values)
    columns = np.flatnonzero(measured.any(0))
    if done.any():
        columns = np.union1d(columns, len(after_end[0]) - 1)
    return curve["step"].values[columns], values[:, columns]


def _seeds(held: xr.Dataset, centre: Centre) -> list[str]:
    """Returns what the lines and bands are made of, in words."""
    counts = np.bincount(strata(held))
    band = "10–90 %" if counts.min() >= _MANY else "range"
    band = "its 95 % interval" if centre == "mean" else band
    words = [f"{centre} and {band} of {counted(counts)} runs"] if counts.max() > 1 else ["single runs"]
    if (held["status"] == "done").any():
        words.append("runs that ended early are carried forward")
    return words
