"""Induction heads: attention that looks for what followed last time forms at once (Olsson et al. 2022).

A two-layer attention-only transformer learns to recall pairs it has just read. Its loss rests on a plateau, then falls
within a few hundred steps, while one head comes to attend to what followed earlier occurrences of the present token.

python -m launch.induction_heads              32 runs, about a minute on two CPU cores
python -m launch.induction_heads --preset=markov
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from phenom_jax.experiment import Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.fall import steepest_fall
from phenom_jax.laws.peak import inner_peak
from phenom_jax.laws.transition import first_crossing
from phenom_jax.measures.accuracy import correct, cross_entropy
from phenom_jax.measures.attention import copying, in_context, prefix_matching, previous_token
from phenom_jax.models.attention import Block, Decoder, Positions
from phenom_jax.optim import adam, advance, start
from phenom_jax.sizes import Size, masked_mean
from phenom_jax.tasks.sequences import key_value, markov, repeated
from phenom_jax.theory.in_context import bigram, divergence, unigram

EVALUATION, PROBE = 0xE7A1, 0x9806E  # keys of the sequences on which every run is measured
EVALUATED, PROBED = 128, 4  # how many of them
PREDICTORS = {"unigram": unigram, "bigram": bigram}
HIGH, LOW = 0.8, 0.25  # of the loss of guessing among the possible answers: the plateau is left, the task is solved
MATCHING = 0.5  # a head that attends more than this to what followed earlier occurrences
MEMORY = 0.95  # of the running mean of gradient norms: that of one step is mostly noise
DELAY = MEMORY / (1 - MEMORY)  # steps by which that mean comes after what it is the mean of


@hparams
class InductionHeads:
    seed: int = swept(0, "initial weights and training sequences")
    steps: int = swept(2000, "optimiser steps, each on fresh sequences", at_least=0)
    learning_rate: float = swept(1e-3, "Adam's step size", above=0)
    width: Size = size(32, "dimensions of the residual stream, which the heads share")
    batch_size: Size = size(32, "sequences of a step")
    task: Literal["recall", "repeated", "markov"] = static(
        "recall", "pairs of key and value given twice, a block of random tokens repeated, or Markov chains"
    )
    length: int = static(32, "tokens of a sequence", at_least=4)
    symbols: int = static(8, "different tokens; in recall keys, and as many values", at_least=2)
    repeats: int = static(2, "how often a block is given with task=repeated", at_least=2)
    varied: bool = static(False, "whether blocks have random lengths, from half of length / repeats on")
    layers: int = static(2, "of attention", at_least=1)
    heads: int = static(1, "in each layer", at_least=1)
    positions: Positions = static("relative", "a bias of attention for each distance, or a learned vector per position")
    smeared: bool = static(False, "whether keys mix with those of the token before, by a learned share")
    block: Block = static("attention", "what a layer is: attention alone, or with LayerNorm and an MLP")
    start_token: bool = static(False, "whether sequences begin with a start token, as the probe always does")
    probe_block: int = static(25, "random tokens of the probe of prefix matching", at_least=2)
    probe_repeats: int = static(4, "how often the probe repeats them", at_least=2)

    def check(self) -> None:
        """Raises InvalidValue for sequences that cannot be laid out, and a probe beyond the learned positions."""
        if self.task == "recall":
            if self.length % 4:
                raise InvalidValue(
                    f"length: {self.length} is not a multiple of 4: pairs of two tokens, each given twice"
                )
            if self.length // 4 > self.symbols:
                raise InvalidValue(
                    f"length: {self.length} holds {self.length // 4} different keys, symbols={self.symbols} allows "
                    "fewer"
                )
        if self.task == "repeated":
            if self.length % self.repeats:
                raise InvalidValue(f"repeats: {self.repeats} does not divide length={self.length}")
            if self.length == self.repeats:
                raise InvalidValue(f"repeats: {self.repeats} of one token leave nothing to match, length={self.length}")
        if self.width.active % self.heads:
            raise InvalidValue(f"heads: {self.heads} does not divide width={self.width.active}")
        probe = 1 + self.probe_block * self.probe_repeats
        if self.positions == "learned" and probe > positions(self):
            raise InvalidValue(
                f"probe_block: {self.probe_block} x probe_repeats={self.probe_repeats} and a start token are {probe} "
                f"tokens, beyond the {positions(self)} learned positions"
            )

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        return {} if self.task == "repeated" else dict.fromkeys(("repeats", "varied"), f"task={self.task}")


class Layout(NamedTuple):
    """A task's sequences.

    Attributes:
      asked: positions whose next token is to be predicted, ascending, int[Q].
      told: those of them whose answer the context tells, int[R].
      sources: positions of tokens that answer, in which the token before is of use, int[S].
      answers: the tokens that are possible answers there.
    """

    asked: np.ndarray
    told: np.ndarray
    sources: np.ndarray
    answers: slice


class State(NamedTuple):
    model: Decoder
    optimizer: optax.OptState
    gradient_norm: jax.Array  # running mean, negative before the first step


class StepMetrics(NamedTuple):
    batch_loss: Annotated[jax.Array, Quantity("cross-entropy of the step's sequences", "nat")]
    gradient_norm: Annotated[jax.Array, Quantity("norm of a step's gradient, mean of the last 20 or so")]


class Measures(NamedTuple):
    """On the same sequences for every run; a score without `head_` is the largest over all heads."""

    loss: Annotated[jax.Array, Quantity("loss where the context tells the answer", "nat")]
    accuracy: Annotated[jax.Array, Quantity("accuracy where the context tells the answer")]
    in_context: Annotated[jax.Array, Quantity("late loss less early loss, NaN in recall", "nat")]
    uniform_loss: Annotated[jax.Array, Quantity("loss of guessing", "nat")]
    unigram_loss: Annotated[jax.Array, Quantity("loss of the unigram predictor", "nat")]
    bigram_loss: Annotated[jax.Array, Quantity("loss of the bigram predictor", "nat")]
    unigram_divergence: Annotated[jax.Array, Quantity("KL divergence from the unigram predictor", "nat")]
    bigram_divergence: Annotated[jax.Array, Quantity("KL divergence from the bigram predictor", "nat")]
    prefix_matching: Annotated[jax.Array, Quantity("prefix matching on the task's sequences")]
    probe_matching: Annotated[jax.Array, Quantity("prefix matching on repeated random tokens")]
    previous_token: Annotated[jax.Array, Quantity("attention to the previous token, where it is of use")]
    head_prefix_matching: Annotated[jax.Array, Quantity("prefix matching of each head", dims=("layer", "head"))]
    head_previous_token: Annotated[jax.Array, Quantity("previous-token attention of each head", dims=("layer", "head"))]
    head_copying: Annotated[jax.Array, Quantity("copying of each head", dims=("layer", "head"))]


def init(hp: InductionHeads) -> State:
    """Returns the initial weights."""
    model = Decoder(
        jax.random.key(hp.seed),
        tokens=vocabulary(hp),
        length=positions(hp),
        width=hp.width,
        layers=hp.layers,
        heads=hp.heads,
        positions=hp.positions,
        smeared=hp.smeared,
        block=hp.block,
    )
    return State(model, start(make_optimizer(hp), model), -jnp.ones(()))


def step(state: State, hp: InductionHeads, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one step of Adam on fresh sequences."""
    tokens_BxL = draw(key, hp.batch_size.padded, hp)
    loss, gradients = jax.value_and_grad(batch_loss)(state.model, tokens_BxL, hp)
    model, optimizer = advance(make_optimizer(hp), gradients, state.optimizer, state.model)
    norm = optax.tree.norm(gradients)
    norm = jnp.where(state.gradient_norm < 0, norm, MEMORY * state.gradient_norm + (1 - MEMORY) * norm)
    return State(model, optimizer, norm), StepMetrics(loss, norm)


