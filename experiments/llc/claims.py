"""The claims about local learning coefficients: each a number of the networks of one source seed, and its rule."""

import functools
from collections import defaultdict

import numpy as np
import xarray as xr

from experiments.llc.science import CHECKS
from experiments.llc.training import TRAINED_WITH, along_training, stages
from phenom_jax.claims import Claim, Source, above, agrees, below, need
from phenom_jax.claims.runs import at, first_crossing, last
from phenom_jax.store.axes import cell_axes

GELMAN = Source("Gelman et al. 2013")
AOYAGI = Source("Aoyagi 2024")
CULLEN = Source("Cullen et al. 2026")
DETECTOR = Source("What a detector of generalisation needs")
EXACT = "source_learning_coefficient"
TRAIN, TEST = "source_train_accuracy", "source_test_accuracy"
EVENTS = {"memorised": (TRAIN, 0.99), "half": (TEST, 0.5), "generalised": (TEST, 0.95)}


def strain(runs: xr.Dataset) -> dict[str, float]:
    """How much of what a check allows the chains take, 1 at the limit, the most around any of its kept states."""
    need((runs["chains"] > 1).all(), "two chains around every kept state")
    return {words: float(runs[check].max()) for check, words in CHECKS.items()}


def rises_beyond_exact(runs: xr.Dataset) -> dict[str, float]:
    """Rise of the coefficient with one rank more, less that of the exact one, the mean over its source runs."""
    need((runs["loss"] == "behaviour").all(), "loss=behaviour, which has a minimum at every stage")
    found = defaultdict(list)
    for _, stage in stages(_curves(runs, EXACT, "source_rank", "source_gradient_norm")).groupby("source"):
        ranks, beyond = stage["rank"].values, (stage["llc"] - stage[EXACT]).values
        for place in np.flatnonzero(np.diff(ranks) == 1):
            found[f"rank {ranks[place]} to {ranks[place] + 1}"].append(beyond[place + 1] - beyond[place])
    need(found, "kept states of two ranks")
    return {rise: float(np.mean(differences)) for rise, differences in sorted(found.items())}


def last_over_exact(runs: xr.Dataset) -> float:
    """Coefficient at the last kept state over the exact one of its rank, the mean over its source runs."""
    curves = _curves(runs, EXACT)
    return float(np.mean(last(curves, "llc") / last(curves, EXACT)))


def peak(runs: xr.Dataset) -> dict[str, float]:
    """Rise of the coefficient from the first kept state to memorisation, and fall from there to generalisation, over
    what it is at memorisation, the mean over its source runs that generalise after they memorised.
    """
    curves = _generalising(runs)
    height = at(curves, "llc", "memorised")
    start, end = curves["llc"].values[:, 0], at(curves, "llc", "generalised")
    return {"rise": float(np.mean(1 - start / height)), "fall": float(np.mean(1 - end / height))}


def early_fall(runs: xr.Dataset) -> float:
    """Share of the fall from memorisation to generalisation that comes before half of the test examples are right, the
    mean over its source runs that generalise after they memorised.
    """
    curves = _generalising(runs)
    height, half, end = (at(curves, "llc", event) for event in EVENTS)
    return float(np.mean((height - half) / (height - end)))


def kept(runs: xr.Dataset) -> float:
    """Coefficient at the last kept state over that at memorisation, the mean over its source runs that memorise and
    never have half of the test examples right.
    """
    curves = _with_events(runs)
    curves = curves.isel(run=np.isfinite(curves["memorised_step"]) & np.isinf(curves["half_step"]))
    need(curves.sizes["run"], "a source run that memorises and does not generalise")
    return float(np.mean(last(curves, "llc") / at(curves, "llc", "memorised")))


def _generalising(runs: xr.Dataset) -> xr.Dataset:
    """Returns the curves of the source runs that generalise after they memorised."""
    curves = _with_events(runs)
    steps = curves["generalised_step"]
    curves = curves.isel(run=np.isfinite(steps) & (steps > curves["memorised_step"]))
    need(curves.sizes["run"], "a source run that generalises after it memorised")
    return curves


def _with_events(runs: xr.Dataset) -> xr.Dataset:
    """Returns curves of classifiers with the step of each event, infinite where it never comes."""
    curves = _curves(runs, TRAIN, TEST)
    need((curves[TEST].values[:, 0] < EVENTS["half"][1]).all(), "a task of which less than half is guessed right")
    return curves.assign({f"{event}_step": ("run", first_crossing(curves, *of)) for event, of in EVENTS.items()})


def _curves(runs: xr.Dataset, *measures: str) -> xr.Dataset:
    """Returns curves along the training of a source that has these measures, in one setting of the sampler."""
    for name in measures:
        need(name in runs, f"a source that knows its {name.removeprefix('source_').replace('_', ' ')}")
    curves = along_training(runs)
    settings = [axis for axis in cell_axes(curves) if axis != "network" and not axis.startswith(TRAINED_WITH)]
    need(not settings, "one setting of the sampler, the only one in which coefficients can be compared")
    return curves


of_sources = functools.partial(Claim, unit="source_seed")  # chains and kept states of one network are not independent
in_grokking = functools.partial(of_sources, figure="beside_training", presets=("grokking",))

CLAIMS = (
    of_sources(
        "The chains can be trusted: short steps, agreeing chains, enough draws, near the kept weights.",
        GELMAN["section 11.5 (split-R-hat, effective draws)"],
        strain,
        below(1),
        scale="exact",
        figure="trust",
        presets=("deep_linear", "mala", "grokking"),
    ),
    of_sources(
        "In a deep linear network the coefficient climbs with every rank as the exact one does.",
        AOYAGI["theorem 1"],
        rises_beyond_exact,
        agrees(0, by=0.25),  # half of the smallest rise there is: what tells a rise from none
        published="rises of 1, 0.5, 0",
        figure="by_rank",
        presets=("deep_linear",),
    ),
    of_sources(
        "At the end of its training a deep linear network has the exact coefficient of its rank.",
        AOYAGI["theorem 1"],
        last_over_exact,
        agrees(1, by=0.05),  # what steps at their limit let SGLD be off
        published="1 (4.5 for 3-3-3-3 at full rank)",
        figure="along_training",
        presets=("deep_linear", "mala"),
    ),
    in_grokking(
        "In grokking the coefficient rises with memorisation and falls with generalisation.",
        CULLEN,
        peak,
        above(0.5),  # a peak is at least twice as high as its feet
        published="shown as a figure",
    ),
    in_grokking(
        "In grokking the coefficient falls as test accuracy rises, not before.", DETECTOR, early_fall, below(0.5)
    ),
    in_grokking("In grokking the coefficient falls only where the network generalises.", DETECTOR, kept, above(0.5)),
)
