"""The figures of local learning coefficients: along the training, and of the chains themselves."""

import numpy as np
import xarray as xr

from experiments.llc.claims import EXACT, TEST, TRAIN
from experiments.llc.science import CHECKS, batches_of
from experiments.llc.training import along_training, stages
from phenom_jax.report.marks import Clock, Curves, Figure, FinalMap, Line, Profile, Scale
from phenom_jax.store.axes import cell_axes

MOVES = Clock("move of the chain", 1)
COEFFICIENT, ALLOWED = Scale("local learning coefficient"), Scale("share of what is allowed")
BESIDE = (  # what a training may tell, the first of these that it does
    ((TRAIN, TEST), Scale("accuracy", limits=(-0.02, 1.02))),
    (("source_rank",), Scale("rank")),
    (("source_train_loss",), Scale("train loss", log=True)),
)


def trained(results: xr.Dataset) -> xr.Dataset | None:
    """Returns curves along the training, None where fewer than two kept states have chains that ended."""
    if "source_step" not in results or not (results["status"] == "finished").any():
        return None
    curves = along_training(results)
    return curves if curves.sizes["step"] > 1 else None


def by_rank(results: xr.Dataset) -> xr.Dataset | None:
    """Returns the most settled kept state of every rank, None where the source has none."""
    curves = trained(results) if EXACT in results else None
    return None if curves is None else stages(curves)


def first_chains(results: xr.Dataset) -> xr.Dataset:
    """Returns the chains of the first source run from the end of their burn-in on."""
    burn_in = (results["burn_in"] * results["steps"]).values.max(initial=0)
    first = results["source"].values == results["source"].values.min(initial=0)
    return results.isel(run=first, step=results["step"].values > burn_in)


def stretches(results: xr.Dataset) -> xr.Dataset | None:
    """Returns the mean loss along the longest chains of the first source run, over stretches of all their draws."""
    ended = results.isel(run=(results["status"] == "finished").values)
    longest = ended["steps"] * (1 - ended["burn_in"])
    chains = ended.isel(run=(longest == longest.max()).values) if ended.sizes["run"] else ended
    if "batch_means" not in chains or not chains.sizes["run"]:
        return None
    chains = chains.isel(run=chains["source"].values == chains["source"].values.min())
    means, burn_in = batches_of(chains, np.arange(chains.sizes["run"])).means, float(chains["burn_in"][0])
    middles = burn_in + (1 - burn_in) * (0.5 + np.arange(means.shape[1])) / means.shape[1]
    along = chains.drop_dims("step").assign_coords(step=middles * int(chains["steps"][0]))
    return along.assign(loss=(("run", "step"), means, {"long_name": "mean loss of a stretch of draws"}))


def along(curves: xr.Dataset) -> Curves:
    """Returns the coefficient, with the exact one where it is known."""
    exact = {EXACT: Line("--", "exact coefficient of this rank")} if EXACT in curves else {}
    axes = cell_axes(curves)
    return Curves({"llc": "-", **exact}, COEFFICIENT, colour=axes, panel=axes, centre="mean")


def beside(curves: xr.Dataset) -> Curves | None:
    """Returns the coefficient and what the training itself measured."""
    for names, scale in BESIDE:
        if all(name in curves for name in names):
            right = dict(zip(names, ("--", "-."), strict=False))
            return Curves({"llc": "-"}, COEFFICIENT, right=right, right_y=scale, panel=cell_axes(curves), centre="mean")
    return None


FIGURES = (
    Figure(
        "along_training",
        "The coefficient along the training",
        "Mean over source runs that differ in their seed, each the mean of its chains around a kept state, with the "
        "95 % interval. Dashed, where theory knows it: the exact coefficient of the stage.",
        along,
        of=trained,
    ),
    Figure(
        "by_rank",
        "The coefficient of every rank",
        "The coefficient at the kept state of every rank with the smallest gradient, and the exact one (dashed).",
        Profile(
            "rank",
            {"llc": Line("-", "sampled"), EXACT: Line("--", "exact")},
            COEFFICIENT,
            centre="mean",
        ),
        of=by_rank,
    ),
    Figure(
        "beside_training",
        "Beside what the training shows",
        "The coefficient (left axis) and what the training itself measured at the kept states (right axis).",
        beside,
        of=trained,
    ),
    Figure(
        "curvature",
        "Hessian trace and effective rank",
        "The trace of the sampled loss's Hessian at the kept weights by Hutchinson's estimator, and the participation "
        "ratio of the outputs' covariance on the train examples.",
        lambda curves: Curves(
            {"hessian_trace": "-"},
            Scale("trace of the Hessian"),
            right={"effective_rank": "--"},
            right_y=Scale("effective rank"),
            panel=cell_axes(curves),
            centre="mean",
        ),
        of=trained,
    ),
    Figure(
        "trust",
        "How far the chains can be trusted",
        "How much of what each check allows the chains around a kept state take; above 1 (dotted) they cannot be "
        "trusted, and the legend says what to change.",
        lambda curves: Curves(dict.fromkeys(CHECKS, "-"), ALLOWED, panel=cell_axes(curves), threshold=1, centre="mean"),
        of=trained,
    ),
    Figure(
        "estimate_traces",
        "Where the estimates settle",
        "The coefficient from the draws so far, thin lines are chains, a panel per kept state of the first source run. "
        "Burn-in is left out.",
        Curves({"llc": "-"}, COEFFICIENT, panel="checkpoint", clock=MOVES),
        of=first_chains,
    ),
    Figure(
        "loss_traces",
        "The loss along the chains",
        "The sampled loss in the mean over each of 32 stretches of draws, thin lines are chains, a panel per kept "
        "state of the first source run. Burn-in is left out.",
        Curves({"loss": "-"}, Scale("sampled loss"), panel="checkpoint", clock=MOVES),
        of=stretches,
    ),
    Figure(
        "calibration",
        "What the sampler's settings do",
        "Median coefficient over step size and localisation. Trust settings around which it does not change; cells "
        "whose chains diverged, or where the coefficient is not positive, are blank.",
        FinalMap("llc", "step_size", ("localisation", "n_beta"), "local learning coefficient", numbers=True),
        format="svg",
    ),
)