def measure(state: State, hp: InductionHeads) -> Measures:
    """Returns the losses on fixed sequences of the task, and what the heads attend to there and on the probe."""
    task, model = layout(hp), state.model
    tokens_NxL = draw(jax.random.key(EVALUATION), EVALUATED, hp)
    seen = model(tokens_NxL, hp.width)
    told_L = np.isin(np.arange(positions(hp)), task.told)
    told_logits_NxRxT, answers_NxR = seen.logits_NxQxT[:, task.told], tokens_NxL[:, task.told + 1]
    asked_losses_NxQ = losses(seen.logits_NxQxT[:, task.asked], tokens_NxL[:, task.asked + 1])
    by_head_LxH = jnp.stack([prefix_matching(pattern, tokens_NxL, told_L) for pattern in seen.patterns])
    sources_L = np.isin(np.arange(positions(hp)), task.sources)
    previous_LxH = jnp.stack([previous_token(pattern, sources_L) for pattern in seen.patterns])
    return Measures(
        loss=losses(told_logits_NxRxT, answers_NxR).mean(),
        accuracy=correct(told_logits_NxRxT.reshape(-1, vocabulary(hp)), answers_NxR.reshape(-1)).mean(),
        in_context=jnp.full((), jnp.nan) if hp.task == "recall" else in_context(asked_losses_NxQ),
        **baselines(seen.logits_NxQxT, tokens_NxL, hp),
        prefix_matching=by_head_LxH.max(),
        probe_matching=probe(model, hp).max(),
        previous_token=previous_LxH.max(),
        head_prefix_matching=by_head_LxH,
        head_previous_token=previous_LxH,
        head_copying=copying(model.copying_circuits()[..., task.answers, task.answers]),
    )


