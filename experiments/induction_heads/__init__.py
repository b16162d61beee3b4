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

from experiments.induction_heads.claims import CLAIMS
from experiments.induction_heads.figures import FIGURES
from experiments.induction_heads.layout import check, draw, layout, positions, started, vocabulary
from experiments.induction_heads.presets import PRESETS
from experiments.induction_heads.summary import summarise
from phenom_jax.experiment import Experiment, Quantity, Schedule
from phenom_jax.hparams import hparams, size, static, swept
from phenom_jax.measures.accuracy import correct, cross_entropy
from phenom_jax.measures.attention import copying, in_context, prefix_matching, previous_token
from phenom_jax.models.attention import Block, Decoder, Positions
from phenom_jax.optim import adam, advance, start
from phenom_jax.sizes import Size, masked_mean
from phenom_jax.tasks.sequences import repeated
from phenom_jax.theory.in_context import bigram, divergence, unigram

EVALUATION, PROBE = 0xE7A1, 0x9806E  # keys of the sequences on which every run is measured
EVALUATED, PROBED = 128, 4  # how many of them
PREDICTORS = {"unigram": unigram, "bigram": bigram}
MEMORY = 0.95  # of the running mean of gradient norms: that of one step is mostly noise


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
        """Raises InvalidValue for sequences that cannot be laid out, and heads that do not share the width."""
        check(self)

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        return {} if self.task == "repeated" else dict.fromkeys(("repeats", "varied"), f"task={self.task}")


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


def make_optimizer(hp: InductionHeads) -> optax.GradientTransformation:
    return adam(hp.learning_rate, weight_decay=0.0, second_momentum=0.999)


experiment = Experiment(
    name="induction_heads",
    hparams=InductionHeads,
    init=init,
    step=step,
    measure=measure,
    keep=lambda state: state.model,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=10, points=120),
)
