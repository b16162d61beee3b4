"""The figures of an early-stopping sweep."""

import functools

import numpy as np
import xarray as xr

from experiments.early_stopping.science import SCALES, closed_form
from phenom_jax.report.marks import Curves, Figure, Heat, Line, LineStyle, Overlay, Profile, Scale

SHAPES = ("step_sizes", "inputs", "model", "scales", "features", "samples")
STYLES: tuple[LineStyle, ...] = ("--", ":", "-.")
RISK = Scale("excess risk", log="auto")
excess_risk_curves = functools.partial(Curves, {"excess_risk": "-"}, RISK, colour=SHAPES, panel="noise", centre="mean")
EXACT = {"excess_risk": lambda runs, steps: closed_form(runs, steps).total}


def linear_by_scale(results: xr.Dataset) -> xr.Dataset:
    """Returns the linear models with the excess risk of each scale as a variable of its own."""
    linear = results.isel(run=(results["model"] == "linear").values)
    parts = enumerate(linear["scale_risk"].transpose("scale", ...))
    return linear.assign({f"scale_{index}": part.drop_vars("scale") for index, part in parts})


def scales_mark(linear: xr.Dataset) -> Curves:
    """Returns curves of as many scales as there are."""
    deviations = SCALES["three"].deviation[: linear.sizes["scale"]]  # those of fewer scales begin alike
    lines, exact = {}, dict(EXACT)
    for index, (style, deviation) in enumerate(zip(STYLES, deviations, strict=False)):
        lines[f"scale_{index}"] = Line(style, f"of features of deviation {deviation:g}")
        exact[f"scale_{index}"] = lambda runs, steps, at=index: closed_form(runs, steps).of_scale[:, at : at + 1].sum(1)
    overlay = Overlay("closed form", exact)
    return Curves({**lines, "excess_risk": "-"}, RISK, panel=(*SHAPES, "noise"), centre="mean", overlay=overlay)


def ridge_risk(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    """Returns the mean risk of ridge regression over runs, between penalties in their logarithm; NaN beyond them."""
    risk = runs["ridge_excess_risk"].max("step").mean("run").values
    times = float(runs["learning_rate"].values[0]) * np.maximum(steps, 0.5)
    found = np.interp(np.log(1 / times), np.log(runs["penalty"].values), risk, left=np.nan, right=np.nan)
    return np.where(steps > 0, found, np.nan)


FIGURES = (
    Figure(
        "losses",
        "Train and validation loss",
        "Squared error of the noisy train labels (dashed) and validation labels (solid) over training. The train loss "
        "never rises; dots mark where the validation loss is lowest.",
        Curves(
            {"train_loss": "--", "validation_loss": "-"},
            Scale("squared error of noisy labels"),
            panel=(*SHAPES, "noise"),
            centre="mean",
            lowest="validation_loss",
        ),
    ),
    Figure(
        "closed_form",
        "Excess risk beside the closed form",
        "Mean over seeds of gradient descent, and the risk of Heckel and Yilmaz (dashed; with Gaussian inputs it is "
        "approximate). Strong features are learnt, then their noise, then weak features, then theirs.",
        excess_risk_curves(lowest="excess_risk", overlay=Overlay("closed form", EXACT)),
        of=linear_by_scale,
    ),
    Figure(
        "scales",
        "What each scale adds",
        "The excess risk in total (solid) and of the features of each scale, in closed form too (thin). Each has one "
        "minimum, at different steps where the step sizes are equal.",
        scales_mark,
        of=linear_by_scale,
    ),
    Figure(
        "phases",
        "When to stop, over the noise",
        "Median excess risk over noise and training steps, each run's in units of its lowest: dark is where to stop. "
        "With equal step sizes the dark band is broken in two: with little noise the second minimum is the lower one, "
        "with much noise the first.",
        Heat("by_lowest", "noise", "excess risk ÷ lowest of the run", panel=SHAPES),
        of=lambda results: results.assign(by_lowest=results["excess_risk"] / results["best_risk"]),
    ),
    Figure(
        "rules",
        "What each way to stop gets",
        "Mean excess risk over the label noise: at the last step, where a patience rule stops, at the lowest "
        "validation loss, and of ridge regression whose penalty the same validation set chose.",
        Profile(
            "noise",
            {"last_risk": ":", "patience_risk": "-.", "stopping_risk": "-", "ridge_risk": "--"},
            RISK,
            panel=SHAPES,
            centre="mean",
        ),
    ),
    Figure(
        "ridge",
        "Steps as a ridge",
        "Mean excess risk after k steps of size η beside ridge regression on the same data with penalty 1 / (η k). "
        "Both learn the scales in the same order; ridge regression passes from one to the next more gradually.",
        excess_risk_curves(
            overlay=Overlay("ridge regression at penalty 1 / (step size × step)", {"excess_risk": ridge_risk})
        ),
    ),
)
