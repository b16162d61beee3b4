"""The figures of an induction-head sweep."""

import numpy as np
import xarray as xr

from experiments.induction_heads.claims import with_parts, with_score
from experiments.induction_heads.science import DELAY, MATCHING
from phenom_jax.claims.runs import last
from phenom_jax.laws.transition import value_at
from phenom_jax.report.marks import Clock, Curves, Figure, Lines, PhaseMap, Scale

KINDS = ("task", "smeared", "positions", "varied", "block", "layers", "heads", "width")
AROUND = np.geomspace(40, 250, 121)  # % of the step of the steepest fall


def aligned(results: xr.Dataset) -> xr.Dataset:
    """Returns the runs that solve their task, over steps in percent of that of the steepest fall of each one's loss."""
    runs = with_score(results.isel(run=results["fall_step"].notnull().values))
    steps, falls = runs["step"].values, runs["fall_step"].values
    norms, scores = runs["gradient_norm"], runs["in_context"]
    final = xr.DataArray(last(runs, "in_context"), dims="run")
    curves = {
        "loss_share": (runs["loss"] / runs["guess"], 0, "loss, share of guessing"),
        "score": (runs["score"], 0, "largest prefix matching"),
        "norm_share": (norms / norms.max("step"), DELAY, "gradient norm, share of its largest"),
        "context_share": (scores / final, 0, "in-context score, share of its last"),
    }
    placed = {
        name: (("run", "step"), np.stack([value_at(curve.values, steps - late, at * falls) for at in AROUND / 100], 1))
        for name, (curve, late, _) in curves.items()
    }
    near = runs.drop_dims("step").assign(placed).assign_coords(step=AROUND)
    for name, (*_, said) in curves.items():
        near[name].attrs["long_name"] = said
    return near


def transition(results: xr.Dataset) -> Curves:
    """Returns the curves around the fall of the loss; with the in-context score where it was measured."""
    lines: Lines = {"loss_share": "-", "score": "--", "norm_share": ":"}
    if results["context_share"].notnull().any():
        lines = {**lines, "context_share": "-."}
    clock, deepest = Clock("step, % of that of the steepest fall", 1), {"layers": max, "width": max}
    return Curves(lines, Scale("share", limits=(0, 1.05)), panel=KINDS, at=deepest, clock=clock, threshold=MATCHING)


def chains(results: xr.Dataset) -> xr.Dataset:
    """Returns the runs on Markov chains."""
    return results.isel(run=(results["task"] == "markov").values)


def in_depth(results: xr.Dataset) -> xr.Dataset:
    """Returns the runs of two layers or more with the parts of their heads."""
    return with_parts(with_score(results.isel(run=(results["layers"] > 1).values)))


FIGURES = (
    Figure(
        "transition",
        "Loss, head and gradient change together",
        "Loss, prefix matching (of the head that has most) and the norm of the gradient of the runs that solve their "
        "task, with steps counted in those to the steepest fall of each run's loss.",
        transition,
        of=aligned,
    ),
    Figure(
        "loss",
        "The loss over training",
        "Where the context tells the answer; thin lines are single runs.",
        Curves({"loss": "-"}, Scale("loss (nat)"), colour=KINDS, panel=KINDS),
    ),
    Figure(
        "matching",
        "Whether a head forms",
        "Attention to what followed earlier occurrences of the present token, of the head that has most: on the task's "
        "sequences, or on others where blocks always repeat at one distance. Thin lines are single runs.",
        Curves({"score": "-"}, Scale("prefix matching"), colour=KINDS, panel=KINDS, threshold=MATCHING),
        of=lambda results: with_score(results.isel(run=(results["task"] != "markov").values)),
    ),
    Figure(
        "scores",
        "The parts of an induction head",
        "Of the head that matches prefixes most in the end: its prefix matching, its copying, and the largest "
        "attention to the previous token, where that is of use, in the layers below it.",
        Curves(
            {"previous_below": ":", "copying_of_head": "--", "score": "-"},
            Scale("score", limits=(None, 1.02)),
            panel=KINDS,
            threshold=MATCHING,
        ),
        of=in_depth,
    ),
    Figure(
        "grid",
        "When a head forms",
        "Median number of steps until some head's prefix matching passes 0.5, over depth and width (or what else "
        "varies).",
        PhaseMap(
            "match_step",
            x=("width", "positions", "layers", "learning_rate", "symbols", "length"),
            y=("layers", "task", "smeared", "block", "varied", "heads", "start_token"),
            label="steps to a head",
        ),
        of=lambda results: results.isel(run=(results["task"] != "markov").values),
        format="svg",
    ),
    Figure(
        "chains",
        "First states, then transitions are counted",
        "Loss on Markov chains beside that of guessing, of counting states (unigram) and of counting transitions "
        "(bigram, the best there is), on the same chains.",
        Curves(
            {"uniform_loss": ":", "unigram_loss": "-.", "bigram_loss": "--", "loss": "-"},
            Scale("loss (nat)", limits=(None, 1.2)),
            panel="layers",
        ),
        of=chains,
    ),
    Figure(
        "divergences",
        "Nearness to what counts",
        "How far the predictions are from those of the unigram and of the bigram predictor.",
        Curves(
            {"unigram_divergence": "--", "bigram_divergence": "-"},
            Scale("KL divergence (nat)", log=True),
            panel="layers",
        ),
        of=chains,
    ),
)
