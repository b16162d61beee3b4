"""The figures of an induction-head sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.induction_heads.summary import MATCHING, head_score
from phenom_jax.report.curves import Key, Scale, curves, legend, shown_values, where
from phenom_jax.report.figures import Figure, colours, note, style
from phenom_jax.report.maps import phase_diagram
from phenom_jax.store.axes import show, words

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

KINDS = ("task", "smeared", "positions", "varied", "block", "layers", "heads", "width")  # the first that vary are shown
AROUND = (0.4, 2.5)  # times the step of the steepest fall
DRAWN = 100  # runs


def draw_transition(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns loss, prefix matching and gradient norm of each run that solves its task, aligned at its fall."""
    runs = results.isel(run=results["fall_step"].notnull().values)
    total = runs.sizes["run"]
    if not total:
        return None
    runs = runs.assign(score=head_score(runs))
    kind = _varying(runs)[0]
    values, thinned = shown_values(runs, kind, 6)
    panels_of = {"loss": "loss (nat)", "score": "largest prefix matching", "gradient_norm": "gradient norm"}
    with style():
        import matplotlib.figure

        figure = matplotlib.figure.Figure(figsize=(12.9, 4.6))
        axes = figure.subplots(1, 3)
        for axis, (name, label) in zip(axes, panels_of.items(), strict=True):
            for value, colour in zip(values, colours(len(values)), strict=True):
                _draw_aligned(axis, where(runs, kind, value), name, colour)
            axis.axvline(1, color="#888888", linewidth=1, linestyle=":")
            axis.set_xscale("log")
            axis.set_xticks([0.5, 1, 2], ["0.5", "1", "2"])
            axis.minorticks_off()
            axis.set_xlim(*AROUND)
            axis.set_title(label)
            axis.set_xlabel("step / step of steepest fall")
        axes[1].axhline(MATCHING, color="#888888", linewidth=1, linestyle=":")
        if kind and values != [None]:
            shades = zip(values, colours(len(values)), strict=True)
            legend(figure, [Key(f"{words(kind)} {show(value)}", colour, "-") for value, colour in shades])
        others = int((results["solve_step"].isnull() & (results["task"] != "markov")).sum())
        drawn = f"every one of at most {DRAWN} runs" if total > DRAWN else "every run"
        said = f"median and {drawn}; {total} runs solve their task, {others} others do not"
        note(figure, [said, thinned])
    return figure


def _draw_aligned(axis: matplotlib.axes.Axes, runs: xr.Dataset, name: str, colour: str) -> None:
    """Draws a variable over steps in those to the steepest fall: every run thin, and their median."""
    near, steps = np.geomspace(*AROUND, 121), runs["step"].values.astype(float)
    aligned = []
    for values, fall in zip(runs[name].values, runs["fall_step"].values, strict=True):
        measured = np.isfinite(values)
        when, held = steps[measured] / fall, values[measured]
        if len(aligned) < DRAWN:
            inside = np.flatnonzero((when > AROUND[0] / 1.2) & (when < AROUND[1] * 1.2))
            axis.plot(when[inside], held[inside], color=colour, linewidth=0.7, alpha=0.4)
        aligned.append(np.interp(near, when, held, left=np.nan, right=np.nan))
    axis.plot(near, _middle(np.array(aligned)), color=colour)


def draw_loss(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the loss over training."""
    first, second = _varying(results)
    panel, colour = (first, second) if second else (None, first)
    return curves(results, {"loss": "-"}, Scale("loss (nat)"), colour=colour, panel=panel)


def draw_scores(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns what the first and the last layer attend to, and whether the last copies; largest over the heads."""
    if not (results["layers"] > 1).any():
        return None
    runs = results.isel(run=(results["layers"] > 1).values)
    last = xr.DataArray(runs["layers"].values, dims="run")

    def of_layer(name: str, layer: object, said: str) -> xr.DataArray:
        return runs[f"head_{name}"].sel(layer=layer).max("head").drop_vars("layer").assign_attrs(long_name=said)

    runs = runs.assign(
        below=of_layer("previous_token", 1, "previous token, first layer"),
        matching=of_layer("prefix_matching", last, "prefix matching, last layer"),
        copied=of_layer("copying", last, "copying, last layer"),
    )
    return curves(
        runs,
        {"below": ":", "copied": "--", "matching": "-"},
        Scale("score", limits=(None, 1.02)),
        panel=_varying(runs)[0],
        threshold=MATCHING,
    )


def draw_grid(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the median step at which a head forms, over two of what varies; chains, where none is told, left out."""
    runs = results.isel(run=(results["task"] != "markov").values)
    if not runs.sizes["run"]:
        return None
    return phase_diagram(
        runs,
        "match_step",
        x=("width", "positions", "layers", "learning_rate", "symbols", "length"),
        y=("layers", "task", "smeared", "block", "varied", "heads", "start_token"),
        label="steps to a head",
    )


def draw_chains(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the loss on Markov chains beside those of guessing and counting."""
    runs = results.isel(run=(results["task"] == "markov").values)
    return curves(
        runs,
        {"uniform_loss": ":", "unigram_loss": "-.", "bigram_loss": "--", "loss": "-"},
        Scale("loss (nat)", limits=(None, 1.2)),
        panel="layers",
    )


def draw_divergences(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns how far the model is from the unigram and from the bigram predictor."""
    runs = results.isel(run=(results["task"] == "markov").values)
    return curves(
        runs,
        {"unigram_divergence": "--", "bigram_divergence": "-"},
        Scale("KL divergence (nat)", log=True),
        panel="layers",
    )


def _varying(results: xr.Dataset) -> tuple[str | None, str | None]:
    """Returns the first two kinds of setting that vary."""
    varying = [name for name in KINDS if len(np.unique(results[name].values)) > 1]
    first, second = [*varying, None, None][:2]
    return first, second


def _middle(values_NxP: np.ndarray) -> np.ndarray:
    """Returns the median of each column where half of the runs or more were measured."""
    known = np.isfinite(values_NxP).sum(0) * 2 >= len(values_NxP)
    return np.array([np.nanmedian(column) if some else np.nan for column, some in zip(values_NxP.T, known)])


FIGURES = (
    Figure(
        "transition",
        "Loss, head and gradient change together",
        "Loss, prefix matching (of the head that has most) and the norm of the gradient, with steps counted in those "
        "to the steepest fall of each run's loss. Thin lines are single runs.",
        draw_transition,
    ),
    Figure(
        "loss", "The loss over training", "Where the context tells the answer; thin lines are single runs.", draw_loss
    ),
    Figure(
        "scores",
        "The parts of an induction head",
        "Attention to the previous token in the first layer, where it is of use, and prefix matching and copying in "
        "the last: for each the head that does it most.",
        draw_scores,
    ),
    Figure(
        "grid",
        "When a head forms",
        "Median number of steps until some head's prefix matching passes 0.5, over depth and width (or what else "
        "varies).",
        draw_grid,
        format="svg",
    ),
    Figure(
        "chains",
        "First states, then transitions are counted",
        "Loss on Markov chains beside that of guessing, of counting states (unigram) and of counting transitions "
        "(bigram, the best there is), on the same chains.",
        draw_chains,
    ),
    Figure(
        "divergences",
        "Nearness to what counts",
        "How far the predictions are from those of the unigram and of the bigram predictor.",
        draw_divergences,
    ),
)
