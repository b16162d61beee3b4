"""Figures of measures over training: the median over seeds with a band, panels and colours along swept axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from phenom_jax.hparams import Value
from phenom_jax.report.figures import LineStyle, colours, log_steps, note, panels, style, thin
from phenom_jax.store.axes import cell_codes, hold, show, words

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

At = Mapping[str, Callable[[list], Value]]

_MANY = 10  # runs from which a band is 10-90 % rather than the whole range
_DRAWN = 200  # single runs drawn thin, of one colour in one panel
_FINE = 400  # points of a theory curve
_DARK = "#222222"


class Scale(NamedTuple):
    """A y axis: what it says, whether it is logarithmic, its limits."""

    label: str
    log: bool = False
    limits: tuple[float | None, float | None] | None = None


class Clock(NamedTuple):
    """An x axis other than the training step: what it says, and how much of it a step is."""

    label: str
    per_step: float


STEPS = Clock("training step", 1)


class Overlay(NamedTuple):
    """Theory to draw over curves, thin and dashed."""

    label: str
    of: Mapping[str, Callable[[xr.Dataset, np.ndarray], np.ndarray]]  # by variable: (runs of one curve, steps) -> y


class Key(NamedTuple):
    """An entry of a legend."""

    label: str
    colour: str
    line: LineStyle
    width: float = 2.0


def curves(
    results: xr.Dataset,
    lines: Mapping[str, LineStyle],
    scale: Scale,
    colour: str | None = None,
    panel: str | None = None,
    at: At | None = None,
    threshold: float | None = None,
    centre: Literal["median", "mean"] = "median",
    overlay: Overlay | None = None,
    minimum_of: str | None = None,
    clock: Clock = STEPS,
) -> matplotlib.figure.Figure | None:
    """Returns curves by step: a panel per value of one axis, a colour per value of another.

    Median over seeds with a band, and single runs thin under the last of `lines`; or the mean with its 95 % interval.
    Other swept axes are held at one value and the figure says at which. Runs that met the experiment's `done` are
    carried forward at their last value.

    Args:
      results: of a sweep.
      lines: line style ("--", "-") by variable.
      scale: of the y axis.
      colour, panel: hyperparameters; ignored where they do not vary. With no colour asked for, a colour per variable.
      at: by axis, which of its values others are held at; else the middle one.
      threshold: a value to mark.
      centre: of the runs that differ in their seeds alone.
      overlay: theory; what is not finite is not drawn.
      minimum_of: the variable whose lowest drawn value is marked with its step.
      clock: what the x axis counts.
    """
    held, notes = to_draw(results, list(lines), [colour, panel], at)
    if held is None:
        return None
    panel_values, panel_note = shown_values(held, panel, 6)
    colour_values, colour_note = shown_values(held, colour, 6)
    palette = dict(zip(colour_values, colours(len(colour_values)), strict=True))
    dark = "#444444" if colour_values != [None] else palette[None]
    of_line = dict(zip(lines, colours(len(lines)) if colour is None else [dark] * len(lines), strict=True))
    with style():
        figure, axes = panels(len(panel_values))
        for axis, panel_value in zip(axes, panel_values, strict=True):
            for order, colour_value in enumerate(colour_values):
                runs = where(where(held, panel, panel_value), colour, colour_value)
                for name, line in lines.items():
                    shade = of_line[name] if colour is None else palette[colour_value]
                    steps, middle = _draw(
                        axis, runs[name], shade, line, single=name == list(lines)[-1], centre=centre, clock=clock
                    )
                    if name == minimum_of and len(middle):
                        _mark(axis, steps, middle, shade, order)
                for theory in overlay.of.values() if overlay and runs.sizes["run"] else ():
                    fine = _fine(held["step"].values)
                    curve = np.asarray(theory(runs, fine), float)
                    curve = np.where(np.isfinite(curve), curve, np.nan)
                    axis.plot(fine * clock.per_step, curve, color=_DARK, linewidth=1, linestyle=(0, (4, 2)), zorder=3)
            if threshold is not None:
                axis.axhline(threshold, color="#888888", linewidth=1, linestyle=":")
            if minimum_of:
                axis.margins(y=0.15)
            title = f"{words(panel)} {show(panel_value)}" if panel and panel_value is not None else ""
            _finish(axis, held, scale, title, clock)
        label_axes(axes, scale, clock.label)
        named = [value for value in colour_values if value is not None]
        keys = [Key(f"{words(str(colour))} {show(value)}", palette[value], "-") for value in named]
        keys += [
            Key(held[name].attrs.get("long_name", words(name)), of_line[name], line) for name, line in lines.items()
        ]
        keys += [Key(overlay.label, _DARK, "--", 1.0)] if overlay else []
        marked = f"dots: lowest {centre} of {held[minimum_of].attrs.get('long_name', minimum_of)}" if minimum_of else ""
        legend(figure, keys)
        note(figure, [*notes, panel_note, colour_note, *_seeds(held, centre), marked])
    return figure


def two_axes(
    results: xr.Dataset,
    left: Mapping[str, LineStyle],
    left_scale: Scale,
    right: Mapping[str, LineStyle],
    right_scale: Scale,
    panel: str | None = None,
    at: At | None = None,
) -> matplotlib.figure.Figure | None:
    """Returns curves by step on two y axes, a colour per variable, a panel per value of one axis.

    Args and what is shown are those of `curves`, except that `left` and `right` name the variables of either y axis.
    """
    held, notes = to_draw(results, [*left, *right], [panel], at)
    if held is None:
        return None
    panel_values, panel_note = shown_values(held, panel, 6)
    both: dict[str, LineStyle] = {**left, **right}
    palette = dict(zip(both, colours(len(both)), strict=True))
    with style():
        figure, axes = panels(len(panel_values))
        twins = [axis.twinx() for axis in axes]
        for axis, twin, panel_value in zip(axes, twins, panel_values, strict=True):
            if twin is not twins[0]:
                twin.sharey(twins[0])
            runs = where(held, panel, panel_value)
            for target, lines in ((axis, left), (twin, right)):
                for name, line in lines.items():
                    _draw(target, runs[name], palette[name], line)
            _finish(
                axis,
                held,
                left_scale,
                f"{words(panel)} {show(panel_value)}" if panel and panel_value is not None else "",
            )
            _finish(twin, held, right_scale, "")
            twin.grid(False)
            twin.spines["right"].set_visible(True)
            ends_row = axis is axes[-1] or axis.get_subplotspec().is_last_col()
            twin.tick_params(which="both", labelright=ends_row)
            twin.set_ylabel(right_scale.label if ends_row else "")
            if len(right) == 1:
                twin.yaxis.label.set_color(palette[next(iter(right))])
        label_axes(axes, left_scale)
        keys = [Key(held[name].attrs.get("long_name", words(name)), palette[name], line) for name, line in both.items()]
        legend(figure, keys)
        note(figure, [*notes, panel_note, *_seeds(held)])
    return figure


def to_draw(
    results: xr.Dataset, names: Sequence[str], shown: Sequence[str | None], at: At | None
) -> tuple[xr.Dataset | None, list[str]]:
    """Returns the runs to draw and what was held, or None where no variable was measured in them."""
    if not all(name in results for name in names):
        return None, []
    held, notes = hold(results, shown, at or {})
    measured = any(np.isfinite(held[name].values).any() for name in names)
    return (held if measured else None), notes


def shown_values(results: xr.Dataset, axis: str | None, most: int) -> tuple[list, str]:
    """Returns the values of an axis to show, [None] where it does not vary."""
    if axis is None or axis not in results.coords or len(np.unique(results[axis].values)) < 2:
        return [None], ""
    return thin(np.unique(results[axis].values).tolist(), most, words(axis))


def where(results: xr.Dataset, axis: str | None, value: Value | None) -> xr.Dataset:
    """Returns the runs with this value of the axis; all where it does not vary."""
    return results if axis is None or value is None else results.isel(run=(results[axis] == value).values)


def _draw(
    axis: matplotlib.axes.Axes,
    curve: xr.DataArray,
    colour: str,
    line: LineStyle,
    single: bool = False,
    centre: Literal["median", "mean"] = "median",
    clock: Clock = STEPS,
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
    half = stats.t.ppf(0.975, np.maximum(counts - 1, 1)) * error
    return mean - half, mean, mean + half


def _mark(axis: matplotlib.axes.Axes, steps: np.ndarray, middle: np.ndarray, colour: str, order: int) -> None:
    """Marks the lowest value of a curve by a dot that says the step, the more below the later the curve is drawn."""
    place = int(np.nanargmin(middle))
    axis.plot(steps[place], middle[place], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)
    axis.annotate(
        f"{steps[place]}",
        (steps[place], middle[place]),
        (0, -6 - 12 * order),
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
    last = values.shape[1] - 1 - measured[:, ::-1].argmax(1)
    after_end = done[:, None] & (np.arange(values.shape[1]) > last[:, None])
    values = np.where(after_end, np.take_along_axis(values, last[:, None], 1), values)
    columns = np.flatnonzero(measured.any(0))
    if done.any():
        columns = np.union1d(columns, len(after_end[0]) - 1)
    return curve["step"].values[columns], values[:, columns]


def _finish(axis: matplotlib.axes.Axes, held: xr.Dataset, scale: Scale, title: str, clock: Clock = STEPS) -> None:
    log_steps(axis, held["step"].values * clock.per_step)
    axis.set_title(title)
    scale_y(axis, scale)


def scale_y(axis: matplotlib.axes.Axes, scale: Scale) -> None:
    """Gives the y axis its scale and limits, logarithmic ones with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogFormatter

    class Between(LogFormatter):
        """Plain numbers where the axis is too short for powers of ten alone."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            text = super().__call__(x, pos)
            return f"{x:g}" if text and 1e-4 < x < 1e5 else text

    if scale.log:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(_plain))
        axis.yaxis.set_minor_formatter(Between(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))
    if scale.limits:
        axis.set_ylim(*scale.limits)


def _plain(value: float, _: object) -> str:
    return f"{value:g}" if 1e-4 < value < 1e5 else f"$10^{{{round(np.log10(value))}}}$" if value > 0 else ""


def label_axes(axes: Sequence[matplotlib.axes.Axes], scale: Scale, x: str = STEPS.label) -> None:
    """Names the y axis of the first column and the x axis below the lowest panels."""
    for index, axis in enumerate(axes):
        spec = axis.get_subplotspec()
        if spec is None or spec.is_first_col():
            axis.set_ylabel(scale.label)
        if spec is None or index + spec.get_gridspec().ncols >= len(axes):
            axis.set_xlabel(x)


def legend(figure: matplotlib.figure.Figure, keys: Sequence[Key]) -> None:
    """Draws the legend above the panels, in as few rows as fit."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=key.colour, linestyle=key.line, linewidth=key.width, label=key.label) for key in keys
    ]
    longest = 0.7 + 0.1 * max(len(key.label) for key in keys)  # inches, handle and text
    per_row = max(1, min(len(keys), int(figure.get_figwidth() / longest)))
    figure.legend(handles=handles, loc="outside upper left", ncols=per_row)


def _seeds(held: xr.Dataset, centre: Literal["median", "mean"] = "median") -> list[str]:
    """Returns what the lines and bands are made of, in words."""
    counts = np.bincount(cell_codes(held))
    runs = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    band = "10–90 %" if counts.min() >= _MANY else "range"
    band = "its 95 % interval" if centre == "mean" else band
    words = [f"{centre} and {band} of {runs} runs"] if counts.max() > 1 else ["single runs"]
    if (held["status"] == "done").any():
        words.append("runs that ended early are carried forward")
    return words
