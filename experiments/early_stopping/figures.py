"""The figures of an early-stopping sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.early_stopping.scales import SCALES, closed_form
from phenom_jax.report.curves import Overlay, Scale, curves
from phenom_jax.report.figures import Figure, LineStyle
from phenom_jax.report.heat import heat
from phenom_jax.report.profile import profile
from phenom_jax.store.axes import swept_axes

if TYPE_CHECKING:
    import matplotlib.figure

STYLES: tuple[LineStyle, ...] = ("--", ":", "-.")
SHAPES = ("step_sizes", "inputs", "model", "scales", "features", "samples")  # the first that varies has the colours


def draw_losses(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns train and validation loss over training, with the lowest validation loss marked."""
    return curves(
        results,
        {"train_loss": "--", "validation_loss": "-"},
        Scale("squared error of noisy labels"),
        panel=_varying(results) or "noise",
        centre="mean",
        minimum_of="validation_loss",
    )


def draw_closed_form(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the mean excess risk over training beside the closed form."""
    return curves(
        results,
        {"excess_risk": "-"},
        _risk(results),
        colour=_varying(results),
        panel="noise",
        centre="mean",
        minimum_of="excess_risk",
        overlay=Overlay("closed form", {"excess_risk": _total}) if (results["model"] == "linear").any() else None,
    )


def draw_scales(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns what each scale adds to the excess risk, beside its closed form."""
    results = results.isel(run=(results["model"] == "linear").values)
    if not results.sizes["run"]:
        return None
    most = results.sizes["scale"]
    parts = {f"scale_{1 + index}": results["scale_risk"].isel(scale=index, drop=True) for index in range(most)}
    names = set(results["scales"].values.tolist())
    if len(names) == 1:
        for part, deviation in zip(parts.values(), SCALES[names.pop()].deviation):
            part.attrs = {"long_name": f"of features of deviation {deviation:g}"}
    overlay = {
        name: lambda runs, steps, index=index: _part(closed_form(runs, steps).of_scale, index)
        for index, name in enumerate(parts)
    } | {"excess_risk": _total}
    return curves(
        results.assign(parts),
        {**dict(zip(parts, STYLES)), "excess_risk": "-"},
        _risk(results),
        panel=_varying(results) or "noise",
        centre="mean",
        overlay=Overlay("closed form", overlay),
    )


def draw_ridge(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the mean excess risk over training beside that of ridge regression at penalty 1 / (η k)."""
    return curves(
        results,
        {"excess_risk": "-"},
        _risk(results),
        colour=_varying(results),
        panel="noise",
        centre="mean",
        overlay=Overlay("ridge regression at penalty 1 / (step size × step)", {"excess_risk": _ridge}),
    )


def draw_phases(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a map over noise and steps of the excess risk, in units of the lowest of the run."""
    times_best = (results["excess_risk"] / results["best_risk"]).assign_attrs(long_name="excess risk by the lowest")
    return heat(
        results.assign(times_best=times_best),
        "times_best",
        "noise",
        "excess risk ÷ lowest of the run",
        panel=_varying(results),
    )


def draw_rules(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the excess risk that each way to stop gets, over the noise."""
    last = results["excess_risk"].assign_attrs(long_name="excess risk at the last step")
    return profile(
        results.assign(last_risk=last),
        "noise",
        {"last_risk": ":", "patience_risk": "-.", "stopping_risk": "-", "ridge_risk": "--"},
        _risk(results),
        panel=_varying(results),
        centre="mean",
    )


def _risk(results: xr.Dataset) -> Scale:
    """Returns the scale of the risk, logarithmic where the noise spans more than a factor of 4."""
    noise = results["noise"].values
    return Scale("excess risk", log=bool(noise.max() > 4 * noise.min()))


def _varying(results: xr.Dataset) -> str | None:
    varying = [name for names in swept_axes(results).values() for name in names]
    return next((name for name in SHAPES if name in varying), None)


def _total(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    return closed_form(runs, steps).total


def _part(of_scale: np.ndarray, index: int) -> np.ndarray:
    return of_scale[:, index] if index < of_scale.shape[1] else np.full(len(of_scale), np.nan)


def _ridge(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    """Returns the mean risk over runs, between the measured penalties in their logarithm; NaN beyond them."""
    risk = runs["ridge_excess_risk"].max("step").mean("run").values
    times = float(runs["learning_rate"].values[0]) * np.maximum(steps, 0.5)
    found = np.interp(np.log(1 / times), np.log(runs["penalty"].values), risk, left=np.nan, right=np.nan)
    return np.where(steps > 0, found, np.nan)


FIGURES = (
    Figure(
        "losses",
        "Train and validation loss",
        "Squared error of the noisy train labels (dashed) and validation labels (solid) over training, a panel per "
        "noise. The train loss never rises; dots mark where the validation loss is lowest.",
        draw_losses,
    ),
    Figure(
        "closed_form",
        "Excess risk beside the closed form",
        "Mean over seeds of gradient descent, and the risk of Heckel and Yilmaz (dashed). Strong features are learnt, "
        "then their noise, then weak features, then theirs: two minima, where the scales are far apart and the noise "
        "is large enough. With Gaussian inputs the closed form is approximate.",
        draw_closed_form,
    ),
    Figure(
        "scales",
        "What each scale adds",
        "The excess risk in total (solid) and of the features of each scale, in closed form too (thin). Each has one "
        "minimum, at different steps where the step sizes are equal.",
        draw_scales,
    ),
    Figure(
        "phases",
        "When to stop, over the noise",
        "Median excess risk over noise and training steps, each run's in units of its lowest: dark is where to stop. "
        "With equal step sizes the dark band is broken in two: with little noise the second minimum is the lower one, "
        "with much noise the first.",
        draw_phases,
    ),
    Figure(
        "rules",
        "What each way to stop gets",
        "Mean excess risk over the label noise: at the last step, where a patience rule stops, at the lowest "
        "validation loss, and of ridge regression whose penalty the same validation set chose.",
        draw_rules,
    ),
    Figure(
        "ridge",
        "Steps as a ridge",
        "Mean excess risk after k steps of size η beside ridge regression on the same data with penalty 1 / (η k). "
        "Both learn the scales in the same order; ridge regression passes from one to the next more gradually.",
        draw_ridge,
    ),
)
