"""A linear teacher of given singular values, and inputs whose variances fall as a power, 1 on average."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size


def power_variances(exponent: float | jax.Array, inputs: Size) -> jax.Array:
    """Returns λ, float[D.padded]: i^-exponent, i from 1, times what makes the mean 1; at exponent 0 all are 1."""
    powers_D = jnp.where(inputs.mask, (1.0 + jnp.arange(inputs.padded)) ** -exponent, 0.0)
    return powers_D * (inputs.active / powers_D.sum())


def directions(modes: Size, inputs: Size) -> jax.Array:
    """Returns float[modes.padded, D.padded], orthonormal cosines over the inputs, the first of which is constant."""
    frequencies_K, places_D = jnp.arange(modes.padded), jnp.arange(inputs.padded)
    turns_KxD = frequencies_K[:, None] * (2 * places_D[None, :] + 1) % (4 * inputs.active)  # whole periods off
    norms_K = jnp.sqrt(jnp.where(frequencies_K == 0, 1, 2) / inputs.active)
    waves_KxD = norms_K[:, None] * jnp.cos(turns_KxD * (jnp.pi / (2 * inputs.active)))
    return jnp.where(modes.mask[:, None] & inputs.mask[None, :], waves_KxD, 0.0)


def teacher(strength: float | jax.Array, ratio: float | jax.Array, modes: Size, inputs: Size) -> jax.Array:
    """Returns float[modes.padded, D.padded]: output k has singular value strength ratio^k in direction k."""
    strengths_K = jnp.where(modes.mask, strength * ratio ** jnp.arange(modes.padded), 0.0)
    return strengths_K[:, None] * directions(modes, inputs)
