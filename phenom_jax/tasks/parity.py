"""Sparse parity (Barak et al. 2022, arXiv:2207.08799): ±1 inputs of which the first k decide the label, their product.

Examples are random words, a bit per input: to draw them is quicker than to draw signs, and a train set takes 32 times
less memory. Bit 1 is input +1. Which k inputs decide matters to no network that treats its inputs alike.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size

WORD = 32  # bits


class Examples(NamedTuple):
    """±1 inputs, zero where padded, and the ±1 labels."""

    inputs_NxI: jax.Array
    labels_N: jax.Array


def draw(key: jax.Array, examples: int, inputs: Size) -> jax.Array:
    """Returns uint32[examples, words], random examples; an example's bits depend on no padded bound.

    Args:
      key: typed PRNG key.
      examples: how many.
      inputs: n; its padded bound decides how many words an example has.
    """
    words = -(-inputs.padded // WORD)
    return jnp.stack(
        [jax.random.bits(jax.random.fold_in(key, word), (examples,), jnp.uint32) for word in range(words)], axis=1
    )


def unpacked(words_NxW: jax.Array, inputs: Size, degree: int | jax.Array) -> Examples:
    """Returns the examples that these words are.

    Args:
      words_NxW: uint32, as `draw` returns them.
      inputs: n.
      degree: k, how many inputs decide the label.
    """
    shifts_32 = jnp.arange(min(inputs.padded, WORD), dtype=jnp.uint32)
    bits_NxWx32 = (words_NxW[:, :, None] >> shifts_32[None, None, :]) & 1
    signs_NxI = 2.0 * bits_NxWx32.reshape(len(words_NxW), -1)[:, : inputs.padded].astype(jnp.float32) - 1
    return Examples(jnp.where(inputs.mask[None, :], signs_NxI, 0.0), labels(words_NxW, degree))


def labels(words_NxW: jax.Array, degree: int | jax.Array) -> jax.Array:
    """Returns float[N], the product of the first k inputs: -1 where an odd number of them is -1."""
    return 1.0 - 2.0 * (_negative(words_NxW, degree) & 1).astype(jnp.float32)


def sums(words_NxW: jax.Array, count: int | jax.Array) -> jax.Array:
    """Returns float[N], the sum of the first `count` inputs of each example."""
    return (count - 2 * _negative(words_NxW, count).astype(jnp.int32)).astype(jnp.float32)


def _negative(words_NxW: jax.Array, count: int | jax.Array) -> jax.Array:
    """Returns uint32[N], how many of the first `count` bits are 0."""
    starts_W = WORD * jnp.arange(words_NxW.shape[1])
    bits_W = jnp.clip(count - starts_W, 0, WORD).astype(jnp.uint32)
    masks_W = jnp.where(bits_W == WORD, jnp.uint32(0xFFFFFFFF), (jnp.uint32(1) << bits_W) - 1)
    return jax.lax.population_count(~words_NxW & masks_W[None, :]).sum(1)
