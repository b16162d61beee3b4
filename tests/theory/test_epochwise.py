"""The closed form of epoch-wise double descent: its published numbers, and gradient descent carried out in float64."""

import jax
import numpy as np
import pytest

from phenom_jax.theory.epochwise import aligned_step_sizes, excess_risk, turning_points

SCALES, SIGNAL = (1.0, 0.15), (0.45, 3.0)


def test_turning_points_of_the_published_setting():
    risk = excess_risk(np.arange(5000), SCALES, SIGNAL, samples=10, noise=1, step_sizes=0.1).total
    turns = turning_points(risk)
    assert turns.tolist() == [12, 30, 491]
    np.testing.assert_allclose(risk[turns], [0.2596, 0.2694, 0.1669], atol=5e-5)
    assert risk[-1] == pytest.approx(0.2, abs=1e-5)  # least squares: s² d / n


@pytest.mark.parametrize("features, step_sizes", [(1, (0.1, 0.1)), (3, (0.3, 1.7))])
def test_it_is_the_mean_of_gradient_descent_on_uncorrelated_features(features, step_sizes):
    """The error is linear in signal and noise, so the mean risk is a sum over what each label's noise does."""
    samples, noise = 8 * features, 0.7
    deviations, rates = np.tile(SCALES, features), np.tile(step_sizes, features)
    truth = np.tile(SIGNAL, features) / np.sqrt(features)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(samples, 2 * features)))[0]
    inputs = np.sqrt(samples) * basis * deviations
    columns = np.concatenate([(inputs @ truth)[:, None], noise * np.eye(samples)], axis=1)
    weights = np.zeros((2 * features, 1 + samples))
    steps = [0, 1, 5, 40, 300]
    for step in range(301):
        if step in steps:
            off = weights - np.concatenate([truth[:, None], np.zeros((2 * features, samples))], axis=1)
            parts = (deviations[:, None] * off) ** 2
            exact = excess_risk([step], SCALES, SIGNAL, samples, noise, step_sizes, features)
            np.testing.assert_allclose(exact.bias[0], parts[:, 0].reshape(features, 2).sum(0), rtol=1e-9, atol=1e-14)
            spread = parts[:, 1:].sum(1).reshape(features, 2).sum(0)
            np.testing.assert_allclose(exact.variance[0], spread, rtol=1e-9, atol=1e-14)
            np.testing.assert_allclose(exact.of_scale[0], exact.bias[0] + exact.variance[0])
        weights = weights - rates[:, None] * (inputs.T @ (inputs @ weights - columns)) / samples


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("scales, signal", [(SCALES, SIGNAL), ((1.0, 0.2, 0.03), (1.0, 4.0, 10.0))])
def test_aligned_step_sizes_have_every_minimum_at_one_step(scales, signal, noise):
    with jax.enable_x64(True):
        sizes = np.asarray(aligned_step_sizes(scales, signal, 10, noise, 0.001))
    steps = np.arange(20000)
    risk = excess_risk(steps, scales, signal, 10, noise, sizes)
    assert sizes[0] == pytest.approx(0.001)
    lowest = risk.of_scale.argmin(0)
    assert np.ptp(lowest) <= 1 and 0 < lowest[0] < steps[-1]
    assert len(turning_points(risk.total)) == 1
    equal = excess_risk(np.geomspace(1, 1e7, 4000), scales, signal, 10, noise, 0.1)
    assert risk.total.min() <= equal.total.min() + 1e-9


def test_features_that_share_a_scale_are_one_feature_of_fewer_samples():
    one, many = (excess_risk([3, 50], SCALES, SIGNAL, 10 * m, 1.0, 0.1, features=m).total for m in (1, 16))
    np.testing.assert_allclose(one, many, rtol=1e-12)


def test_turning_points_see_no_rounding_and_no_flat_stretch():
    assert turning_points(np.array([3.0, 2.0, 1.0])).tolist() == []
    assert turning_points(np.array([3.0, 1.0, 1.0, 2.0, 2.0, 1.0])).tolist() == [1, 3]
    assert turning_points(1 + 1e-13 * np.array([0, 1, 0, 1, 0])).tolist() == []
    assert turning_points(np.array([1.0])).tolist() == []
