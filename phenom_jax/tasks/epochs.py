"""Minibatches of epochs: every example once, in an order of its own in each epoch, then again.

The order is computed place by place, so a step pays for its own batch alone, no order is kept in a run's state, and
it depends on how many examples there are, not on their padded bound: `jax.random.permutation` has neither property.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.sizes import Size

_ROUNDS = 8

Counts = TypeVar("Counts", int, np.ndarray, jax.Array)


class Batch(NamedTuple):
    """Which examples a step sees; the last batch of an epoch may be short.

    Attributes:
      examples_B: int32, less than the number of examples.
      mask_B: False where the batch has no such entry.
    """

    examples_B: jax.Array
    mask_B: jax.Array


def batch(key: jax.Array, step: jax.Array, examples: Size, size: Size) -> Batch:
    """Returns the minibatch of one step.

    Args:
      key: typed PRNG key, the same in every step of a run.
      step: int32[], from 0.
      examples: how many there are.
      size: of a batch, the last of an epoch excepted.
    """
    steps = steps_per_epoch(jnp.asarray(examples.active), jnp.asarray(size.active))
    epoch, place = step // steps, step % steps
    places_B = place * size.active + jnp.arange(size.padded, dtype=jnp.int32)
    mask_B = size.mask & (places_B < examples.active)
    places_B = jnp.where(mask_B, places_B, 0)
    return Batch(permuted(jax.random.fold_in(key, epoch), places_B, examples.active), mask_B)


def steps_per_epoch(examples: Counts, size: Counts) -> Counts:
    """Returns how many batches hold all examples."""
    return -(-examples // size)


def permuted(key: jax.Array, places: jax.Array, count: int | jax.Array) -> jax.Array:
    """Returns where a random permutation of 0 ... count - 1 sends these places, int32 like them.

    A Feistel network on the a x b rectangle of least sides that holds `count` numbers, a = ceil(sqrt(count)); the few
    numbers outside are sent on until they fall inside (Black, Rogaway 2002, methods 2 and 3).

    Args:
      key: typed PRNG key of the permutation.
      places: int32[...], between 0 and count - 1; larger ones count as count - 1.
      count: at most 2**24.
    """
    # a number from outside the rectangle might never come back inside
    count = jnp.maximum(jnp.asarray(count, jnp.uint32), 1)
    places = jnp.minimum(places.astype(jnp.uint32), count - 1)
    rows = jnp.ceil(jnp.sqrt(count.astype(jnp.float32))).astype(jnp.uint32)
    columns = (count + rows - 1) // rows
    keys = jax.random.bits(key, (_ROUNDS,), jnp.uint32)

    def once(numbers: jax.Array) -> jax.Array:
        row, column = numbers // columns, numbers % columns
        for turn in range(0, _ROUNDS, 2):
            row = _wrapped(row + _below(rows, _mixed(column ^ keys[turn])), rows)
            column = _wrapped(column + _below(columns, _mixed(row ^ keys[turn + 1])), columns)
        return row * columns + column

    def outside(numbers: jax.Array) -> jax.Array:
        return (numbers >= count).any()

    def onward(numbers: jax.Array) -> jax.Array:
        return jnp.where(numbers >= count, once(numbers), numbers)

    return jax.lax.while_loop(outside, onward, once(places)).astype(jnp.int32)


def _mixed(words: jax.Array) -> jax.Array:
    """Returns uint32 words whose bits all depend on all bits (the finaliser of MurmurHash3)."""
    words = (words ^ (words >> 16)) * jnp.uint32(0x85EBCA6B)
    words = (words ^ (words >> 13)) * jnp.uint32(0xC2B2AE35)
    return words ^ (words >> 16)


def _below(limit: jax.Array, words: jax.Array) -> jax.Array:
    """Returns numbers below `limit`, at most 2**16, from the upper half of each word."""
    return ((words >> 16) * limit) >> 16


def _wrapped(numbers: jax.Array, limit: jax.Array) -> jax.Array:
    """Returns numbers below twice the limit modulo the limit."""
    return jnp.where(numbers >= limit, numbers - limit, numbers)
