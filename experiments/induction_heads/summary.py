"""When it happens in each run: the loss falls, a head matches prefixes, the gradient peaks, chains are understood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from phenom_jax.laws.fall import steepest_fall
from phenom_jax.laws.peak import inner_peak
from phenom_jax.laws.transition import Crossing, first_crossing

HIGH, LOW = 0.8, 0.25  # of the loss of guessing among the possible answers: the plateau is left, the task is solved
MATCHING = 0.5  # a head that attends more than this to what followed earlier occurrences


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what happened when, each `*_step` in (`*_after`, `*_step`] and NaN where it did not.

    leave, solve: the loss is below 80 %, below 25 % of that of guessing. fall: where it falls most per step between the
    two. match: a head matches prefixes by more than 0.5, see `head_score`. peak: of the gradient norm, from where the
    loss is below guessing to twice as many steps as to `solve`. context: half of the fall of the in-context score.
    unigram: the lowest divergence from the unigram predictor before `bigram`, from where on the bigram predictor is the
    nearer. Chains have the last three alone, other tasks those before.
    """
    steps = results["step"].values
    loss, chains = results["loss"].values, (results["task"] == "markov").values
    guess = np.where(chains, np.nan, np.log(results["symbols"].values))
    leave, solve = (first_crossing(loss, steps, share * guess, "down") for share in (HIGH, LOW))
    score = head_score(results).values
    found = {
        "leave": (leave, "loss at 80 % of guessing"),
        "solve": (solve, "loss at 25 % of guessing"),
        "fall": (steepest_fall(loss, steps, leave.after, solve.step), "steepest fall of the loss"),
        "match": (first_crossing(score, steps, np.where(chains, np.nan, MATCHING)), "prefix matching at 0.5"),
        "peak": (_gradient_peak(results, guess, solve.step), "peak of the gradient norm"),
        "context": (_half_way(results["in_context"].values, steps, chains), "half of the fall of the in-context score"),
    }
    found["bigram"] = (_nearer_for_good(results), "the bigram predictor is nearer for good")
    found["unigram"] = (_lowest_before(results, found["bigram"][0].step), "nearest to the unigram predictor")
    per_run = {}
    for name, (crossing, said) in found.items():
        for end, values, which in (
            ("step", crossing.step, "first step"),
            ("after", crossing.after, "measured step before"),
        ):
            attributes = {"long_name": f"{which}: {said}", "units": "steps"}
            per_run[f"{name}_{end}"] = xr.DataArray(values, dims="run", attrs=attributes)
    labels = {dim: 1 + np.arange(results.sizes[dim]) for dim in ("layer", "head")}
    return results.assign(per_run).assign_coords(labels)


def head_score(results: xr.Dataset) -> xr.DataArray:
    """Returns the prefix matching by which heads are told: on the task's own sequences, if these take matching.

    Blocks of one length do not, for what they repeat lies at one distance: on them it is that on the probe.
    """
    positional = (results["task"] == "repeated") & ~results["varied"].astype(bool)
    return results["probe_matching"].where(positional, results["prefix_matching"])


def _gradient_peak(results: xr.Dataset, guess: np.ndarray, solved: np.ndarray) -> Crossing:
    """Returns the most prominent peak of the gradient norm, early learning and what Adam does long after left out."""
    steps = results["step"].values
    below = first_crossing(results["loss"].values, steps, guess, "down").step
    return _at(
        results["gradient_norm"].values,
        steps,
        lambda row, norms: (
            inner_peak(np.where((steps >= below[row]) & (steps <= 2 * solved[row]), norms, np.nan)).index
        ),
    )


def _half_way(scores: np.ndarray, steps: np.ndarray, chains: np.ndarray) -> Crossing:
    """Returns where the in-context score is first at half of its last value; its value at the start is about zero."""
    measured = np.isfinite(scores)
    last = scores.shape[1] - 1 - measured[:, ::-1].argmax(1)
    end = np.take_along_axis(scores, last[:, None], 1)[:, 0]
    return first_crossing(scores, steps, np.where(chains | ~(end < -0.1), np.nan, end / 2), "down")


def _nearer_for_good(results: xr.Dataset) -> Crossing:
    """Returns from where on the bigram predictor is nearer than the unigram one at every measured step."""
    lead = results["unigram_divergence"].values - results["bigram_divergence"].values
    behind, last = lead <= 0, lead.shape[1] - 1

    def first(row: int, _: np.ndarray) -> int:
        if not np.isfinite(lead[row]).any() or behind[row, last]:
            return -1
        return last - int(behind[row, ::-1].argmax()) + 1 if behind[row].any() else 0

    return _at(lead, results["step"].values, first)


def _lowest_before(results: xr.Dataset, before: np.ndarray) -> Crossing:
    """Returns where the divergence from the unigram predictor is lowest of all steps before these, NaN without any."""
    steps = results["step"].values

    def lowest(row: int, values: np.ndarray) -> int:
        earlier = np.isfinite(values) & (steps < before[row])
        return int(np.where(earlier, values, np.inf).argmin()) if earlier.any() else -1

    return _at(results["unigram_divergence"].values, steps, lowest)


def _at(curves: np.ndarray, steps: np.ndarray, place: Callable[[int, np.ndarray], int]) -> Crossing:
    """Returns the step of the place found in each curve, -1 for none, and the step before it."""
    places = np.array([place(row, curve) for row, curve in enumerate(curves)], int)
    some, before = places >= 0, np.maximum(places - 1, 0)
    return Crossing(np.where(some, steps[places], np.nan), np.where(some, steps[before], np.nan))
