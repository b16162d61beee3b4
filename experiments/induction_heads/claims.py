"""What is claimed of induction heads: when they form, what they need, what they are made of."""

import numpy as np
import xarray as xr

from experiments.induction_heads.science import HIGH, LOW, MATCHING, head_score
from phenom_jax.claims import Claim, Source, above, below, need, within
from phenom_jax.claims.runs import at, last, ratio

OLSSON = Source("Olsson et al. 2022", "https://arxiv.org/abs/2209.11895")
ELHAGE = Source("Elhage et al. 2021", "https://transformer-circuits.pub/2021/framework/index.html")
EDELMAN = Source("Edelman et al. 2024", "https://arxiv.org/abs/2402.11004")
PHASE_CHANGE = 0.5  # of all training until its end: from 2.5 to 5 billion tokens in Olsson et al.
NEARER = 2.0  # times as near to one predictor as to the other
IN_THE_FALL = "in the window of the phase change, from 2.5 to 5 billion tokens"


def _recall(results: xr.Dataset) -> xr.DataArray:
    return results["task"] == "recall"


def _plain(results: xr.Dataset) -> xr.DataArray:
    """Returns where matching is needed, as what repeats may be at any distance, and keys are not smeared."""
    needed = _recall(results) | results["varied"].astype(bool)
    return needed & ~results["smeared"].astype(bool)


def form_and_solve(results: xr.Dataset) -> xr.DataArray:
    """Runs of recall that form a head and solve the task"""
    return _recall(results) & results["match_step"].notnull() & results["solve_step"].notnull()


def when_in_the_fall(runs: xr.Dataset) -> dict[str, float]:
    """Loss, as a share of guessing, when a head comes to match prefixes and when the gradient norm peaks"""
    events = {"head": "match", "gradient": "peak"}
    return {words: _mean(at(runs, "loss", event) / runs["guess"].values) for words, event in events.items()}


def deep_solve(results: xr.Dataset) -> xr.DataArray:
    """Runs of recall with two layers or more that solve the task"""
    return _recall(results) & (results["layers"] > 1) & results["solve_step"].notnull()


def length_of_fall(runs: xr.Dataset) -> float:
    """Steps in which the loss falls from 80 % to 25 % of guessing, over all steps until then"""
    return ratio((runs["solve_step"] - runs["leave_step"]).values, runs["solve_step"].values)


def shallow(results: xr.Dataset) -> xr.DataArray:
    """Runs of one layer whose task needs matching, keys not smeared"""
    return _plain(results) & (results["layers"] == 1)


def deep(results: xr.Dataset) -> xr.DataArray:
    """Runs of two layers or more whose task needs matching, keys not smeared"""
    return _plain(results) & (results["layers"] > 1)


def with_score(runs: xr.Dataset) -> xr.Dataset:
    """Returns the runs with `score`, the prefix matching of the head that has most, by which heads are told."""
    return runs.assign(score=head_score(runs).assign_attrs(long_name="largest prefix matching"))


def final_matching(runs: xr.Dataset) -> float:
    """Prefix matching of the head that has most, at the end of training"""
    return _mean(last(with_score(runs), "score"))


def smeared(results: xr.Dataset) -> xr.DataArray:
    """Runs of one layer with smeared keys"""
    return _recall(results) & results["smeared"].astype(bool) & (results["layers"] == 1)


def final_loss(runs: xr.Dataset) -> float:
    """Loss at the end of training, as a share of guessing"""
    return ratio(last(runs, "loss"), runs["guess"].values)


def deep_form_and_solve(results: xr.Dataset) -> xr.DataArray:
    """Runs of two layers or more, keys not smeared, that form a head and solve the task"""
    return deep(results) & results["match_step"].notnull() & results["solve_step"].notnull()


def with_parts(runs: xr.Dataset) -> xr.Dataset:
    """Returns the runs with what the head does that matches prefixes most in the end, and what lies in layers below it.

    `copying_of_head` is its copying, `previous_below` the largest previous-token attention below, 0 in the first layer.
    """
    names = ("prefix_matching", "copying", "previous_token")
    scores, copies, before = (runs[f"head_{name}"].transpose("run", "step", "layer", "head") for name in names)
    ends_R = np.isfinite(scores.values).any((2, 3)).cumsum(1).argmax(1)  # the last step that was measured
    final_RxLxH = scores.fillna(-np.inf).values[np.arange(len(ends_R)), ends_R]
    layer_R, head_R = np.unravel_index(final_RxLxH.reshape(len(final_RxLxH), -1).argmax(1), final_RxLxH.shape[1:])
    before_RxPxL = np.fmax.reduce(before.values, axis=3)
    is_below_RxL = np.arange(before_RxPxL.shape[2]) < layer_R[:, None]
    below_RxPxL = np.where(is_below_RxL[:, None], before_RxPxL, 0 * before_RxPxL)  # NaN where it was not measured
    found = {
        "copying_of_head": (copies.values[np.arange(len(layer_R)), :, layer_R, head_R], "its copying"),
        "previous_below": (np.fmax.reduce(below_RxPxL, axis=2), "previous-token attention below it"),
    }
    return runs.assign({name: (("run", "step"), curves, {"long_name": said}) for name, (curves, said) in found.items()})


