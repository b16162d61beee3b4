"""Inputs with scales: their covariance, and that padding changes none of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.sizes import Size
from phenom_jax.tasks.scaled import cosines, even_cosines, gaussian

DEVIATIONS = jnp.array([1.0, 0.15, 0.5])


def test_even_cosines_are_exactly_uncorrelated():
    with jax.enable_x64(True):
        inputs = np.asarray(even_cosines(Size(7, 7), jnp.asarray(np.array(DEVIATIONS, float))))
    np.testing.assert_allclose(inputs.T @ inputs / 7, np.diag(np.square(np.array(DEVIATIONS, float))), atol=1e-12)
    points = (np.arange(7) + 0.5) / 7
    np.testing.assert_allclose(inputs[:, 2], 0.5 * np.sqrt(2) * np.cos(3 * np.pi * points), atol=1e-7)


def test_even_cosines_of_large_frequencies_keep_their_precision():
    deviations = jnp.ones(900)
    inputs = np.asarray(even_cosines(Size(1000, 1000), deviations), float)
    np.testing.assert_allclose(inputs.T @ inputs / 1000, np.eye(900), atol=2e-6)


@pytest.mark.parametrize("draw", [cosines, gaussian])
def test_random_inputs_have_the_covariance(draw):
    inputs = np.asarray(draw(jax.random.key(0), Size(20000, 20000), DEVIATIONS), float)
    np.testing.assert_allclose(inputs.T @ inputs / 20000, np.diag(np.square(DEVIATIONS)), atol=0.03)


@pytest.mark.parametrize(
    "draw",
    [even_cosines, lambda n, g: cosines(jax.random.key(3), n, g), lambda n, g: gaussian(jax.random.key(3), n, g)],
)
def test_padding_changes_no_input(draw):
    alone, inside = draw(Size(9, 9), DEVIATIONS), draw(Size(9, 14), jnp.pad(DEVIATIONS, (0, 4)))
    np.testing.assert_array_equal(inside[:9, :3], alone)
    outside = np.array(inside)
    outside[:9, :3] = 0
    assert not outside.any()
