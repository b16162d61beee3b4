"""The figures of deep double descent."""

import numpy as np
import xarray as xr

from experiments.deep_double_descent.science import FITTED, fitting_width
from phenom_jax.report.marks import Border, Curves, Figure, Heat, Lines, Profile, Scale, VLine
from phenom_jax.store.axes import groups, hold

NOISIEST = {"label_noise": max, "width": max, "samples": max}
SCALES = {"error": Scale("error"), "loss": Scale("cross-entropy (nat)", log=True)}


def threshold(runs: xr.Dataset) -> float:
    """Returns the median over seeds of the width that fits the train set, NaN of train sets of several sizes."""
    if len(np.unique(runs["samples"].values)) > 1:
        return np.nan
    widths = np.array([fitting_width(curve) for _, curve in groups(runs, ["seed", "label_noise"])])
    return float(np.median(widths[np.isfinite(widths)])) if np.isfinite(widths).any() else np.nan


def around_threshold(results: xr.Dataset) -> xr.Dataset:
    """Returns the runs at four widths: half the threshold of the noisiest labels, it, its double, and the largest.

    All runs where there is no threshold or there are no more than six widths.
    """
    widths = np.unique(results["width"].values)
    width = threshold(hold(results, ["width"], NOISIEST)[0])
    if np.isnan(width) or len(widths) <= 6:
        return results
    chosen = {int(widths[np.abs(np.log(widths / target)).argmin()]) for target in (width / 2, width, 2 * width)}
    return results.isel(run=np.isin(results["width"].values, [*chosen, widths[-1]]))


def lines(word: str) -> Lines:
    return {f"train_{word}": "--", f"test_{word}": "-"}


def final(x: str, colour: str, word: str, shown: Lines, *verticals: VLine) -> Profile:
    """Returns final error or loss over a hyperparameter."""
    options = {"colour": colour, "panel": "label_noise", "log_x": True, "centre": "mean"}
    return Profile(x, shown, SCALES[word], verticals=verticals, **options)


FITS = VLine(threshold, "width that fits the train set")
FIGURES = (
    Figure(
        "error_over_width",
        "Model-wise: error",
        "Test error at the end of training over width. Where labels are noisy it peaks near the least width from which "
        "on train error is at most 1 % (dotted, median over seeds).",
        final("width", "samples", "error", {"test_error": "-"}, FITS),
    ),
    Figure(
        "loss_over_width",
        "Model-wise: loss",
        "Train (dashed) and test (solid) cross-entropy; that of test examples peaks even where their error does not.",
        final("width", "samples", "loss", lines("loss"), FITS),
    ),
    Figure(
        "phases",
        "Test error over width and training time",
        "A vertical cut is one network through training (epoch-wise double descent), a horizontal one all networks "
        "after as many epochs (model-wise). The line: where train error is at most 1 % for the first time.",
        Heat(
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
        Curves(lines("error"), SCALES["error"], colour="width", panel="label_noise", at=NOISIEST),
        of=around_threshold,
    ),
    Figure(
        "error_over_samples",
        "Sample-wise: error",
        "Train error (dashed) and test error (solid) at the end of training over the number of train examples. Near "
        "the threshold of a width more examples may hurt.",
        final("samples", "width", "error", lines("error")),
        of=around_threshold,
    ),
    Figure(
        "loss_over_samples",
        "Sample-wise: loss",
        "The same of the cross-entropy.",
        final("samples", "width", "loss", lines("loss")),
        of=around_threshold,
    ),
)
