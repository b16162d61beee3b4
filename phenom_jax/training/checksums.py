"""A checksum per array, computed where the array lies: a flipped bit on disk would restore silently wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.device import processes

ODD_MULTIPLIERS = (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35)


def leaf_sums(leaves: Mapping[str, Any]) -> dict[str, int]:
    """Returns a checksum per leaf, the same on every process."""
    rows = processes.to_host(row_sums(dict(leaves)))
    return {name: int(sums.astype(np.uint64).sum() % 2**32) for name, sums in rows.items()}


@jax.jit
def row_sums(leaves: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Returns uint32[rows] of each leaf, the sum over a row of its words, each times an odd number of its place.

    Computed where the leaf lies, and the same on any number of devices. A flipped bit always changes the sum over all
    rows modulo 2^32, for odd numbers have inverses there. The rows are added up on the host: on the CPU, programs with
    collectives that are under way at the same time can wait for each other forever.
    """
    return {name: _row_sums(leaf) for name, leaf in leaves.items()}


def _row_sums(leaf: jax.Array) -> jax.Array:
    words = leaf.astype(jnp.uint8) if leaf.dtype == bool else _words(leaf)
    place = jnp.zeros(words.shape, jnp.uint32)
    for axis in range(words.ndim):
        place = (place + jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)) * jnp.uint32(ODD_MULTIPLIERS[0])
    place = (place ^ (place >> 15)) * jnp.uint32(ODD_MULTIPLIERS[1])
    place = (place ^ (place >> 13)) * jnp.uint32(ODD_MULTIPLIERS[2])
    return (words.astype(jnp.uint32) * (place | jnp.uint32(1))).sum(tuple(range(1, words.ndim)), dtype=jnp.uint32)


def _words(leaf: jax.Array) -> jax.Array:
    bits = min(32, 8 * leaf.dtype.itemsize)
    return jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{bits}"))
