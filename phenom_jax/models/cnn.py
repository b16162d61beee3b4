"""Convolutional networks of one width: a small one, and the five-layer one of Nakkiran et al. (2020, appendix B.1)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from phenom_jax.models.convolution import BatchNorm, Conv, Moments, Normaliser, max_pool, times
from phenom_jax.models.layers import Dense
from phenom_jax.sizes import Size, exactly

Shape = tuple[int, int, int]


class SmallCNN(nnx.Module):
    """Convolutions to k, 2k and 4k channels, each ReLU and all but the last max-pooled, a mean over places, logits.

    Kernels are 3 wide along rows and columns that there are: signals have one row.

    Args:
      key: typed PRNG key.
      shape: rows, columns and channels of an example.
      classes: number of different answers.
      width: k.
    """

    def __init__(self, key: jax.Array, *, shape: Shape, classes: int, width: Size):
        self.shape = shape
        kernel = (3 if shape[0] > 1 else 1, 3 if shape[1] > 1 else 1)
        channels = [exactly(shape[2]), width, times(width, 2), times(width, 4)]
        keys = jax.random.split(key, 4)
        self.convolutions = nnx.List(
            Conv(keys[depth], fan_in, channels[depth + 1], kernel=kernel, bias=True)
            for depth, fan_in in enumerate(channels[:-1])
        )
        self.readout = Dense(keys[3], channels[-1], exactly(classes), bias=True)

    def __call__(self, x_NxF: jax.Array) -> jax.Array:
        """Returns logits float[N, classes] of flat examples."""
        first, *rest = self.convolutions
        hidden = jax.nn.relu(first(x_NxF.reshape(-1, *self.shape)))
        for convolution in rest:
            hidden = jax.nn.relu(convolution(max_pool(hidden)))
        return self.readout(hidden.mean((1, 2)))


class FiveLayerCNN(nnx.Module):
    """Convolutions to k, 2k, 4k and 8k channels, each BatchNorm and ReLU, pooled by 1, 2, 2 and to one place, logits.

    Args: as for `SmallCNN`.
    """

    def __init__(self, key: jax.Array, *, shape: Shape, classes: int, width: Size):
        self.shape = shape
        channels = [exactly(shape[2]), *(times(width, factor) for factor in (1, 2, 4, 8))]
        keys = jax.random.split(key, 5)
        self.convolutions = nnx.List(
            Conv(keys[depth], fan_in, channels[depth + 1], bias=True) for depth, fan_in in enumerate(channels[:-1])
        )
        self.norms = nnx.List(BatchNorm(size) for size in channels[1:])
        self.readout = Dense(keys[4], channels[-1], exactly(classes), bias=True)

    def __call__(
        self, x_NxF: jax.Array, among_N: jax.Array | None = None, moments: Sequence[Moments] | None = None
    ) -> tuple[jax.Array, list[Moments]]:
        """Returns logits float[N, classes] of flat examples, and the moments its BatchNorms used.

        Args:
          x_NxF: examples.
          among_N: bool[N], those that count in the moments, all by default.
          moments: what another pass used, to evaluate with; those of this batch by default.
        """
        normalise = Normaliser(moments, among_N)
        hidden = x_NxF.reshape(-1, *self.shape)
        for depth, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            hidden = jax.nn.relu(normalise(norm, convolution(hidden)))
            if depth in (1, 2):
                hidden = max_pool(hidden)
        return self.readout(hidden.max((1, 2))), normalise.used
