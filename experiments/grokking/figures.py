"""The figures of a grokking sweep."""

import numpy as np
import xarray as xr

from phenom_jax.report.marks import Curves, Figure, PhaseMap, Profile, Scale, Spectrum

ACCURACY = Scale("accuracy", limits=(-0.02, 1.02))
LARGEST = {"width": max, "train_fraction": max}
OTHERS = ("width", "learning_rate", "model", "activation", "train_fraction", "init_scale", "operation")


def never_is_infinite(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with an infinite delay where a run does not generalise."""
    delay = results["generalisation_delay"]
    return results.assign(generalisation_delay=delay.fillna(np.inf).assign_attrs(delay.attrs))


FIGURES = (
    Figure(
        "accuracy",
        "Memorisation, then generalisation",
        "Train accuracy (dashed) and test accuracy (solid) over training; thin lines are single runs.",
        Curves(
            {"train_accuracy": "--", "test_accuracy": "-"},
            ACCURACY,
            colour=OTHERS,
            panel=("weight_decay", "gradient_filter", "operation"),
        ),
    ),
    Figure(
        "phase_diagram",
        "When it generalises",
        "Median number of steps until 95 % of the test pairs are right, over weight decay and what else varies.",
        PhaseMap(
            "generalisation_step", ("weight_decay", "gradient_filter", "operation"), OTHERS, "steps to generalise"
        ),
        format="svg",
    ),
    Figure(
        "delay",
        "The delay over weight decay",
        "Steps from memorisation to generalisation over weight decay, positive ones, both axes logarithmic: a power "
        "law is a straight line, 1/decay falls by a decade per decade. Runs that never generalise count as largest.",
        Profile(
            "weight_decay", {"generalisation_delay": "-"}, Scale("delay (steps)", log=True), colour=OTHERS, log_x=True
        ),
        of=never_is_infinite,
    ),
    Figure(
        "weight_norm",
        "Weight norm against accuracy",
        "The norm of all weights (right axis, logarithmic) beside train and test accuracy.",
        Curves(
            {"train_accuracy": "--", "test_accuracy": "-"},
            ACCURACY,
            right={"weight_norm": "-"},
            right_y=Scale("norm of all weights", log=True),
            panel=("weight_decay", "model"),
            at=LARGEST,
        ),
    ),
    Figure(
        "progress",
        "Progress hidden below the test accuracy",
        "Restricted loss keeps of the test pairs' logits what depends on a ∘ b through the key frequencies, the "
        "control through all of them; excluded loss takes the key frequencies away from the train pairs. A "
        "frequency is key while it has twice an even share of the logits' variance.",
        Curves(
            {"test_loss": "--", "restricted_test_loss": "-", "summed_test_loss": ":", "excluded_loss": "-."},
            Scale("loss (nat)", log=True),
            right={"test_accuracy": "-"},
            right_y=Scale("test accuracy", limits=(-0.02, 1.02)),
            panel=("weight_decay", "model"),
            at=LARGEST,
        ),
    ),
    Figure(
        "spectrum",
        "Fourier spectrum of the embedding",
        "Share of the embedding's squared norm in each frequency: over training for one run, and at the end of all.",
        Spectrum("fourier_spectrum", "share of squared norm", at=LARGEST),
    ),
)
