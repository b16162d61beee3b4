"""What moves in a network of one hidden layer while its loss stands still (Barak et al. 2022, section 5)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

Number = int | float | jax.Array


def movement(start_IxW: jax.Array, now_IxW: jax.Array, among_I: jax.Array) -> jax.Array:
    """Returns max |w_t - w_0| over the weights of some inputs, float[].

    Args:
      start_IxW: first-layer weights before the first step.
      now_IxW: the same weights now.
      among_I: bool, which inputs; 0 is returned for none.
    """
    return jnp.where(among_I[:, None], jnp.abs(now_IxW - start_IxW), 0).max()


class NeuronGradient(NamedTuple):
    """The gradient of -y relu(Σ x + b) in a weight of a neuron with weights 1: of a deciding input, of another one."""

    relevant: jax.Array
    irrelevant: jax.Array


def neuron_gradient(
    deciding_N: jax.Array, every_N: jax.Array, labels_N: jax.Array, degree: Number, inputs: Number, bias: Number
) -> NeuronGradient:
    """Returns the mean gradient over examples and over the weights of either kind, NaN for inputs that there are not.

    On all inputs these are, but for their sign, the Fourier coefficients of the neuron's threshold function on k - 1
    and on k + 1 inputs (Barak et al. 2022, section 4.1).

    Args:
      deciding_N: sums of the k inputs that decide.
      every_N: sums of all n inputs.
      labels_N: ±1.
      degree: k.
      inputs: n.
      bias: b.
    """
    pull_N = -jnp.where(every_N + bias > 0, labels_N, 0)
    others = inputs - degree
    irrelevant = (pull_N * (every_N - deciding_N)).mean() / jnp.maximum(others, 1)
    return NeuronGradient((pull_N * deciding_N).mean() / degree, jnp.where(others > 0, irrelevant, jnp.nan))


def active_neurons(units_NxW: jax.Array, readout_W: jax.Array, share: float) -> jax.Array:
    """Returns how many hidden units matter, float[]: those with mean |u h| at least `share` times the largest.

    Args:
      units_NxW: hidden units h.
      readout_W: their weights u in the output.
      share: between 0 and 1. A network whose units are all silent has none.
    """
    contribution_W = jnp.abs(units_NxW).mean(0) * jnp.abs(readout_W)
    return ((contribution_W >= share * contribution_W.max()) & (contribution_W > 0)).sum().astype(jnp.float32)
