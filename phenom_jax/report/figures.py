"""Figures of a sweep, drawn from its results alone: the type, and the look they share."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

LineStyle = Literal["-", "--", "-.", ":"]

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure
    from matplotlib.typing import RcKeyType

_STYLE: dict[RcKeyType, object] = {
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "lines.linewidth": 2,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "phenom_jax",
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure of the report; `draw(results)` returns it, or None where the results hold nothing to draw."""

    name: str
    title: str
    caption: str
    draw: Callable[[xr.Dataset], matplotlib.figure.Figure | None]
    format: Literal["png", "svg"] = "png"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The look of every figure, for as long as one is drawn."""
    import matplotlib  # here and below: not needed, and slow to load, before the first figure

    with matplotlib.rc_context(_STYLE):
        yield


def panels(count: int, width: float = 4.3, height: float = 3.6) -> tuple[matplotlib.figure.Figure, list]:
    """Returns a figure and its axes: `count` panels, at most three in a row, each `width` x `height` inches."""
    import matplotlib.figure

    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    figure = matplotlib.figure.Figure(figsize=(max(width * columns, 6.5), height * rows + 0.7))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True).flatten().tolist()
    for unused in axes[count:]:
        unused.set_axis_off()
    for above in axes[count - columns : count]:
        above.tick_params(labelbottom=True)
    return figure, axes[:count]


def colours(count: int) -> list[str]:
    """Returns colours that colour-blind readers tell apart (Petroff 2021), repeated after ten."""
    import matplotlib
    from matplotlib.colors import to_hex

    cycle = matplotlib.color_sequences["petroff10"]
    return [to_hex(cycle[index % len(cycle)]) for index in range(count)]


def log_steps(axes: matplotlib.axes.Axes, steps: np.ndarray) -> None:
    """Makes the x axis logarithmic in steps with room for step 0."""
    positive = steps[steps > 0]
    if len(positive) > 1 and positive[-1] / positive[0] > 10:
        axes.set_xscale("symlog", linthresh=float(positive[0]), linscale=0.6)
    axes.set_xlim(float(steps[0]), float(max(steps[-1], steps[0] + 1)))


def note(figure: matplotlib.figure.Figure, texts: Sequence[str]) -> None:
    """Says below the figure what it does not show."""
    said = "; ".join(text for text in dict.fromkeys(texts) if text)
    if said:
        figure.supxlabel(said[0].upper() + said[1:], fontsize=9.5, color="#555555")


def thin(values: Sequence, most: int, name: str) -> tuple[list, str]:
    """Returns at most `most` values, both extremes among them, and words for what was left out."""
    values = list(values)
    if len(values) <= most:
        return values, ""
    kept = [values[index] for index in np.linspace(0, len(values) - 1, most).round().astype(int)]
    return kept, f"{most} of {len(values)} values of {name} shown"


def rendered(figure: matplotlib.figure.Figure, format: Literal["png", "svg"]) -> bytes:
    """Returns the file of a figure; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with style():
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(buffer, format=format, dpi=150, metadata=metadata)
    return buffer.getvalue()
