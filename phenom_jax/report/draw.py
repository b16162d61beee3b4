"""Draws a figure of the report: its mark by the renderer of that mark."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import xarray as xr

from phenom_jax.report.curves import draw_curves
from phenom_jax.report.heat import draw_heat
from phenom_jax.report.maps import draw_final_map, draw_phase_map, draw_spectrum
from phenom_jax.report.marks import Curves, Figure, FinalMap, Heat, Mark, PhaseMap, Points, Profile, Spectrum
from phenom_jax.report.points import draw_points
from phenom_jax.report.profile import draw_profile

if TYPE_CHECKING:
    import matplotlib.figure

RENDERERS: dict[type, Callable[..., matplotlib.figure.Figure | None]] = {
    Curves: draw_curves,
    Profile: draw_profile,
    PhaseMap: draw_phase_map,
    FinalMap: draw_final_map,
    Heat: draw_heat,
    Spectrum: draw_spectrum,
    Points: draw_points,
}


def draw(figure: Figure, results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a figure drawn from a sweep's results, or None where they hold nothing to draw."""
    chosen = figure.of(results) if figure.of else results
    if chosen is None or not chosen.sizes["run"]:
        return None
    mark = figure.mark(chosen) if callable(figure.mark) else figure.mark
    return RENDERERS[type(mark)](mark, chosen) if isinstance(mark, Mark) else mark
