"""Telling handwritten zeros from ones, with whitened inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phenom_jax.tasks.data import Data


class ZeroOne(NamedTuple):
    """Zeros (labelled -1) and ones (+1), as the leading principal components of the train images, whitened on them.

    Attributes:
      train_NxD, test_MxD: float64; the train examples have mean 0 and covariance 1.
      train_labels_N, test_labels_M: float64.
    """

    train_NxD: np.ndarray
    train_labels_N: np.ndarray
    test_MxD: np.ndarray
    test_labels_M: np.ndarray


def zero_one(data: Data, components: int) -> ZeroOne:
    """Returns the zeros and ones among digits.

    Args:
      data: digits, of which the classes 0 and 1 are taken.
      components: D, at most the rank of the train images.
    """
    train, test = data.train_labels_N < 2, data.test_labels_M < 2
    images_NxF, others_MxF = (np.asarray(x, float) for x in (data.train_NxF[train], data.test_MxF[test]))
    mean_F = images_NxF.mean(0)
    left_NxD, values_D, right_DxF = np.linalg.svd(images_NxF - mean_F, full_matrices=False)
    scale_D = np.sqrt(len(images_NxF)) / values_D[:components]
    return ZeroOne(
        left_NxD[:, :components] * np.sqrt(len(images_NxF)),
        2.0 * data.train_labels_N[train] - 1,
        (others_MxF - mean_F) @ right_DxF[:components].T * scale_D,
        2.0 * data.test_labels_M[test] - 1,
    )
