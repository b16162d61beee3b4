"""Deep linear networks, a product of matrices whose learning is not linear, and the same with ReLUs in between."""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
from flax import nnx

from phenom_jax.models.layers import gaussian
from phenom_jax.sizes import Size


class DeepLinear(nnx.Module):
    """x -> W_L ... W_1 x, every W_l [units, fan_in] with entries N(0, deviation²) at the start, no biases.

    Args:
      key: typed PRNG key.
      inputs, outputs: of the network.
      width: units of every layer between.
      depth: number of matrices L, at least 1.
      deviation: standard deviation of the initial weights.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        inputs: Size,
        width: Size,
        outputs: Size,
        depth: int,
        deviation: float | jax.Array,
    ):
        sizes = [inputs, *[width] * (depth - 1), outputs]
        keys = jax.random.split(key, depth)
        self.weights = nnx.List(
            gaussian(layer_key, units, fan_in, deviation)
            for layer_key, (fan_in, units) in zip(keys, itertools.pairwise(sizes), strict=True)
        )

    def __call__(self, x_NxI: jax.Array) -> jax.Array:
        """Returns float[N, outputs] of float[N, inputs]."""
        return x_NxI @ self.product().T

    def activate(self, sums_NxU: jax.Array) -> jax.Array:
        """Returns what a hidden layer hands on."""
        return sums_NxU

    def signals(self, x_NxI: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        """Returns, of every layer, its inputs float[N, fan_in] and how each output depends on its sums of that example.

        The latter is float[N, outputs, units], the identity for the last layer.
        """
        *hidden, last = self.weights
        inputs, gains = [x_NxI], []
        for weight in hidden:
            sums_NxU = inputs[-1] @ weight[...].T
            activated_NxU, gain_NxU = jax.jvp(self.activate, (sums_NxU,), (jnp.ones_like(sums_NxU),))
            inputs.append(activated_NxU)
            gains.append(gain_NxU)
        outputs = last.shape[0]
        slopes = [jnp.broadcast_to(jnp.eye(outputs, dtype=x_NxI.dtype), (len(x_NxI), outputs, outputs))]
        for weight, gain_NxU in zip(self.weights[:0:-1], reversed(gains), strict=True):
            slopes.append(slopes[-1] @ weight[...] * gain_NxU[:, None, :])
        return list(zip(inputs, reversed(slopes), strict=True))

    def product(self) -> jax.Array:
        """Returns W_L ... W_1, float[outputs, inputs], multiplied from the narrower end."""
        weights = [weight[...] for weight in self.weights]
        if weights[-1].shape[0] < weights[0].shape[1]:
            return functools.reduce(jnp.matmul, reversed(weights))
        return functools.reduce(lambda whole, weight: weight @ whole, weights)


class DeepReLU(DeepLinear):
    """x -> W_L relu(W_{L-1} ... relu(W_1 x)), otherwise as `DeepLinear`; its product says nothing of it."""

    def __call__(self, x_NxI: jax.Array) -> jax.Array:
        """Returns float[N, outputs] of float[N, inputs]."""
        *hidden, last = self.weights
        for weight in hidden:
            x_NxI = self.activate(x_NxI @ weight[...].T)
        return x_NxI @ last[...].T

    def activate(self, sums_NxU: jax.Array) -> jax.Array:
        return jax.nn.relu(sums_NxU)


def balanced(model: DeepLinear, directions_KxI: jax.Array, weight: float | jax.Array) -> DeepLinear:
    """Returns a network of these shapes whose hidden unit k carries mode k alone, with the same weight in every layer.

    Args:
      model: says the shapes, at least as wide as there are modes; output k is mode k's.
      directions_KxI: of the modes among the inputs, orthonormal; zero for modes that are padding.
      weight: the product has strength weight ** depth in every mode.
    """
    width, depth = model.weights[0].shape[0], len(model.weights)
    carry_WxK = jnp.eye(width, len(directions_KxI)) * jnp.any(directions_KxI != 0, 1)[None, :]
    layers = [carry_WxK @ directions_KxI, *[carry_WxK @ carry_WxK.T] * (depth - 2), carry_WxK.T]
    return jax.tree.unflatten(jax.tree.structure(model), [weight * layer for layer in layers])
