"""Loss and accuracy against scipy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from phenom_jax.measures.accuracy import correct, cross_entropy, mean_over, softmax_collapse

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_cross_entropy_and_its_gradient_equal_scipy(scale):
    logits = (scale * RANDOM.normal(size=(50, 9))).astype(np.float32)
    labels = RANDOM.integers(0, 9, 50)
    x, y = jnp.asarray(logits), jnp.asarray(labels)
    exact = -scipy.special.log_softmax(logits.astype(float), axis=1)[np.arange(50), labels]
    np.testing.assert_allclose(cross_entropy(x, y), exact, rtol=1e-5, atol=2e-7)
    gradient = jax.grad(lambda x: cross_entropy(x, y).sum())(x)
    softmax = scipy.special.softmax(logits.astype(float), axis=1)
    softmax[np.arange(50), labels] -= 1
    np.testing.assert_allclose(gradient, softmax, rtol=1e-4, atol=1e-6)


def test_correct_is_the_argmax_and_no_answer_is_right_by_a_tie_or_nan():
    logits = RANDOM.normal(size=(200, 7)).astype(np.float32)
    labels = RANDOM.integers(0, 7, 200)
    np.testing.assert_array_equal(correct(jnp.asarray(logits), jnp.asarray(labels)), logits.argmax(1) == labels)
    assert not correct(jnp.full((3, 7), jnp.nan), jnp.arange(3)).any()
    assert not correct(jnp.zeros((3, 7)), jnp.arange(3)).any()


def test_softmax_collapses_where_float32_loses_the_other_classes():
    """A class at -m weighs exp(-m), below half a unit in the last place of 1 (2^-24) from m = 16.64."""
    margins = jnp.array([1.0, 16.0, 17.6, 40.0])
    logits = jnp.stack([margins + 3, jnp.full(4, 3.0), jnp.full(4, 3.0)], axis=1)
    np.testing.assert_array_equal(softmax_collapse(cross_entropy(logits, jnp.zeros(4, int))), [0, 0, 1, 1])
    assert not softmax_collapse(cross_entropy(logits, jnp.ones(4, int))).any()


def test_mean_over_ignores_the_rest():
    values = jnp.array([1.0, jnp.nan, 3.0])
    assert mean_over(values, jnp.array([True, False, True])) == 2
    assert mean_over(values, jnp.zeros(3, bool)) == 0
