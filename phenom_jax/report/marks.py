"""The figures of an experiment as data: what is drawn, over which axes; a renderer in this room draws each mark.

Every mark is drawn from a sweep's results. Swept axes without a role in it are held at one value, and the figure says
at which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from phenom_jax.hparams import Value

if TYPE_CHECKING:
    import matplotlib.figure
    import numpy as np
    import xarray as xr

Axes: TypeAlias = str | Sequence[str] | None  # a hyperparameter, or several: the first that varies and is not taken
At: TypeAlias = Mapping[
    str, Callable[[list], Value]
]  # by axis, which of its sorted values it is held at; else the middle
Centre = Literal["median", "mean"]
LineStyle = Literal["-", "--", "-.", ":"]


class Line(NamedTuple):
    """A line's style, and what the legend calls it in place of the variable's long name."""

    style: LineStyle
    label: str


Lines: TypeAlias = Mapping[str, LineStyle | Line]  # by variable


class Scale(NamedTuple):
    """An axis of numbers: what it says, whether it is logarithmic ("auto": where values span 20 times), its limits."""

    label: str
    log: bool | Literal["auto"] = False
    limits: tuple[float | None, float | None] | None = None


class Clock(NamedTuple):
    """An x axis other than the training step: what it says, and how much of it a step is.

    Attributes:
      label: of the axis.
      per_step: a number, or the hyperparameter that is it; where its values differ, steps are shown.
    """

    label: str
    per_step: float | str


STEPS = Clock("training step", 1)


class Overlay(NamedTuple):
    """Theory to draw over curves, thin and dashed; what is not finite is not drawn."""

    label: str
    of: Mapping[str, Callable[[xr.Dataset, np.ndarray], np.ndarray]]  # by variable: (runs of one curve, steps) -> y


class VLine(NamedTuple):
    """A vertical line: `at` is where, or a hyperparameter, or `(runs of a panel) -> where`; NaN draws none."""

    at: float | str | Callable[[xr.Dataset], float]
    label: str


class Border(NamedTuple):
    """A line through a heat map: where `variable` is at most `limit` for the first time, and the legend's words."""

    variable: str
    limit: float
    label: str


@dataclasses.dataclass(frozen=True)
class Curves:
    """Variables over training: a centre over seeds with its band, single runs thin under the median of the last line.

    Runs that met the experiment's `done` are carried forward at their last value.

    Attributes:
      lines: styles by variable; nothing is drawn where one of them is not in the results.
      y: the y axis.
      right: the variables of a second y axis, `right_y`.
      colour: an axis; None for a colour per variable.
      panel: an axis.
      at: values that other axes are held at.
      threshold: a value to mark on the y axis.
      centre: of the runs that differ in their seeds alone, the median with 10-90 % (the range of few runs), or the mean
        with Student's 95 % interval.
      overlay: theory.
      lowest: the variable whose lowest drawn value is marked with its step.
      clock: what the x axis counts.
    """

    lines: Lines
    y: Scale
    _: dataclasses.KW_ONLY
    right: Lines = dataclasses.field(default_factory=dict)
    right_y: Scale | None = None
    colour: Axes = None
    panel: Axes = None
    at: At | None = None
    threshold: float | None = None
    centre: Centre = "median"
    overlay: Overlay | None = None
    lowest: str | None = None
    clock: Clock = STEPS


@dataclasses.dataclass(frozen=True)
class Profile:
    """What runs end with over a hyperparameter: a centre over seeds with its 95 % interval.

    Of a median the interval is between order statistics (the range of fewer than six runs), of a mean Student's;
    infinite values count as largest. Runs that diverged or are not over are left out.

    Attributes:
      x: an axis with numbers; nothing is drawn where none varies.
      lines: styles by variable, those in the results are drawn; over runs, or (run, step) and then at the last
        measured step.
      y: the y axis.
      colour, panel: axes.
      at: values that other axes are held at.
      exact: `(runs of one curve, fine x) -> y`, drawn thin and dashed; what is not finite is not drawn.
      exact_label: the legend's words for it.
      verticals: lines in every panel.
      log_x: whether x is logarithmic; values that are not positive are then left out.
      centre: of the runs that differ in their seeds alone.
    """

    x: Axes
    lines: Lines
    y: Scale
    _: dataclasses.KW_ONLY
    colour: Axes = None
    panel: Axes = None
    at: At | None = None
    exact: Callable[[xr.Dataset, np.ndarray], np.ndarray] | None = None
    exact_label: str = "exact"
    verticals: Sequence[VLine] = ()
    log_x: bool = False
    centre: Centre = "median"


