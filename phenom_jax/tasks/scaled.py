"""Inputs whose features have given standard deviations: cosines of points in (0, 1), or Gaussian."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size, draw_columns


def even_cosines(samples: Size, deviations_D: jax.Array) -> jax.Array:
    """Returns float[samples.padded, D], x_ij = √2 g_j cos(π j (i - ½)/n), i and j from 1: exactly X'X/n = diag(g²).

    These are `cosines` of evenly spaced points. Padded samples are zero, and so are features of deviation zero.

    Args:
      samples: n, above the number of features.
      deviations_D: g.
    """
    odd_N, frequencies_D = 2 * jnp.arange(samples.padded) + 1, 1 + jnp.arange(len(deviations_D))
    turns_NxD = odd_N[:, None] * frequencies_D[None, :] % (4 * samples.active)  # whole periods off in integers
    cosines_NxD = jnp.cos(turns_NxD * (jnp.pi / (2 * samples.active)))
    return jnp.where(samples.mask[:, None], jnp.sqrt(2) * cosines_NxD * deviations_D[None, :], 0.0)


def cosines(key: jax.Array, samples: Size, deviations_D: jax.Array) -> jax.Array:
    """Returns float[samples.padded, D], √2 g_j cos(π j u_i) of uniform points u: uncorrelated in expectation."""
    points_N = jax.random.uniform(key, (samples.padded,))
    cosines_NxD = jnp.cos(jnp.pi * points_N[:, None] * (1 + jnp.arange(len(deviations_D)))[None, :])
    return jnp.where(samples.mask[:, None], jnp.sqrt(2) * cosines_NxD * deviations_D[None, :], 0.0)


def gaussian(key: jax.Array, samples: Size, deviations_D: jax.Array) -> jax.Array:
    """Returns float[samples.padded, D], independent N(0, g_j²); a draw depends on no padded bound."""
    inputs = Size(len(deviations_D), len(deviations_D))
    return draw_columns(key, inputs, samples).T * deviations_D[None, :]
