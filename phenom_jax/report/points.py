"""Draws one number of each run against another, with fitted power laws and the diagonal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.laws import power_law
from phenom_jax.report import marks
from phenom_jax.report.figures import DARK, Key, colours, label_axes, legend, note, panels, scale_axis, style
from phenom_jax.report.roles import resolve, shown_values, title, where
from phenom_jax.store.axes import final_values, hold, show, swept_axes, words
from phenom_jax.sweep.status import ENDED

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


def draw_points(mark: marks.Points, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a dot for each run that is over, a panel per value of one axis, a colour per value of another."""
    final = final_values(results)
    x = _abscissa(final, mark.x)
    if x is None or mark.y not in final:
        return None
    _, colour, panel = resolve(results, x, mark.colour, mark.panel)
    others = [name for names in swept_axes(final).values() for name in names if name not in (mark.at or {})]
    held, notes = hold(final, others, mark.at or {})
    over = np.isin(held["status"].values, ENDED)
    drawn = over & _shown(held[x].values, mark.x_scale) & _shown(held[mark.y].values, mark.y_scale)
    lost, held = int(len(drawn) - drawn.sum()), held.isel(run=drawn)
    if not held.sizes["run"]:
        return None
    panel_values, panel_note = shown_values(held, panel)
    colour_values, colour_note = shown_values(held, colour)
    palette = dict(zip(colour_values, colours(len(colour_values)), strict=True))
    with style():
        figure, axes = panels(len(panel_values), *((6.5, 4.4) if len(panel_values) == 1 else ()))
        told: dict[int, list[str]] = {}
        for number, (axis, panel_value) in enumerate(zip(axes, panel_values, strict=True)):
            inside = where(held, panel, panel_value)
            told[number] = [
                _draw(axis, where(inside, colour, value), x, mark, shade) for value, shade in palette.items()
            ]
            axis.set_title(title(panel, panel_value))
        if mark.diagonal:
            _draw_diagonal(axes, np.concatenate([held[x].values, held[mark.y].values]).astype(float))
        for axis in axes:  # they share limits, which what is drawn last may still move
            scale_axis(axis, mark.x_scale, "x")
            scale_axis(axis, mark.y_scale)
        label_axes(axes, mark.y_scale, mark.x_scale.label)
        keys = _keys(colour, palette, told[0] if len(axes) == 1 else [""] * len(palette))
        keys += [Key("equal", DARK, ":", 1.0)] if mark.diagonal else []
        legend(figure, keys if colour or mark.diagonal or (mark.fit and len(axes) == 1) else [])
        for axis, of_panel in zip(axes, told.values() if len(axes) > 1 else []):
            falls = any("−" in said for said in of_panel)  # the corner that a line leaves free
            for row, (said, shade) in enumerate(zip(of_panel, palette.values(), strict=True)):
                place = (0.03, 0.03 + 0.08 * row if falls else 0.9 - 0.08 * row)
                axis.text(*place, said, transform=axis.transAxes, color=shade, fontsize=10)
        vary = [words(name) for name in swept_axes(held) if name not in (x, colour, panel)]
        dots = f"a dot for each of {held.sizes['run']} runs" + (f" ({', '.join(vary)} vary)" if vary else "")
        fitted = "lines: power laws by least squares in logarithms" if mark.fit else ""
        gone = f"{lost} runs are left out: not over, diverged, or without the number" if lost else ""
        note(figure, [*notes, panel_note, colour_note, dots, fitted, gone])
    return figure


def _abscissa(final: xr.Dataset, role: marks.Axes) -> str | None:
    """Returns the first hyperparameter or variable that has two different numbers."""
    names = [role] if isinstance(role, str) else role or []
    known = [name for name in names if name in final.variables]
    values = {name: final[name].values.astype(float) for name in known}
    return next((name for name, of in values.items() if len(np.unique(of[np.isfinite(of)])) > 1), None)


def _shown(values: np.ndarray, scale: marks.Scale) -> np.ndarray:
    return np.isfinite(values) & ((values > 0) | (scale.log is not True))


def _draw(axis: matplotlib.axes.Axes, runs: xr.Dataset, x: str, mark: marks.Points, colour: str) -> str:
    """Draws the dots of one colour and the line through them; returns its exponent in words."""
    dots_x, dots_y = runs[x].values.astype(float), runs[mark.y].values.astype(float)
    axis.plot(dots_x, dots_y, "o", color=colour, markersize=5, alpha=0.7, markeredgewidth=0)
    positive = (dots_x > 0) & (dots_y > 0)
    law = power_law.line(dots_x[positive], dots_y[positive])
    if mark.fit is None or np.isnan(law.exponent):
        return ""
    fine = np.geomspace(dots_x[positive].min(), dots_x[positive].max(), 100)
    axis.plot(fine, law.prefactor * fine**law.exponent, "-", color=colour, linewidth=1.5)
    return f"exponent {law.exponent:.3g}".replace("-", "−")


def _keys(colour: str | None, palette: Mapping, told: Sequence[str]) -> list[Key]:
    names = [f"{words(colour)} {show(value)}" if colour else "runs" for value in palette]
    said = [", ".join(filter(None, pair)) for pair in zip(names, told, strict=True)]
    return [Key(text, shade, "o") for text, shade in zip(said, palette.values(), strict=True)]


def _draw_diagonal(axes: list[matplotlib.axes.Axes], numbers: np.ndarray) -> None:
    """Draws y = x over all numbers, so that both axes show the same ones."""
    ends = [numbers.min(), numbers.max()]
    for axis in axes:
        axis.plot(ends, ends, ":", color=DARK, linewidth=1)
