"""Draws one number of each run against another, with fitted power laws and the diagonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.laws import power_law
from phenom_jax.report import marks
from phenom_jax.report.figures import DARK, Key, colours, label_axes, legend, note, panels, scale_axis, style
from phenom_jax.report.roles import resolve, shown_values, title, where
from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import hold, show, swept_axes, words

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


def draw_points(mark: marks.Points, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a dot for each run that is over, a panel per value of one axis, a colour per value of another."""
    final = final_values(results)
    x = _abscissa(final, mark.x)
    if x is None or mark.y not in final:
        return None
    colour, panel = resolve(results, [name for name in _names(mark.colour) if name != x], mark.panel)
    others = [name for names in swept_axes(final).values() for name in names if name not in (mark.at or {})]
    held, notes = hold(final, others, mark.at or {})
    over = np.isin(held["status"].values, ("finished", "done"))
    drawn = over & _shown(held[x].values, mark.x_scale) & _shown(held[mark.y].values, mark.y_scale)
    lost, held = int(len(drawn) - drawn.sum()), held.isel(run=drawn)
    if not held.sizes["run"]:
        return None
    panel_values, panel_note = shown_values(held, panel)
    colour_values, colour_note = shown_values(held, colour)
    palette = dict(zip(colour_values, colours(len(colour_values)), strict=True))
    with style():
        figure, axes = panels(len(panel_values), *((6.5, 4.4) if len(panel_values) == 1 else ()))
        keys = []
        for axis, panel_value in zip(axes, panel_values, strict=True):
            said = []
            for value in colour_values:
                runs = where(where(held, panel, panel_value), colour, value)
                dots_x, dots_y = runs[x].values.astype(float), runs[mark.y].values.astype(float)
                look = {"color": palette[value], "markersize": 5, "alpha": 0.7, "markeredgewidth": 0}
                axis.plot(dots_x, dots_y, "o", **look)
                exponent = _draw_fit(axis, dots_x, dots_y, palette[value]) if mark.fit else np.nan
                told = f"exponent {exponent:.3g}".replace("-", "−") if np.isfinite(exponent) else ""
                said.append((told, palette[value]))
                name = f"{words(str(colour))} {show(value)}" if value is not None else "runs"
                if axis is axes[0]:
                    keys.append(
                        Key(", ".join(filter(None, (name, told if len(axes) == 1 else ""))), palette[value], "o")
                    )
            for row, (told, shade) in enumerate(said if len(axes) > 1 else ()):
                place = (0.03, 0.97 - 0.08 * row)
                axis.text(*place, told, transform=axis.transAxes, color=shade, va="top", fontsize=10)
            axis.set_title(title(panel, panel_value))
        for axis in axes:  # they share limits, which what is drawn last may still move
            scale_axis(axis, mark.x_scale, "x")
            scale_axis(axis, mark.y_scale)
        if mark.diagonal:
            _draw_diagonal(axes)
        label_axes(axes, mark.y_scale, mark.x_scale.label)
        keys += [Key("equal", DARK, ":", 1.0)] if mark.diagonal else []
        legend(figure, keys if colour or mark.fit or mark.diagonal else [])
        vary = [words(name) for name in swept_axes(held) if name not in (x, colour, panel)]
        dots = f"a dot for each of {held.sizes['run']} runs" + (f" ({', '.join(vary)} vary)" if vary else "")
        fitted = "lines: power laws by least squares in logarithms" if mark.fit else ""
        gone = f"{lost} runs are left out: not over, diverged, or without the number" if lost else ""
        note(figure, [*notes, panel_note, colour_note, dots, fitted, gone])
    return figure


def _names(role: marks.Axes) -> list[str]:
    return [role] if isinstance(role, str) else list(role or [])


def _abscissa(final: xr.Dataset, role: marks.Axes) -> str | None:
    """Returns the first hyperparameter or variable that has two different numbers."""
    known = [name for name in _names(role) if name in final.variables]
    values = {name: final[name].values.astype(float) for name in known}
    return next((name for name, of in values.items() if len(np.unique(of[np.isfinite(of)])) > 1), None)


def _shown(values: np.ndarray, scale: marks.Scale) -> np.ndarray:
    return np.isfinite(values) & ((values > 0) | (scale.log is not True))


def _draw_fit(axis: matplotlib.axes.Axes, x: np.ndarray, y: np.ndarray, colour: str) -> float:
    """Draws the least-squares line in logarithms and returns its exponent; NaN of fewer than two different x."""
    positive = (x > 0) & (y > 0)
    x, y = x[positive], y[positive]
    law = power_law.line(x, y)
    if np.isnan(law.exponent):
        return np.nan
    fine = np.geomspace(x.min(), x.max(), 100)
    axis.plot(fine, law.prefactor * fine**law.exponent, "-", color=colour, linewidth=1.5)
    return law.exponent


def _draw_diagonal(axes: list) -> None:
    """Draws y = x where both axes show it, without moving their limits."""
    low = max(axes[0].get_xlim()[0], axes[0].get_ylim()[0])
    high = min(axes[0].get_xlim()[1], axes[0].get_ylim()[1])
    for axis in axes:
        axis.plot([low, high], [low, high], ":", color=DARK, linewidth=1, scalex=False, scaley=False)
