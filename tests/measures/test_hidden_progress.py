"""Measures of hidden progress on small weights, and on all inputs against Fourier coefficients."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.measures.progress import active_neurons, movement, neuron_gradient
from phenom_jax.theory import parity


def test_movement_is_the_largest_of_the_chosen_inputs():
    start, now = jnp.zeros((3, 2)), jnp.array([[0.1, -0.3], [0.5, 0.0], [0.0, -0.2]])
    assert movement(start, now, jnp.array([True, False, True])) == pytest.approx(0.3)
    assert movement(start, now, jnp.array([False, True, False])) == 0.5
    assert movement(start, now, jnp.zeros(3, bool)) == 0


def test_neurons_are_active_by_their_share_of_the_largest_contribution():
    units = jnp.array([[1.0, 0.0, 2.0, 4.0], [1.0, 0.0, 2.0, 0.0]])
    readout = jnp.array([1.0, 5.0, -0.004, 0.5])  # contributions 1, 0, 0.008, 1
    assert active_neurons(units, readout, 0.01) == 2
    assert active_neurons(units, readout, 0.005) == 3
    assert active_neurons(jnp.zeros((2, 4)), readout, 0.01) == 0


@pytest.mark.parametrize("inputs, degree, bias", [(7, 4, 0), (7, 3, 2), (8, 3, 2), (6, 6, 0), (5, 1, 2)])
def test_on_all_inputs_the_gradient_is_the_exact_one(inputs, degree, bias):
    x = np.array(list(itertools.product((-1.0, 1.0), repeat=inputs)), np.float32)
    found = neuron_gradient(x[:, :degree].sum(1), x.sum(1), x[:, :degree].prod(1), degree, inputs, bias)
    np.testing.assert_allclose(found, parity.neuron_gradient(inputs, degree, bias), atol=1e-7)
