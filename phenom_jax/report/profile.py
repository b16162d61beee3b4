"""Figures of what runs end with over a swept hyperparameter: a centre with its interval, exact theory, marks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from phenom_jax.hparams import Value
from phenom_jax.report.curves import At, Key, Scale, label_axes, legend, scale_y, shown_values, to_draw, where
from phenom_jax.report.figures import LineStyle, colours, note, panels, style
from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import cell_codes, show, words

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Centre = Literal["median", "mean"]
Exact = Callable[[xr.Dataset, np.ndarray], np.ndarray]

LEVEL = 0.95
_DARK, _PALE = "#222222", "#888888"
_FINE = 600  # points of a theory curve
_DOTTED = 40  # values of x up to which each is marked by a dot


class Mark(NamedTuple):
    """A vertical line: `at` is where, or `(runs of a panel) -> where`; NaN draws none."""

    at: float | Callable[[xr.Dataset], float]
    label: str


def profile(
    results: xr.Dataset,
    x: str,
    lines: Mapping[str, LineStyle],
    scale: Scale,
    colour: str | None = None,
    panel: str | None = None,
    at: At | None = None,
    exact: Exact | None = None,
    exact_label: str = "exact",
    marks: Sequence[Mark] = (),
    log_x: bool = False,
    centre: Centre = "median",
) -> matplotlib.figure.Figure | None:
    """Returns curves of final values over `x`: a panel per value of one hyperparameter, a colour per value of another.

    The centre over seeds with its 95 % interval: of a median the one between order statistics (no assumption; the
    range of fewer than six runs), of a mean Student's. Infinite values count as largest. Other swept axes are held at
    one value and the figure says at which. Runs that diverged or are not over are left out.

    Args:
      results: of a sweep; variables over (run, step) are taken at their last measured step.
      x: a hyperparameter with numbers; None is returned where it does not vary.
      lines: line style by variable; those that were never measured are left out.
      scale: of the y axis.
      colour, panel: hyperparameters; ignored where they do not vary.
      at: by axis, which of its values others are held at; else the middle one.
      exact: `(runs of one curve, fine x) -> y`, drawn thin and dashed; what is not finite is not drawn.
      exact_label: what the legend calls it.
      marks: vertical lines, in every panel.
      log_x: whether the x axis is logarithmic; values that are not positive are then left out.
      centre: of the runs that differ in their seeds alone.
    """
    final = final_values(results)
    lines = {name: line for name, line in lines.items() if name in final}
    held, notes = to_draw(final, list(lines), [x, colour, panel], at)
    if held is None or not lines or len(np.unique(held[x].values)) < 2:
        return None
    over = np.isin(held["status"].values, ("finished", "done"))
    lost = int((held["status"].values == "diverged").sum())
    held = held.isel(run=over & ((held[x].values > 0) | (not log_x)))
    if not held.sizes["run"]:
        return None
    panel_values, panel_note = shown_values(held, panel, 6)
    colour_values, colour_note = shown_values(held, colour, 6)
    palette = dict(zip(colour_values, colours(len(colour_values)), strict=True))
    with style():
        figure, axes = panels(len(panel_values))
        for axis, panel_value in zip(axes, panel_values, strict=True):
            inside = where(held, panel, panel_value)
            for mark in marks:
                _mark(axis, mark, inside)
            for colour_value in colour_values:
                runs = where(inside, colour, colour_value)
                for name, line in lines.items():
                    _draw(axis, runs[x].values, runs[name].values, palette[colour_value], line, centre)
                if exact is not None and runs.sizes["run"]:
                    fine = _between(np.unique(held[x].values), log_x)
                    curve = np.asarray(exact(runs, fine), float)
                    curve = np.where(np.isfinite(curve), curve, np.nan)
                    axis.plot(fine, curve, color=_DARK, linewidth=1, linestyle=(0, (4, 2)), zorder=3)
            axis.set_title(f"{words(panel)} {show(panel_value)}" if panel and panel_value is not None else "")
            _scale_x(axis, np.unique(held[x].values), log_x)
        for axis in axes:  # they share limits, which what is drawn last may still move
            scale_y(axis, scale)
        label_axes(axes, scale, words(x))
        legend(figure, _keys(held, lines, colour, palette, exact_label if exact else None, marks))
        left_out = f"{lost} runs that diverged are left out" if lost else ""
        note(figure, [*notes, panel_note, colour_note, _said(held, x, centre), left_out])
    return figure


def interval(values: np.ndarray, centre: Centre) -> tuple[float, float, float]:
    """Returns the low end, the centre and the high end of its 95 % interval; NaN values are left out.

    Args:
      values: of the runs of one cell; infinite ones count as largest.
      centre: "median": between the order statistics whose binomial coverage is at least 95 %, the whole range where
        there are too few; "mean": Student's t. Of a single value both ends are the value itself.
    """
    ordered = np.sort(values[~np.isnan(values)])
    count = len(ordered)
    if not count:
        return np.nan, np.nan, np.nan
    if centre == "median":
        rank = max(int(stats.binom.ppf((1 - LEVEL) / 2, count, 0.5)), 1)
        return ordered[rank - 1], _median(ordered), ordered[count - rank]
    mean = ordered.mean()
    if count == 1 or not np.isfinite(mean):
        return mean, mean, mean
    half = stats.t.ppf((1 + LEVEL) / 2, count - 1) * ordered.std(ddof=1) / np.sqrt(count)
    return mean - half, mean, mean + half


def _median(ordered: np.ndarray) -> float:
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2  # inf - inf is no number


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


def _mark(axis: matplotlib.axes.Axes, mark: Mark, runs: xr.Dataset) -> None:
    place = mark.at(runs) if callable(mark.at) else mark.at
    if np.isfinite(place):
        axis.axvline(place, color=_PALE, linewidth=1, linestyle=":", zorder=1)


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


def _keys(
    held: xr.Dataset,
    lines: Mapping[str, LineStyle],
    colour: str | None,
    palette: Mapping[Value | None, str],
    exact: str | None,
    marks: Sequence[Mark],
) -> list[Key]:
    varies = list(palette) != [None]
    keys = [Key(f"{words(str(colour))} {show(value)}", palette[value], "-") for value in palette if value is not None]
    dark = "#444444" if varies else next(iter(palette.values()))
    keys += [Key(held[name].attrs.get("long_name", words(name)), dark, line) for name, line in lines.items()]
    keys += [Key(exact, _DARK, "--", 1.0)] if exact else []
    return keys + [Key(mark.label, _PALE, ":", 1.0) for mark in marks]


def _said(held: xr.Dataset, x: str, centre: Centre) -> str:
    """Returns what lines and bands are made of, in words."""
    counts = np.bincount(cell_codes(held))
    counts = counts[counts > 0]
    runs = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    if counts.max() == 1:
        return "single runs"
    band = "range" if centre == "median" and counts.min() < 6 else f"{LEVEL:.0%} interval of it".replace("%", " %")
    return f"{centre} and {band}, {runs} runs at each {words(x)}"
