"""Figures of a sweep, drawn from its results alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import xarray as xr

if TYPE_CHECKING:
    import matplotlib.figure


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure of the report; `draw(results)` returns it, or None where the results hold nothing to draw."""

    name: str
    title: str
    caption: str
    draw: Callable[[xr.Dataset], matplotlib.figure.Figure | None]
    format: Literal["png", "svg"] = "png"
