"""What convolutional networks are made of, for images [N, rows, columns, channels] with padded channels.

A convolution is one matrix product of patches: under many runs at once a product stays a product, where XLA's own
convolution becomes a grouped one, which is slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from phenom_jax.models.layers import symmetric
from phenom_jax.sizes import Size, draw_columns

EPSILON = 1e-5  # PyTorch's


class Conv(nnx.Module):
    """A convolution with odd kernels and zeros outside, weights uniform in ±1 / sqrt(fan-in), PyTorch's default.

    Args:
      key: typed PRNG key.
      fan_in: channels that come in.
      channels: channels that go out.
      kernel: rows and columns of the kernel.
      stride: 1, or 2 to halve rows and columns.
      bias: whether there is one.
    """

    def __init__(
        self,
        key: jax.Array,
        fan_in: Size,
        channels: Size,
        *,
        kernel: tuple[int, int] = (3, 3),
        stride: int = 1,
        bias: bool = False,
    ):
        taps = kernel[0] * kernel[1]
        whole = times(fan_in, taps)
        bound = 1 / jnp.sqrt(whole.active)
        weight_key, bias_key = jax.random.split(key)
        # drawn channel by channel, so that the active ones come first; kept tap by tap, as patches are
        drawn = draw_columns(weight_key, whole, channels, symmetric).reshape(fan_in.padded, taps, channels.padded)
        self.kernel, self.stride = kernel, stride
        self.weight = nnx.Param(bound * drawn.swapaxes(0, 1).reshape(whole.padded, channels.padded))
        self.bias = (
            nnx.Param(bound * draw_columns(bias_key, Size(1, 1), channels, symmetric).squeeze(0)) if bias else None
        )

    def __call__(self, x_NxHxWxC: jax.Array) -> jax.Array:
        out = patches(x_NxHxWxC, self.kernel, self.stride) @ self.weight[...]
        return out if self.bias is None else out + self.bias[None, None, None, :]


class Moments(NamedTuple):
    """Mean and variance of each channel, float[C]."""

    mean_C: jax.Array
    variance_C: jax.Array


class BatchNorm(nnx.Module):
    """Channels with mean 0 and variance 1 over a batch, then scaled and shifted (Ioffe, Szegedy 2015).

    Padded channels have scale and shift 0 and stay there: they are 0 after this layer whatever came in.

    Args:
      channels: of the input.
    """

    def __init__(self, channels: Size):
        self.scale = nnx.Param(channels.mask.astype(jnp.float32))
        self.shift = nnx.Param(jnp.zeros(channels.padded))

    def __call__(self, x_NxHxWxC: jax.Array, moments: Moments) -> jax.Array:
        factor_C = self.scale[...] * jax.lax.rsqrt(moments.variance_C + EPSILON)
        offset_C = self.shift[...] - moments.mean_C * factor_C
        return x_NxHxWxC * factor_C[None, None, None, :] + offset_C[None, None, None, :]


class Normaliser:
    """The moments that BatchNorms use in one forward pass, in the order they are asked: those given, or the batch's.

    Args:
      given: of an earlier pass, to evaluate with; None takes those of each layer's own input.
      among_N: which examples of the batch count, all by default.
    """

    def __init__(self, given: Sequence[Moments] | None = None, among_N: jax.Array | None = None):
        self.given, self.among_N = given, among_N
        self.used: list[Moments] = []

    def __call__(self, norm: BatchNorm, x_NxHxWxC: jax.Array) -> jax.Array:
        moments = moments_of(x_NxHxWxC, self.among_N) if self.given is None else self.given[len(self.used)]
        self.used.append(moments)
        return norm(x_NxHxWxC, moments)


def moments_of(x_NxHxWxC: jax.Array, among_N: jax.Array | None = None) -> Moments:
    """Returns the mean and the (biased) variance of each channel over examples and places."""
    places = x_NxHxWxC.shape[1] * x_NxHxWxC.shape[2]
    weight_N = jnp.ones(len(x_NxHxWxC)) if among_N is None else among_N.astype(x_NxHxWxC.dtype)
    weight = (weight_N / (places * jnp.maximum(weight_N.sum(), 1)))[:, None, None, None]
    mean_C = (weight * x_NxHxWxC).sum((0, 1, 2))
    centred = x_NxHxWxC - mean_C[None, None, None, :]
    return Moments(mean_C, (weight * centred**2).sum((0, 1, 2)))


def patches(x_NxHxWxC: jax.Array, kernel: tuple[int, int], stride: int = 1) -> jax.Array:
    """Returns what each place of the output sees, [N, H', W', taps C]: of every tap of the kernel all channels."""
    (rows, columns), (height, width) = kernel, x_NxHxWxC.shape[1:3]
    padded = jnp.pad(x_NxHxWxC, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)))
    taps = [
        padded[:, row : row + height : stride, column : column + width : stride]
        for row in range(rows)
        for column in range(columns)
    ]
    return jnp.concatenate(taps, axis=-1)


def max_pool(x_NxHxWxC: jax.Array) -> jax.Array:
    """Returns the maxima of pairs along rows and along columns, an odd last one left out; one row stays one row."""
    for axis in (1, 2):
        length = x_NxHxWxC.shape[axis]
        if length > 1:
            whole = jax.lax.slice_in_dim(x_NxHxWxC, 0, length // 2 * 2, axis=axis)
            pairs = whole.reshape(*whole.shape[:axis], length // 2, 2, *whole.shape[axis + 1 :])
            x_NxHxWxC = pairs.max(axis + 1)
    return x_NxHxWxC


def times(size: Size, factor: int) -> Size:
    """Returns a size `factor` times as large."""
    return Size(factor * size.active, factor * size.padded)