def parts(runs: xr.Dataset) -> dict[str, float]:
    """Copying of the head that matches prefixes most, and the largest previous-token attention in a layer below it"""
    found = with_parts(runs)
    return {"copying": _mean(last(found, "copying_of_head")), "previous token": _mean(last(found, "previous_below"))}


def fixed_blocks(results: xr.Dataset) -> xr.DataArray:
    """Runs on blocks that always repeat at one distance, which solve the task"""
    one_length = (results["task"] == "repeated") & ~results["varied"].astype(bool)
    return one_length & results["solve_step"].notnull()


def learned(results: xr.Dataset) -> xr.DataArray:
    """Runs of recall with learned positions that solve the task"""
    return _recall(results) & (results["positions"] == "learned") & results["solve_step"].notnull()


def varied_and_formed(results: xr.Dataset) -> xr.DataArray:
    """Runs on repeated blocks of varied length that form a head"""
    return results["varied"].astype(bool) & results["match_step"].notnull()


def in_context_at_match(runs: xr.Dataset) -> float:
    """In-context score when a head comes to match prefixes, as a share of the last one"""
    final = last(runs, "in_context")
    need((final < 0).all(), "in-context scores below zero")
    return _mean(at(runs, "in_context", "match") / final)


def deep_chains(results: xr.Dataset) -> xr.DataArray:
    """Runs of two layers or more on Markov chains"""
    return (results["task"] == "markov") & (results["layers"] > 1)


def first_phase(runs: xr.Dataset) -> float:
    """Divergence from the unigram predictor where it is lowest, over that from the bigram predictor at this step"""
    return ratio(at(runs, "unigram_divergence", "unigram"), at(runs, "bigram_divergence", "unigram"))


def second_phase(runs: xr.Dataset) -> float:
    """Divergence from the unigram predictor over that from the bigram predictor, at the end of training"""
    return ratio(last(runs, "unigram_divergence"), last(runs, "bigram_divergence"))


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


CLAIMS = (
    Claim(
        "A head comes to match prefixes, and the gradient norm peaks, while the loss falls.",
        OLSSON["argument 1"],
        when_in_the_fall,
        within(LOW, HIGH),
        about=form_and_solve,
        published=IN_THE_FALL,
        figure="transition",
        presets=("", "smeared", "full"),
    ),
    Claim(
        "The loss falls abruptly after a plateau.",
        OLSSON["argument 1"],
        length_of_fall,
        below(PHASE_CHANGE),
        about=deep_solve,
        scale="log",
        published="0.5: from 2.5 to 5 billion tokens",
        figure="loss",
        presets=("", "full", "widths"),
    ),
    Claim(
        "A single layer forms no induction head.",
        ELHAGE,
        final_matching,
        below(MATCHING),
        about=shallow,
        published="one-layer models: none",
        figure="matching",
        presets=("", "widths", "repeated"),
    ),
    Claim(
        "With two layers or more an induction head forms.",
        OLSSON["argument 2"],
        final_matching,
        above(MATCHING),
        about=deep,
        published="models of two layers and more: all",
        figure="matching",
        presets=("", "widths", "full", "repeated"),
    ),
    Claim(
        "With smeared keys one layer forms an induction head.",
        OLSSON["argument 2"],
        final_matching,
        above(MATCHING),
        about=smeared,
        published="one-layer models with smeared keys: yes",
        figure="matching",
        presets=("smeared",),
    ),
    Claim(
        "With smeared keys one layer solves what needs two without.",
        OLSSON["argument 2"],
        final_loss,
        below(LOW),
        about=smeared,
        scale="log",
        published="one-layer models with smeared keys: as good in context as deeper ones",
        figure="loss",
        presets=("smeared",),
    ),
    Claim(
        "The head that matches prefixes copies, and a head below it attends to the previous token.",
        ELHAGE["induction heads"],
        parts,
        above(MATCHING),
        about=deep_form_and_solve,
        published="both",
        figure="scores",
        presets=("", "full", "repeated", "widths"),
    ),
    Claim(
        "Blocks that always repeat at the same distance are learnt without an induction head.",
        Source("Known from implementations: attention to that distance solves it"),
        final_matching,
        below(MATCHING),
        about=fixed_blocks,
        figure="matching",
        presets=("absolute",),
    ),
    Claim(
        "With learned absolute positions at length 32 recall is solved without a head that matches prefixes.",
        Source("Known from one implementation of this setting"),
        final_matching,
        below(MATCHING),
        about=learned,
        published="no prefix-matching head forms",
        figure="matching",
        presets=("absolute",),
    ),
    Claim(
        "The in-context score falls when the head forms.",
        OLSSON["argument 1"],
        in_context_at_match,
        within(1 - HIGH, 1 - LOW),
        about=varied_and_formed,
        published=IN_THE_FALL,
        figure="transition",
        presets=("repeated",),
    ),
    Claim(
        "A model of Markov chains first counts states.",
        EDELMAN["section 3"],
        first_phase,
        below(1 / NEARER),
        about=deep_chains,
        scale="log",
        published="a unigram phase",
        figure="divergences",
        presets=("markov",),
    ),
    Claim(
        "In the end a model of Markov chains counts transitions.",
        EDELMAN["section 3"],
        second_phase,
        above(NEARER),
        about=deep_chains,
        scale="log",
        published="then a bigram phase",
        figure="divergences",
        presets=("markov",),
    ),
)
