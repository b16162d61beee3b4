"""Label noise: its rate, its conventions, and its independence of padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.sizes import Size
from phenom_jax.tasks.labels import noisy_labels

COUNT, CLASSES = 4000, 10
RIGHT = jnp.arange(COUNT, dtype=jnp.int32) % CLASSES


def noisy(noise, convention, count=COUNT, padded=COUNT, seed=0):
    right = jnp.arange(padded, dtype=jnp.int32) % CLASSES
    return np.asarray(noisy_labels(jax.random.key(seed), right, Size(count, padded), CLASSES, noise, convention))


@pytest.mark.parametrize("convention, share", [("uniform", 0.9), ("wrong", 1.0), ("shuffled", 0.9)])
def test_the_share_of_wrong_labels(convention, share):
    labels = noisy(0.3, convention)
    expected = 0.3 * share
    assert abs((labels != RIGHT).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / COUNT)
    assert set(labels.tolist()) == set(range(CLASSES))


@pytest.mark.parametrize("convention", ["uniform", "wrong", "shuffled"])
def test_none_and_all(convention):
    assert (noisy(0.0, convention) == RIGHT).all()
    wrong = (noisy(1.0, convention) != RIGHT).mean()
    assert wrong == 1 if convention == "wrong" else abs(wrong - 0.9) < 0.02


def test_shuffled_labels_keep_their_frequencies():
    for noise in (0.2, 1.0):
        assert np.bincount(noisy(noise, "shuffled")).tolist() == [COUNT // CLASSES] * CLASSES


@pytest.mark.parametrize("convention", ["uniform", "wrong"])
def test_padding_changes_no_label(convention):
    alone, inside = noisy(0.4, convention, 100, 100), noisy(0.4, convention, 100, 133)
    assert (alone == inside[:100]).all()
    assert (inside[100:] == np.arange(100, 133) % CLASSES).all()


def test_padding_changes_no_shuffled_label():
    alone, inside = noisy(0.4, "shuffled", 100, 100), noisy(0.4, "shuffled", 100, 133)
    assert (alone == inside[:100]).all()
    assert (inside[100:] == np.arange(100, 133) % CLASSES).all()


def test_less_noise_is_part_of_more():
    less, more = (noisy(noise, "wrong") != RIGHT for noise in (0.1, 0.3))
    assert (more | ~less).all() and more.sum() > less.sum()
