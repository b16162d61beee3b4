"""What the models are made of: activations with f(0) = 0, linear layers and norms with padded weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from phenom_jax.sizes import Size, draw_columns, exactly

Activation = Literal["relu", "gelu", "quadratic"]
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "quadratic": jnp.square,
}


class Dense(nnx.Module):
    """x Wᵀ + b, both uniform in ±scale / sqrt(fan-in) at the start, PyTorch's default for a linear layer.

    W is [units, fan_in], as in PyTorch: the gradient of the last layer, which narrows, is then a faster product.

    Args:
      key: typed PRNG key.
      fan_in: inputs.
      units: outputs.
      bias: whether there is a b.
      scale: multiplies the initial values.
    """

    def __init__(
        self, key: jax.Array, fan_in: Size, units: Size, *, bias: bool = False, scale: float | jax.Array = 1.0
    ):
        weight_key, bias_key = jax.random.split(key)
        bound = scale / jnp.sqrt(fan_in.active)
        self.weight = nnx.Param(bound * draw_columns(weight_key, fan_in, units, symmetric).T)
        self.bias = nnx.Param(bound * draw_columns(bias_key, Size(1, 1), units, symmetric).squeeze(0)) if bias else None

    def __call__(self, x_NxI: jax.Array) -> jax.Array:
        return self.shift(x_NxI @ self.weight[...].T)

    def shift(self, y_NxU: jax.Array) -> jax.Array:
        """Returns the outputs with the bias added, if there is one."""
        return y_NxU if self.bias is None else y_NxU + self.bias[None, :]


class LayerNorm(nnx.Module):
    """Zero mean and unit variance over the active part of the last axis, then a learned gain and offset.

    Args:
      dimensions: of the last axis.
    """

    def __init__(self, dimensions: Size):
        self.gain = nnx.Param(jnp.where(dimensions.mask, 1.0, 0.0))
        self.offset = nnx.Param(jnp.zeros(dimensions.padded))

    def __call__(self, x_NxD: jax.Array, dimensions: Size | None = None) -> jax.Array:
        """Returns float[..., D], zero where not active; `dimensions` says what is, all of D by default."""
        size = exactly(x_NxD.shape[-1]) if dimensions is None else dimensions
        around = [1] * (x_NxD.ndim - 1)
        active_D = size.mask.reshape(*around, -1)
        # masked on both sides of the mean, so that no gradient flows to where nothing is active either
        mean_Nx1 = jnp.where(active_D, x_NxD, 0.0).sum(-1, keepdims=True) / size.active
        centred_NxD = jnp.where(active_D, x_NxD - mean_Nx1, 0.0)
        variance_Nx1 = jnp.square(centred_NxD).sum(-1, keepdims=True) / size.active
        scaled_NxD = centred_NxD * jax.lax.rsqrt(variance_Nx1 + 1e-5)
        return scaled_NxD * self.gain[...].reshape(*around, -1) + self.offset[...].reshape(*around, -1)


def gaussian(key: jax.Array, rows: Size, columns: Size, deviation: float | jax.Array) -> nnx.Param:
    """Returns a weight float[rows.padded, columns.padded] ~ N(0, deviation²), zero outside the active block."""
    return nnx.Param(deviation * draw_columns(key, rows, columns))


def symmetric(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Returns numbers drawn uniformly between -1 and 1."""
    return jax.random.uniform(key, shape, minval=-1.0)
