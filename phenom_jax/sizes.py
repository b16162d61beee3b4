"""Sizes: an active count inside a padded bound, so that runs of different widths share one program.

A narrow network is a wide network whose extra weights are zero. With activations f(0) = 0 a padded unit has zero
output, zero gradient, zero Adam update and zero decay: zero is a fixed point of training and no mask is needed inside
a step. Masks belong at initialisation and where an operation averages over a padded axis or scales by its length.

Draws here do not depend on the padded bound: every output unit's incoming weights come from its own folded key, and
JAX's partitionable threefry gives the same first k values for any longer one-dimensional draw.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

Draw = Callable[[jax.Array, tuple[int, ...]], jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Size:
    """An active count (traced, may differ between lanes) inside a padded bound (a Python int, shared by a program)."""

    active: int | jax.Array
    padded: int = dataclasses.field(metadata={"static": True})

    @property
    def mask(self) -> jax.Array:
        """bool[padded], True for the first `active` entries."""
        return jnp.arange(self.padded) < self.active


def exactly(count: int) -> Size:
    """Returns the Size of a dimension that every run has in full."""
    return Size(count, count)


def draw_columns(key: jax.Array, fan_in: Size, units: Size, draw: Draw = jax.random.normal) -> jax.Array:
    """Returns float[fan_in.padded, units.padded]: one independent draw per unit, zero outside the active block.

    Args:
      key: typed PRNG key.
      fan_in: incoming weights of one unit.
      units: output units; unit j draws from `fold_in(key, j)`, so its weights depend on no padded bound.
      draw: `(key, shape) -> array`, one-dimensional and prefix-stable (normal and uniform are).
    """
    keys = jax.vmap(lambda unit: jax.random.fold_in(key, unit))(jnp.arange(units.padded))
    columns_UxI = jax.vmap(lambda unit_key: draw(unit_key, (fan_in.padded,)))(keys)
    return jnp.where(fan_in.mask[:, None] & units.mask[None, :], columns_UxI.T, 0.0)


def masked_mean(values: jax.Array, size: Size) -> jax.Array:
    """Returns the mean of the active leading entries of `values[padded, ...]`; padded entries may hold anything."""
    mask = size.mask.reshape(-1, *[1] * (values.ndim - 1))
    return jnp.where(mask, values, 0).sum(0) / jnp.maximum(size.active, 1)
