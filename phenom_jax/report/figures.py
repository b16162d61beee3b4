"""The look that figures share: style, panels, colours, axes, legends, notes, and the bytes of a file."""

from __future__ import annotations

import contextlib
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.report.marks import STEPS, Line, Lines, LineStyle, Scale
from phenom_jax.store.axes import words

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


DARK, GREY, PALE = "#222222", "#444444", "#888888"  # theory; a legend's lines of every colour; thresholds
DASHES = (0, (4, 2))  # theory
_PER_INCH = 13.5  # letters of a note
_AUTO = 20  # the span from which on an axis is logarithmic, where it may choose


class Key(NamedTuple):
    """An entry of a legend."""

    label: str
    colour: str
    line: LineStyle | Literal["o"]
    width: float = 2.0


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


def blank(width: float, height: float) -> matplotlib.figure.Figure:
    """Returns an empty figure of this many inches, at least 5 wide."""
    import matplotlib.figure

    return matplotlib.figure.Figure(figsize=(max(width, 5), height))


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
        powers = np.arange(np.ceil(np.log10(positive[0])), np.log10(positive[-1]) + 1e-9)
        axes.set_xticks([0, *10.0**powers])  # a power below the first step would lie on the 0
        axes.set_xticks([], minor=True)
    axes.set_xlim(float(steps[0]), float(max(steps[-1], steps[0] + 1)))


def scale_axis(axis: matplotlib.axes.Axes, scale: Scale, which: Literal["x", "y"] = "y") -> None:
    """Gives an axis its scale and limits, logarithmic ones with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogFormatter

    class Between(LogFormatter):
        """Plain numbers where the axis is too short for powers of ten alone."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            text = super().__call__(x, pos)
            return f"{x:g}" if text and 1e-4 < x < 1e5 else text

    side = axis.yaxis if which == "y" else axis.xaxis
    if scale.log is True or (scale.log == "auto" and _spans(axis, which)):
        axis.set(**{f"{which}scale": "log"})
        side.set_major_formatter(FuncFormatter(_plain))
        side.set_minor_formatter(Between(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))
    if scale.limits:
        axis.set(**{f"{which}lim": scale.limits})


def _spans(axis: matplotlib.axes.Axes, which: Literal["x", "y"]) -> bool:
    """Returns whether what is drawn, in this panel and those that share its axis, is positive and spans far."""
    together = axis.get_shared_y_axes() if which == "y" else axis.get_shared_x_axes()
    panels = together.get_siblings(axis)
    lines = [line for panel in panels for line in panel.lines if line.get_transform() == panel.transData]
    data = [np.asarray(line.get_ydata() if which == "y" else line.get_xdata(), float) for line in lines]
    values = np.concatenate([values[np.isfinite(values)] for values in data] or [np.zeros(0)])
    return bool(len(values) and values.min() > 0 and values.max() > _AUTO * values.min())


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

    if not keys:
        return
    handles = [
        Line2D([], [], color=key.colour, marker="o", linestyle="", markersize=5, label=key.label)
        if key.line == "o"
        else Line2D([], [], color=key.colour, linestyle=key.line, linewidth=key.width, label=key.label)
        for key in keys
    ]
    longest = 0.7 + 0.1 * max(len(key.label) for key in keys)  # inches, handle and text
    per_row = max(1, min(len(keys), int(figure.get_figwidth() / longest)))
    figure.legend(handles=handles, loc="outside upper left", ncols=per_row)


def line_style(line: LineStyle | Line) -> LineStyle:
    """Returns how a line is drawn."""
    return line.style if isinstance(line, Line) else line


def line_keys(results: xr.Dataset, lines: Lines, colours: Mapping[str, str]) -> list[Key]:
    """Returns the legend's entry of each variable: its own words, or the variable's long name."""
    said = {name: line.label if isinstance(line, Line) else long_name(results, name) for name, line in lines.items()}
    return [Key(said[name], colours[name], line_style(line)) for name, line in lines.items()]


def long_name(results: xr.Dataset, name: str) -> str:
    """Returns a variable in words."""
    return str(results[name].attrs.get("long_name", words(name)))


def note(figure: matplotlib.figure.Figure, texts: Sequence[str]) -> None:
    """Says below the figure what it does not show."""
    said = "; ".join(text for text in dict.fromkeys(texts) if text)
    if said:
        said = textwrap.fill(said[0].upper() + said[1:], int(_PER_INCH * figure.get_figwidth()))
        figure.supxlabel(said, fontsize=9.5, color="#555555")


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
