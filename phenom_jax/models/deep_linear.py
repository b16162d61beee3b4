"""Deep linear networks: a product of matrices, whose function is linear and whose learning is not."""

from __future__ import annotations

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
        for weight in self.weights:
            x_NxI = x_NxI @ weight[...].T
        return x_NxI

    def product(self) -> jax.Array:
        """Returns W_L ... W_1, float[outputs, inputs]."""
        whole: jax.Array = self.weights[0][...]
        for weight in self.weights[1:]:
            whole = jnp.matmul(weight[...], whole)
        return whole
