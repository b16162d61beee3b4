"""Zeros and ones are whitened on the train images."""

import numpy as np
import pytest

from phenom_jax.tasks.digits import digits8
from phenom_jax.tasks.zero_one import zero_one


def test_train_digits_have_mean_zero_and_covariance_one():
    pytest.importorskip("sklearn")
    digits = zero_one(digits8(), 30)
    assert digits.train_NxD.shape == (200, 30) and digits.test_MxD.shape == (160, 30)
    np.testing.assert_allclose(digits.train_NxD.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(digits.train_NxD.T @ digits.train_NxD / 200, np.eye(30), atol=1e-10)
    assert set(digits.train_labels_N) == set(digits.test_labels_M) == {-1.0, 1.0}
    np.testing.assert_allclose(zero_one(digits8(), 5).test_MxD, digits.test_MxD[:, :5])  # components do not depend on D
    weights_D = np.linalg.lstsq(digits.train_NxD, digits.train_labels_N, rcond=None)[0]
    assert np.mean((digits.test_MxD @ weights_D > 0) == (digits.test_labels_M > 0)) > 0.95
