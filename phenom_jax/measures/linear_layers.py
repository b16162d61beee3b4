"""What products of weight matrices have learnt of a teacher's modes, and what their learning conserves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp


def mode_strengths(product_KxD: jax.Array, directions_KxD: jax.Array) -> jax.Array:
    """Returns float[K], the strength of each mode k in a linear network: its output k along its direction.

    Args:
      product_KxD: all layers multiplied.
      directions_KxD: of the teacher's modes, orthonormal.
    """
    return jnp.sum(product_KxD * directions_KxD, 1)


def growing_strengths(first_WxD: jax.Array, second_KxW: jax.Array, directions_KxD: jax.Array) -> jax.Array:
    """Returns float[K], |a + b|²/4 of each mode of two layers: from where it is learnt as if both were balanced.

    A mode has a vector in each layer, a and b. While it is small (a + b)/2 grows as e^st, and (a - b)/2 decays.
    """
    return jnp.sum(jnp.square(directions_KxD @ first_WxD.T + second_KxW), 1) / 4


def imbalances(weights: Sequence[jax.Array]) -> list[jax.Array]:
    """Returns W_l W_lᵀ - W_{l+1}ᵀ W_{l+1} of neighbouring layers, which gradient flow of linear layers conserves.

    With ReLUs between layers it conserves the diagonals.
    """
    return [lower @ lower.T - upper.T @ upper for lower, upper in itertools.pairwise(weights)]
