"""Random directions in weight space, drawn so that they do not depend on how far the weights are padded."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Draw

Weights = TypeVar("Weights")


def random_direction(
    key: jax.Array, weights: Weights, active: Weights | None = None, draw: Draw = jax.random.normal
) -> Weights:
    """Returns independent draws in the shape of the weights, zero where not active.

    Args:
      key: typed PRNG key.
      weights: pytree of float arrays.
      active: pytree of bool arrays like the weights, True for the weights that may move; None for all.
      draw: `(key, shape) -> array`, one-dimensional and prefix-stable (normal and rademacher are). Every row of an
        array draws from its own folded key, so an entry depends on its indices and on no padded bound.
    """
    leaves, structure = jax.tree.flatten(weights)
    drawn = [
        _rows(jax.random.fold_in(key, index), jnp.shape(leaf), draw).astype(leaf.dtype)
        for index, leaf in enumerate(leaves)
    ]
    return only_active(jax.tree.unflatten(structure, drawn), active)


def only_active(direction: Weights, active: Weights | None) -> Weights:
    """Returns the direction with zeros where not active."""
    if active is None:
        return direction
    return jax.tree.map(lambda values, mask: jnp.where(mask, values, 0), direction, active)


def inner(one: Weights, other: Weights) -> jax.Array:
    """Returns the inner product of two pytrees of arrays, float[]."""
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), one, other)
    return sum(jax.tree.leaves(products), jnp.zeros(()))


def _rows(key: jax.Array, shape: tuple[int, ...], draw: Draw) -> jax.Array:
    if len(shape) <= 1:
        return draw(key, shape)
    rows = jnp.arange(shape[0])
    return jax.vmap(lambda row: _rows(jax.random.fold_in(key, row), shape[1:], draw))(rows)