def probe(model: Decoder, hp: InductionHeads) -> jax.Array:
    """Returns float[layers, heads], prefix matching on random tokens repeated after a start token (Olsson et al.)."""
    drawn = repeated(
        jax.random.key(PROBE), PROBED, (hp.probe_block, hp.probe_block), hp.probe_repeats, vocabulary(hp) - 1
    )
    tokens_NxL = started(drawn, hp)
    repeated_L = np.arange(tokens_NxL.shape[1]) > hp.probe_block
    patterns = model(tokens_NxL, hp.width).patterns
    return jnp.stack([prefix_matching(pattern, tokens_NxL, repeated_L) for pattern in patterns])


def baselines(logits_NxLxT: jax.Array, tokens_NxL: jax.Array, hp: InductionHeads) -> dict[str, jax.Array]:
    """Returns the losses of guessing and counting on the same chains, and how far the model is from those that count.

    All NaN for other tasks.
    """
    if hp.task != "markov":
        names = (*(f"{name}_loss" for name in ("uniform", *PREDICTORS)), *(f"{name}_divergence" for name in PREDICTORS))
        return dict.fromkeys(names, jnp.full((), jnp.nan))
    first = int(hp.start_token)
    states_NxL = tokens_NxL[:, first:]
    log_model_NxLxS = jax.nn.log_softmax(logits_NxLxT[:, first:, : hp.symbols], axis=-1)
    found = {"uniform_loss": jnp.log(jnp.asarray(hp.symbols, float))}
    for name, predictor in PREDICTORS.items():
        predicted_NxLxS = predictor(states_NxL, hp.symbols)
        found[f"{name}_loss"] = losses(jnp.log(predicted_NxLxS[:, :-1]), states_NxL[:, 1:]).mean()
        found[f"{name}_divergence"] = divergence(predicted_NxLxS, log_model_NxLxS)
    return found


def batch_loss(model: Decoder, tokens_BxL: jax.Array, hp: InductionHeads) -> jax.Array:
    """Returns the mean loss, nat, where the task asks for a prediction."""
    asked = layout(hp).asked
    logits_BxQxT = model(tokens_BxL, hp.width, asked).logits_NxQxT
    return masked_mean(losses(logits_BxQxT, tokens_BxL[:, asked + 1]).mean(1), hp.batch_size)


def losses(logits_NxQxT: jax.Array, answers_NxQ: jax.Array) -> jax.Array:
    """Returns float[N, Q], nat."""
    flat = cross_entropy(logits_NxQxT.reshape(-1, logits_NxQxT.shape[-1]), answers_NxQ.reshape(-1))
    return flat.reshape(answers_NxQ.shape)


