"""MNIST-1D against numbers of the published generator."""

import hashlib

import numpy as np
import pytest

from phenom_jax.tasks.mnist1d import mnist1d, templates

# Of `make_dataset(get_dataset_args())` of the package mnist1d 0.0.2.post1, train_split 0.8 and 0.25: the sum of all
# numbers times sin(0), sin(1), ..., the sha256 of the int32 labels, and the first numbers. Bit for bit the float32 of
# the package's float64 when it was recorded; a sum keeps to that where another NumPy rounds otherwise.
GOLDEN = {
    (4000, 1000): (353.8798138, "343d27bb023cbbfe", (-0.33200567, -0.47191037, -0.77869708, -1.00974083)),
    (4000, 12000): (-596.0698617, "076393fa73c1ae26", (0.19054257, -0.06464255, -0.01249711, 0.1193443)),
}


@pytest.mark.parametrize("sizes", GOLDEN)
def test_equals_the_published_generator(sizes):
    weighted, labels_sha, first = GOLDEN[sizes]
    data = mnist1d(*sizes)
    x = np.concatenate([data.train_NxF, data.test_MxF])
    labels = np.concatenate([data.train_labels_N, data.test_labels_M])
    assert x.dtype == np.float32 and labels.dtype == np.int32
    assert hashlib.sha256(labels.tobytes()).hexdigest()[:16] == labels_sha
    np.testing.assert_allclose(x[0, :4], first, atol=1e-6)
    np.testing.assert_allclose((x * np.sin(np.arange(x.size)).reshape(x.shape)).sum(), weighted, atol=1e-3)


def test_classes_are_equally_frequent_and_numbers_standardised():
    data = mnist1d(4000, 1000)
    labels = np.concatenate([data.train_labels_N, data.test_labels_M])
    assert np.bincount(labels).tolist() == [500] * 10
    x = np.concatenate([data.train_NxF, data.test_MxF])
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-5)
    assert data.shape == (1, 40, 1) and x.shape[1] == 40


def test_templates_start_at_zero_with_one_spread():
    np.testing.assert_allclose(templates().std(1), 1 / 6)
    assert not templates()[:, 0].any()


def test_an_uneven_count_is_refused():
    with pytest.raises(ValueError, match="55 examples are not a multiple of 10 classes"):
        mnist1d(50, 5)
