"""ResNet18 of any width with pre-activation blocks (He et al. 2016, arXiv:1603.05027), as in Nakkiran et al. (2020)."""

from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from phenom_jax.models.convolution import BatchNorm, Conv, Moments, Normaliser, times
from phenom_jax.models.layers import Dense
from phenom_jax.sizes import Size, exactly

_STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # channels in units of the width, stride of the first block
_BLOCKS = 2  # per stage


class Block(nnx.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))); where the shape changes, a 1x1 convolution of relu(norm(x)) for x.

    Args:
      key: typed PRNG key.
      fan_in: channels that come in.
      channels: channels that go out.
      stride: of the first convolution.
    """

    def __init__(self, key: jax.Array, fan_in: Size, channels: Size, stride: int):
        first_key, second_key, shortcut_key = jax.random.split(key, 3)
        self.norms = nnx.List([BatchNorm(fan_in), BatchNorm(channels)])
        self.first = Conv(first_key, fan_in, channels, stride=stride)
        self.second = Conv(second_key, channels, channels)
        changes = stride != 1 or fan_in.padded != channels.padded
        self.shortcut = Conv(shortcut_key, fan_in, channels, kernel=(1, 1), stride=stride) if changes else None

    def __call__(self, x: jax.Array, normalise: Normaliser) -> jax.Array:
        active = jax.nn.relu(normalise(self.norms[0], x))
        kept = x if self.shortcut is None else self.shortcut(active)
        return kept + self.second(jax.nn.relu(normalise(self.norms[1], self.first(active))))


class ResNet18(nnx.Module):
    """A convolution to k channels, four stages of two blocks with k, 2k, 4k, 8k channels, a mean over places, logits.

    k = 64 is the usual ResNet18.

    Args:
      key: typed PRNG key.
      shape: rows, columns and channels of an example.
      classes: number of different answers.
      width: k.
    """

    def __init__(self, key: jax.Array, *, shape: tuple[int, int, int], classes: int, width: Size):
        self.shape = shape
        keys = iter(jax.random.split(key, 2 + _BLOCKS * len(_STAGES)))
        self.stem = Conv(next(keys), exactly(shape[2]), width)
        blocks, fan_in = [], width
        for factor, stride in _STAGES:
            for index in range(_BLOCKS):
                channels = times(width, factor)
                blocks.append(Block(next(keys), fan_in, channels, stride if index == 0 else 1))
                fan_in = channels
        self.blocks = nnx.List(blocks)
        self.readout = Dense(next(keys), fan_in, exactly(classes), bias=True)

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
        hidden = self.stem(x_NxF.reshape(-1, *self.shape))
        for block in self.blocks:
            hidden = block(hidden, normalise)
        return self.readout(hidden.mean((1, 2))), normalise.used
