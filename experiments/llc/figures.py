"""The figures of local learning coefficients: along the training, and of the chains themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.llc.training import over_training, training_axes
from experiments.llc.trust import batches_of
from phenom_jax.report.curves import Clock, Scale, curves, two_axes
from phenom_jax.report.figures import Figure, LineStyle
from phenom_jax.report.maps import final_map

if TYPE_CHECKING:
    import matplotlib.figure

MOVES = Clock("move of the chain", 1)
COEFFICIENT = Scale("local learning coefficient")
BESIDE = (  # what a training may tell, the first of these that it does
    (("source_train_accuracy", "source_test_accuracy"), Scale("accuracy", limits=(-0.02, 1.02))),
    (("source_rank",), Scale("rank")),
    (("source_train_loss",), Scale("train loss", log=True)),
)
STYLES: tuple[LineStyle, ...] = ("--", "-.")


def _along(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    trained = _trained(results)
    if trained is None:
        return None
    lines: dict[str, LineStyle] = {"llc": "-"}
    if "source_learning_coefficient" in trained:
        lines["source_learning_coefficient"] = "--"
    colour, panel = [*training_axes(trained), None, None][:2]
    return curves(trained, lines, COEFFICIENT, colour=colour, panel=panel, centre="mean")


def _beside(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    trained = _trained(results)
    if trained is None:
        return None
    for names, scale in BESIDE:
        if all(name in trained for name in names):
            panel = next(iter(training_axes(trained)), None)
            return two_axes(trained, {"llc": "-"}, COEFFICIENT, dict(zip(names, STYLES)), scale, panel=panel)
    return None


def _curvature(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    trained = _trained(results)
    if trained is None:
        return None
    panel = next(iter(training_axes(trained)), None)
    left, right = Scale("trace of the Hessian"), Scale("effective rank")
    return two_axes(trained, {"hessian_trace": "-"}, left, {"effective_rank": "--"}, right, panel=panel)


def _estimates(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    burn_in = (results["burn_in"] * results["steps"]).values.max(initial=0)
    return _traces(results.isel(step=results["step"].values > burn_in), "llc", COEFFICIENT)


def _losses(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the stretches of the longest chains: draws themselves are recorded at few, log-spaced moves."""
    ended = results.isel(run=(results["status"] == "finished").values)
    moves, burn_in = ended["steps"].values, ended["burn_in"].values
    longest = moves == moves.max(initial=0)
    longest &= burn_in == burn_in[longest].max(initial=0)
    chains = ended.isel(run=longest)
    if not chains.sizes["run"]:
        return None
    means = batches_of(chains, np.arange(chains.sizes["run"])).means
    kept = burn_in[longest][0] + (1 - burn_in[longest][0]) * (0.5 + np.arange(means.shape[1])) / means.shape[1]
    stretches = chains.drop_dims("step").assign_coords(step=kept * moves[longest][0])
    said = {"long_name": "mean loss of a stretch of draws"}
    return _traces(stretches.assign(stretch_loss=(("run", "step"), means, said)), "stretch_loss", Scale("sampled loss"))


def _traces(draws: xr.Dataset, variable: str, scale: Scale) -> matplotlib.figure.Figure | None:
    """Returns the traces of the first source run's chains; of several settings, of the middle one."""
    return curves(draws, {variable: "-"}, scale, panel="checkpoint", at={"source": min}, clock=MOVES)


def _trained(results: xr.Dataset) -> xr.Dataset | None:
    """Returns curves over the source's steps, or None where fewer than two kept states have chains that are over."""
    if "source_step" not in results or not (results["status"] == "finished").any():
        return None
    trained = over_training(results)
    return trained if trained.sizes["step"] > 1 else None


FIGURES = (
    Figure(
        "along_training",
        "The coefficient along the training",
        "Mean over chains around every kept state, or over source runs that differ in their seed, with its 95 % "
        "interval. Dashed, where theory knows it: the exact coefficient of the stage.",
        _along,
    ),
    Figure(
        "beside_training",
        "Beside what the training shows",
        "The coefficient (left axis) and what the training itself measured at the kept states (right axis).",
        _beside,
    ),
    Figure(
        "curvature",
        "Hessian trace and effective rank",
        "The trace of the sampled loss's Hessian at the kept weights by Hutchinson's estimator, and the participation "
        "ratio of the outputs' covariance on the train examples.",
        _curvature,
    ),
    Figure(
        "estimate_traces",
        "Where the estimates settle",
        "The coefficient from the draws so far, a thin line per chain, a panel per kept state. Burn-in is left out.",
        _estimates,
    ),
    Figure(
        "loss_traces",
        "The loss along the chains",
        "The sampled loss in the mean over each of 32 stretches of draws, a line per chain, a panel per kept state. "
        "Burn-in is left out.",
        _losses,
    ),
    Figure(
        "calibration",
        "What the sampler's settings do",
        "Median coefficient over step size and localisation. Trust settings around which it does not change; cells "
        "whose chains diverged, or where the coefficient is not positive, are blank.",
        lambda results: final_map(
            results,
            "llc",
            x="step_size",
            y=("localisation", "n_beta"),
            label="local learning coefficient",
            numbers=True,
        ),
        format="svg",
    ),
)