def layout(hp: InductionHeads) -> Layout:
    """Returns where the run's task asks and what may be answered."""
    first = int(hp.start_token)
    every = np.arange(first + hp.length - 1)
    if hp.task == "recall":
        second_keys = np.arange(first + hp.length // 2, first + hp.length, 2)
        first_values = np.arange(first + 1, first + hp.length // 2, 2)
        return Layout(second_keys, second_keys, first_values, slice(hp.symbols, 2 * hp.symbols))
    # a block is told from its second time on, the next state of a chain from its first
    told = every[first + (hp.length // hp.repeats if hp.task == "repeated" else 0) :]
    return Layout(every, told, np.arange(first + 1, first + hp.length), slice(0, hp.symbols))


def draw(key: jax.Array, count: int, hp: InductionHeads) -> jax.Array:
    """Returns sequences of the run's task, int32[count, L]."""
    if hp.task == "recall":
        tokens_NxL = key_value(key, count, hp.length // 4, hp.symbols)
    elif hp.task == "repeated":
        longest = hp.length // hp.repeats
        tokens_NxL = repeated(key, count, (-(-longest // 2) if hp.varied else longest, longest), hp.repeats, hp.symbols)
    else:
        tokens_NxL = markov(key, count, hp.length, hp.symbols)
    return started(tokens_NxL, hp) if hp.start_token else tokens_NxL


def started(tokens_NxL: jax.Array, hp: InductionHeads) -> jax.Array:
    """Returns the sequences after the start token, which is the last of all tokens."""
    return jnp.pad(tokens_NxL, ((0, 0), (1, 0)), constant_values=vocabulary(hp) - 1)


def vocabulary(hp: InductionHeads) -> int:
    """Returns the number of different tokens, the start token included."""
    return 1 + hp.symbols * (2 if hp.task == "recall" else 1)


def positions(hp: InductionHeads) -> int:
    """Returns the number of positions of a training sequence."""
    return hp.length + int(hp.start_token)


def make_optimizer(hp: InductionHeads) -> optax.GradientTransformation:
    return adam(hp.learning_rate, weight_decay=0.0, second_momentum=0.999)


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what happened when, each `*_step` between measures and NaN where it did not happen.

    leave, solve: the loss is below 80 %, below 25 % of that of guessing. fall: where it falls most per step between the
    two. match: a head matches prefixes by more than 0.5, see `head_score`. peak: of the gradient norm, from where the
    loss is below guessing to twice as many steps as to `solve`, less the delay of its running mean. bigram: from where
    on the bigram predictor is the nearer. unigram: the lowest divergence from the unigram predictor until then. Chains
    have the last two, other tasks those before. `guess` is the loss of guessing, NaN for chains.
    """
    steps, loss, chains = results["step"].values, results["loss"].values, (results["task"] == "markov").values
    guess_N = np.where(chains, np.nan, np.log(results["symbols"].values))
    leave, solve = (first_crossing(loss, steps, share * guess_N, "down") for share in (HIGH, LOW))
    match = first_crossing(head_score(results).values, steps, np.where(chains, np.nan, MATCHING))
    below = first_crossing(loss, steps, guess_N, "down")
    norms = _inside(results["gradient_norm"].values, steps, below.between, 2 * solve.between)
    peaks = [inner_peak(row).index for row in norms]
    lead = (results["unigram_divergence"] - results["bigram_divergence"]).values
    bigram_N = first_crossing(np.fmin.accumulate(lead[:, ::-1], 1)[:, ::-1], steps, 0.0).between  # ahead from there on
    near = _inside(results["unigram_divergence"].values, steps, 0, np.where(np.isnan(bigram_N), np.inf, bigram_N))
    lowest = [int(np.nanargmin(row)) if np.isfinite(row).any() else -1 for row in near]
    found = {
        "leave": (leave.between, "loss at 80 % of guessing"),
        "solve": (solve.between, "loss at 25 % of guessing"),
        "fall": (steepest_fall(loss, steps, leave.after, solve.step).between, "steepest fall of the loss"),
        "match": (match.between, "prefix matching at 0.5"),
        "peak": (_at(steps, peaks) - DELAY, "peak of the gradient norm"),
        "bigram": (bigram_N, "the bigram predictor is nearer for good"),
        "unigram": (_at(steps, lowest), "nearest to the unigram predictor"),
    }
    per_run = {f"{name}_step": ("run", at, {"long_name": said, "units": "steps"}) for name, (at, said) in found.items()}
    guess = ("run", guess_N, {"long_name": "loss of guessing", "units": "nat"})
    labels = {dim: 1 + np.arange(results.sizes[dim]) for dim in ("layer", "head")}
    return results.assign(per_run | {"guess": guess}).assign_coords(labels)


def head_score(results: xr.Dataset) -> xr.DataArray:
    """Returns the prefix matching by which heads are told: on the task's own sequences, if these take matching.

    Blocks of one length do not, for what they repeat lies at one distance: on them it is that on the probe.
    """
    positional = (results["task"] == "repeated") & ~results["varied"].astype(bool)
    return results["probe_matching"].where(positional, results["prefix_matching"])


def _inside(curves_NxP: np.ndarray, steps_P: np.ndarray, start_N: np.ndarray | float, end_N: np.ndarray) -> np.ndarray:
    """Returns the curves with NaN outside of these steps."""
    start_N = np.broadcast_to(start_N, len(curves_NxP))
    return np.where((steps_P >= start_N[:, None]) & (steps_P <= end_N[:, None]), curves_NxP, np.nan)


def _at(steps: np.ndarray, places: list[int]) -> np.ndarray:
    """Returns the steps at these places, NaN for -1."""
    return np.where(np.array(places) < 0, np.nan, steps[places])
