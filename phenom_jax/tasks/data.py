"""Labelled examples to train and test a classifier on, shared by all runs that use them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Shape = tuple[int, int, int]  # rows, columns, channels of an example


class Data(NamedTuple):
    """Examples as they are stored; NumPy arrays, so constants of the program that uses them.

    Attributes:
      train_NxF: examples to train on, flat; pixels may stay bytes.
      train_labels_N: int32, their right classes.
      test_MxF: examples to test on.
      test_labels_M: int32, their classes.
      classes: how many there are.
      shape: of an example before it was made flat.
      centre_F: what `examples` takes off, float32.
      scale_F: what it divides by after that, float32.
    """

    train_NxF: np.ndarray
    train_labels_N: np.ndarray
    test_MxF: np.ndarray
    test_labels_M: np.ndarray
    classes: int
    shape: Shape
    centre_F: np.ndarray
    scale_F: np.ndarray

    def examples(self, stored_NxF: jax.Array) -> jax.Array:
        """Returns stored examples as a network takes them, float32[N, F]."""
        return (stored_NxF.astype(jnp.float32) - self.centre_F[None, :]) / self.scale_F[None, :]


def standardised(
    train_NxF: np.ndarray,
    train_labels_N: np.ndarray,
    test_MxF: np.ndarray,
    test_labels_M: np.ndarray,
    classes: int,
    shape: Shape,
) -> Data:
    """Returns Data whose train examples have mean 0 and variance 1 in every channel, over examples and places."""
    channels = shape[2]
    by_channel = train_NxF.reshape(-1, channels)
    sums_2xC = np.zeros((2, channels))
    for rows in np.array_split(by_channel, max(1, len(by_channel) >> 20)):  # bytes as float64 would fill the memory
        sums_2xC += [rows.sum(0, dtype=np.float64), np.square(rows, dtype=np.float64).sum(0)]
    mean_C, square_C = sums_2xC / len(by_channel)
    places = shape[0] * shape[1]
    deviation_C = np.sqrt(np.maximum(square_C - mean_C**2, 1e-12))
    return Data(
        train_NxF,
        train_labels_N.astype(np.int32),
        test_MxF,
        test_labels_M.astype(np.int32),
        classes,
        shape,
        np.tile(mean_C, places).astype(np.float32),
        np.tile(deviation_C, places).astype(np.float32),
    )
