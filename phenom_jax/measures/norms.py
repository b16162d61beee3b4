"""Norms of weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def squared_norms(weights: object) -> jax.Array:
    """Returns the sum of squares of each array of a pytree, float[arrays], in the order of `tensor_names`."""
    return jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(weights)])


def tensor_names(weights: object) -> list[str]:
    """Returns a name such as `layers.0.weight` for each array of a pytree."""
    return [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(weights)]


def _name(path: tuple[object, ...]) -> str:
    parts = [str(getattr(key, "name", getattr(key, "idx", getattr(key, "key", key)))) for key in path]
    return ".".join(parts[:-1] if parts[-1] == "value" else parts)
