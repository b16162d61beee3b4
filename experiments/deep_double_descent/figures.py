"""The figures of deep double descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.deep_double_descent.threshold import FITTED, threshold_of
from phenom_jax.report.curves import Scale, curves
from phenom_jax.report.figures import Figure, LineStyle
from phenom_jax.report.heat import Border, heat
from phenom_jax.report.profile import Mark, profile
from phenom_jax.store.axes import hold

if TYPE_CHECKING:
    import matplotlib.figure

NOISIEST = {"label_noise": max, "width": max, "samples": max}
ERROR, LOSS = Scale("error"), Scale("cross-entropy (nat)", log=True)
ERRORS: dict[str, LineStyle] = {"train_error": "--", "test_error": "-"}
LOSSES: dict[str, LineStyle] = {"train_loss": "--", "test_loss": "-"}
THRESHOLD = Mark(threshold_of, "threshold")


def over_width(results: xr.Dataset, lines: Mapping[str, LineStyle], scale: Scale) -> matplotlib.figure.Figure | None:
    """Returns final values over width with the threshold, of test examples alone where train sets differ in size."""
    several = len(np.unique(results["samples"].values)) > 1
    shown: dict[str, LineStyle] = {name: line for name, line in lines.items() if "test" in name or not several}
    marks = [] if several else [THRESHOLD]
    return profile(results, "width", shown, scale, "samples", "label_noise", marks=marks, log_x=True)


def around_threshold(results: xr.Dataset) -> xr.Dataset:
    """Returns the runs at four widths: half the threshold of the noisiest labels, it, its double, and the largest.

    All runs where there is no threshold or there are no more than six widths.
    """
    widths = np.unique(results["width"].values)
    held, _ = hold(results, ["width"], NOISIEST)
    at = threshold_of(held)
    if np.isnan(at) or len(widths) <= 6:
        return results
    chosen = {int(widths[np.abs(np.log(widths / target)).argmin()]) for target in (at / 2, at, 2 * at, widths[-1])}
    return results.isel(run=np.isin(results["width"].values, list(chosen)))


FIGURES = (
    Figure(
        "error_over_width",
        "Model-wise: error",
        "Train error (dashed) and test error (solid) at the end of training over width; the threshold is the least "
        "width from which on train error is at most 1 %. Test error peaks near it where labels are noisy.",
        lambda results: over_width(results, ERRORS, ERROR),
    ),
    Figure(
        "loss_over_width",
        "Model-wise: loss",
        "The same of the cross-entropy, which peaks even where the error does not.",
        lambda results: over_width(results, LOSSES, LOSS),
    ),
    Figure(
        "phases",
        "Test error over width and training time",
        "A vertical cut is one network through training (epoch-wise double descent), a horizontal one all networks "
        "after as many epochs (model-wise). The line: where train error is at most 1 % for the first time.",
        lambda results: heat(
            results,
            "test_error",
            "width",
            "test error",
            time="epochs",
            border=Border("train_error", FITTED, "train error at most 1 %"),
            panel="label_noise",
            at=NOISIEST,
        ),
    ),
    Figure(
        "error_over_time",
        "Epoch-wise: error",
        "Train error (dashed) and test error (solid) over training for widths below, at and above the threshold.",
        lambda results: curves(
            around_threshold(results), ERRORS, ERROR, colour="width", panel="label_noise", at=NOISIEST
        ),
    ),
    Figure(
        "error_over_samples",
        "Sample-wise: error",
        "Train error (dashed) and test error (solid) at the end of training over the number of train examples. Near "
        "the threshold of a width more examples may hurt.",
        lambda results: profile(
            around_threshold(results), "samples", ERRORS, ERROR, "width", "label_noise", log_x=True
        ),
    ),
    Figure(
        "loss_over_samples",
        "Sample-wise: loss",
        "The same of the cross-entropy.",
        lambda results: profile(around_threshold(results), "samples", LOSSES, LOSS, "width", "label_noise", log_x=True),
    ),
)
