"""Fourier coefficients against sums over all inputs."""

import itertools

import numpy as np
import pytest

from phenom_jax.theory.parity import (
    majority_coefficient,
    neuron_gradient,
    threshold_coefficient,
    usual_bias,
)


def every(inputs):
    return np.array(list(itertools.product((-1.0, 1.0), repeat=inputs)))


@pytest.mark.parametrize("inputs", [5, 6, 9])
@pytest.mark.parametrize("bias", [0.0, 2.0, -1.5])
def test_threshold_coefficients_are_means_over_all_inputs(inputs, bias):
    x = every(inputs)
    on = x.sum(1) + bias > 0
    for size in range(inputs + 1):
        assert threshold_coefficient(inputs, size, bias) == pytest.approx((on * x[:, :size].prod(1)).mean(), abs=1e-12)


def test_majority_has_its_closed_form_and_the_ratio_of_the_gap():
    x = every(9)
    for size in range(10):
        exact = (np.sign(x.sum(1)) * x[:, :size].prod(1)).mean()
        assert majority_coefficient(9, size) == pytest.approx(exact, abs=1e-12)
    for inputs, degree in ((9, 4), (51, 2), (31, 6)):
        low, high = (abs(majority_coefficient(inputs, degree + side)) for side in (-1, 1))
        assert low / high == pytest.approx((inputs - degree) / (degree - 1))
        gradient = neuron_gradient(inputs, degree)
        assert [2 * abs(part) for part in gradient] == pytest.approx([low, high])
        assert gradient.gap == pytest.approx((low - high) / 2)


def test_odd_degrees_need_the_bias_and_majority_an_odd_number_of_inputs():
    assert neuron_gradient(31, 3, 0).gap == 0
    assert neuron_gradient(31, 3, float(usual_bias(3))).gap > 0
    assert usual_bias(4) == 0
    assert np.isnan(neuron_gradient(4, 4).irrelevant)
    with pytest.raises(ValueError, match="majority of 8 inputs has ties"):
        majority_coefficient(8, 3)
