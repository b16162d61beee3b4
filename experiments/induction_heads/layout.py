"""How the sequences of each task lie: where a prediction is asked for, where the context tells it, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.hparams import InvalidValue
from phenom_jax.tasks.sequences import key_value, markov, repeated

if TYPE_CHECKING:
    from experiments.induction_heads import InductionHeads


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


def check(hp: InductionHeads) -> None:
    """Raises InvalidValue for sequences that cannot be laid out, and a probe beyond the learned positions."""
    if hp.task == "recall":
        if hp.length % 4:
            raise InvalidValue(f"length: {hp.length} is not a multiple of 4: pairs of two tokens, each given twice")
        if hp.length // 4 > hp.symbols:
            raise InvalidValue(
                f"length: {hp.length} holds {hp.length // 4} different keys, symbols={hp.symbols} allows fewer"
            )
    if hp.task == "repeated":
        if hp.length % hp.repeats:
            raise InvalidValue(f"repeats: {hp.repeats} does not divide length={hp.length}")
        if hp.length == hp.repeats:
            raise InvalidValue(f"repeats: {hp.repeats} of one token leave nothing to match, length={hp.length}")
    if hp.width.active % hp.heads:
        raise InvalidValue(f"heads: {hp.heads} does not divide width={hp.width.active}")
    probe = 1 + hp.probe_block * hp.probe_repeats
    if hp.positions == "learned" and probe > positions(hp):
        raise InvalidValue(
            f"probe_block: {hp.probe_block} x probe_repeats={hp.probe_repeats} and a start token are {probe} tokens, "
            f"beyond the {positions(hp)} learned positions"
        )
