"""Sparse parity: fair inputs, labels that are products, draws that know no padded bound."""

import jax
import numpy as np
import pytest

from phenom_jax.sizes import Size
from phenom_jax.tasks.parity import draw, labels, sums, unpacked


@pytest.mark.parametrize("count", [30, 50])
def test_inputs_are_fair_signs_and_labels_their_product(count):
    inputs = Size(count, count)
    examples = unpacked(draw(jax.random.key(0), 4000, inputs), inputs, 3)
    signs_NxI, labels_N = map(np.asarray, examples)
    assert signs_NxI.shape == (4000, count)
    assert set(np.unique(signs_NxI)) == {-1.0, 1.0}
    np.testing.assert_array_equal(labels_N, signs_NxI[:, :3].prod(1))
    assert np.abs(signs_NxI.mean(0)).max() < 0.08  # five standard errors
    assert np.abs(signs_NxI.T @ signs_NxI / 4000 - np.eye(count)).max() < 0.08


def test_examples_do_not_depend_on_the_padded_bound():
    alone, inside = Size(20, 20), Size(20, 50)
    words, padded_words = (draw(jax.random.key(1), 100, inputs) for inputs in (alone, inside))
    assert padded_words.shape == (100, 2)
    np.testing.assert_array_equal(padded_words[:, :1], words)
    exact, padded = unpacked(words, alone, 5), unpacked(padded_words, inside, 5)
    np.testing.assert_array_equal(padded.inputs_NxI[:, :20], exact.inputs_NxI)
    assert not padded.inputs_NxI[:, 20:].any()
    np.testing.assert_array_equal(padded.labels_N, exact.labels_N)


@pytest.mark.parametrize("degree", [1, 31, 32, 33, 64])
def test_any_degree_is_counted_from_its_bits(degree):
    inputs = Size(64, 64)
    words = draw(jax.random.key(2), 200, inputs)
    signs_NxI = np.asarray(unpacked(words, inputs, degree).inputs_NxI)
    np.testing.assert_array_equal(labels(words, degree), signs_NxI[:, :degree].prod(1))
    np.testing.assert_array_equal(sums(words, degree), signs_NxI[:, :degree].sum(1))