@dataclasses.dataclass(frozen=True)
class PhaseMap:
    """The median step at which something happened, over two axes, colours log-scaled.

    A cell says how many runs got there where not all did; one whose median run never did is hatched, one without a run
    that is over is blank.

    Attributes:
      when: a per-run variable, NaN where it never happened.
      x, y: axes; one of them is enough.
      label: of the colour bar.
      at: values that other axes are held at.
    """

    when: str
    x: Axes
    y: Axes
    label: str
    _: dataclasses.KW_ONLY
    at: At | None = None


@dataclasses.dataclass(frozen=True)
class FinalMap:
    """The median final value over two axes, colours log-scaled; cells that are not positive are blank.

    Attributes:
      variable: over runs, or (run, step) and then at the last measured step.
      x, y: axes; nothing is drawn where not both vary.
      label: of the colour bar.
      at: values that other axes are held at.
      numbers: whether cells say their value, for maps with few of them.
    """

    variable: str
    x: Axes
    y: Axes
    label: str
    _: dataclasses.KW_ONLY
    at: At | None = None
    numbers: bool = False


@dataclasses.dataclass(frozen=True)
class Heat:
    """The median of a variable over a hyperparameter (a column per value) and training time (logarithmic).

    Attributes:
      variable: over (run, step).
      x: an axis with numbers; nothing is drawn where none varies.
      label: of the colour bar.
      time: "step", or a variable over (run, step) that counts time otherwise, alike in all runs that are drawn.
      border: a line to draw.
      panel: an axis.
      at: values that other axes are held at.
    """

    variable: str
    x: Axes
    label: str
    _: dataclasses.KW_ONLY
    time: str = "step"
    border: Border | None = None
    panel: Axes = None
    at: At | None = None


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """A variable over (run, step, frequency): over training for one run, at the end for every seed.

    Attributes:
      variable: what is drawn.
      label: of the colour bar.
      at: values that axes are held at.
    """

    variable: str
    label: str
    _: dataclasses.KW_ONLY
    at: At | None = None


@dataclasses.dataclass(frozen=True)
class Points:
    """One dot for each run that is over: one of its numbers against another.

    Only axes named in `at` are held: the figure says which others vary among the dots.

    Attributes:
      x: hyperparameters or variables, of which the first that varies is used; a variable over (run, step) is taken at
        its last measured step, as is `y`.
      y: a variable.
      x_scale, y_scale: the axes.
      colour, panel: axes.
      at: values that axes are held at.
      fit: "power law" draws the least-squares line in logarithms of each colour, whose exponent the legend names.
      diagonal: whether y = x is drawn, dotted.
    """

    x: Axes
    y: str
    x_scale: Scale
    y_scale: Scale
    _: dataclasses.KW_ONLY
    colour: Axes = None
    panel: Axes = None
    at: At | None = None
    fit: Literal["power law"] | None = None
    diagonal: bool = False


Mark: TypeAlias = Curves | Profile | PhaseMap | FinalMap | Heat | Spectrum | Points


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure of the report.

    Attributes:
      name: of its file, and by which claims name it.
      title, caption: on the page.
      mark: what is drawn; or `(results) -> mark`, where it depends on the results; or a drawing of one's own,
        `(results) -> matplotlib figure`. None draws nothing.
      of: `(results) -> results` to draw from, with a variable derived or some runs chosen; None or no run draws
        nothing.
      format: of the file.
    """

    name: str
    title: str
    caption: str
    mark: Mark | Callable[[xr.Dataset], Mark | matplotlib.figure.Figure | None]
    of: Callable[[xr.Dataset], xr.Dataset | None] | None = None
    format: Literal["png", "svg"] = "png"
