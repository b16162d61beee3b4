"""MNIST-1D: ten one-dimensional digits, padded, scaled, moved, sheared and noisy (Greydanus, arXiv:2011.14439).

Generated here with the draws of the published generator, in its order: the same seed and count give the same numbers.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.ndimage import gaussian_filter1d

from phenom_jax.tasks.data import Data

CLASSES = 10
LENGTH = 40  # numbers of an example
# the published defaults
_PADDING = (36, 60)  # zeros behind the template, fewest and most
_STRETCHED = 72  # template and zeros, stretched to this length
_SCALE, _SHIFTS, _SHEAR = 0.4, 48, 0.75
_SMOOTH_NOISE, _NOISE, _SMOOTHING = 0.25, 0.02, 2
_NOT_ZERO = 1e-8  # added to the template, so that its own zeros are told from the padding

_SHAPES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


@functools.cache
def mnist1d(train: int = 4000, test: int = 1000, seed: int = 42) -> Data:
    """Returns MNIST-1D: examples float32[N, 40] with mean 0 and variance 1 over all of them, ten classes equally often.

    Args:
      train: examples to train on; with `test` a multiple of ten.
      test: the others. The published double-descent study has 4000 and 12000.
      seed: of NumPy's legacy generator.
    """
    random = np.random.RandomState(seed)
    count = train + test
    if count % CLASSES:
        raise ValueError(f"{count} examples are not a multiple of {CLASSES} classes")
    labels_N = np.repeat(np.arange(CLASSES), count // CLASSES)
    padding_N, scale_N, shift_N, shear_N = (np.empty(count) for _ in range(4))
    smooth_NxS, noise_NxS = np.empty((count, _STRETCHED)), np.empty((count, _STRETCHED))
    low, high = _PADDING
    for example in range(count):
        padding_N[example] = low + int(random.rand() * (high - low + 1))
        scale_N[example] = random.rand()
        shift_N[example] = random.choice(_SHIFTS)
        smooth_NxS[example] = random.randn(_STRETCHED)
        noise_NxS[example] = random.randn(_STRETCHED)
        shear_N[example] = random.rand()
    order_N = random.permutation(count)

    x_NxS = _stretched(labels_N, padding_N.astype(int)) * (1 + _SCALE * (scale_N - 0.5))[:, None]
    x_NxS = np.take_along_axis(x_NxS, (np.arange(_STRETCHED) - shift_N.astype(int)[:, None]) % _STRETCHED, axis=1)
    x_NxS = np.where(x_NxS != 0, x_NxS, gaussian_filter1d(_SMOOTH_NOISE * smooth_NxS, _SMOOTHING, axis=1))
    x_NxS = x_NxS + _NOISE * noise_NxS
    x_NxS = x_NxS - (_SHEAR * (shear_N - 0.5))[:, None] * np.linspace(-0.5, 0.5, _STRETCHED)
    x_NxL = np.stack([_resampled(x_S, LENGTH) for x_S in x_NxS])[order_N]
    x_NxL = ((x_NxL - x_NxL.mean()) / x_NxL.std()).astype(np.float32)
    labels_N = labels_N[order_N].astype(np.int32)
    zero_L, one_L = np.zeros(LENGTH, np.float32), np.ones(LENGTH, np.float32)
    return Data(
        x_NxL[:train], labels_N[:train], x_NxL[train:], labels_N[train:], CLASSES, (1, LENGTH, 1), zero_L, one_L
    )


def templates() -> np.ndarray:
    """Returns the ten digits float64[10, 12]: unit variance over six, starting at 0."""
    shapes_CxT = np.array(_SHAPES)
    shapes_CxT = shapes_CxT - shapes_CxT.mean(1, keepdims=True)
    shapes_CxT = shapes_CxT / shapes_CxT.std(1, keepdims=True)
    return (shapes_CxT - shapes_CxT[:, :1]) / 6.0


def _stretched(labels_N: np.ndarray, padding_N: np.ndarray) -> np.ndarray:
    """Returns each label's template, followed by its zeros, stretched to one length."""
    stretched = {
        padding: np.stack([_resampled(np.pad(shape, (0, padding)), _STRETCHED) for shape in templates() + _NOT_ZERO])
        for padding in range(_PADDING[0], _PADDING[1] + 1)
    }
    return np.stack([stretched[padding][label] for padding, label in zip(padding_N, labels_N, strict=True)])


def _resampled(x: np.ndarray, length: int) -> np.ndarray:
    """Returns a signal's linear interpolation at `length` points from end to end."""
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(x)), x)
