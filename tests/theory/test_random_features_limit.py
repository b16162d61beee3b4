"""The asymptotic risk of random features against published values, its own fixed point and a Monte Carlo."""

import numpy as np
import pytest

from phenom_jax.theory.random_features import RELU, fourier, moments, risk


def test_published_values():
    """SCIENCE: ReLU at n/d = 3, noise variance 0.2, N/n = 0.95: 6.9 without ridge, 1.2 at ridge 1e-3."""
    found = risk(0.95 * 300, 300, 100, np.array([0.0, 1e-3]), RELU, noise=np.sqrt(0.2))
    np.testing.assert_allclose(found, [6.87, 1.19], rtol=5e-3)


def test_activations_known_in_closed_form_agree_with_quadrature():
    for exact, found in (
        (fourier(0.7), moments(lambda u: np.cos(0.7 * u) + np.sin(0.7 * u))),
        (fourier(2.0), moments(lambda u: np.cos(2 * u) + np.sin(2 * u))),
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-10)
    np.testing.assert_allclose(moments(lambda u: np.maximum(u, 0)), RELU, rtol=2e-2)  # its kink costs the quadrature


def test_limits_of_the_limit():
    # without samples or at an infinite ridge nothing is learnt
    np.testing.assert_allclose(risk(100, 1e-6, 100, 0.1, RELU), 1, atol=1e-4)
    np.testing.assert_allclose(risk(100, 100, 100, 1e9, RELU), 1, atol=1e-4)
    # few features of many samples: what 50 directions leave of a linear function in 100 dimensions, noise averaged out
    plenty = risk(50, 1e7, 100, 0.0, RELU, noise=0.3)
    assert plenty == pytest.approx(risk(50, 1e8, 100, 0.0, RELU), rel=1e-3) and 0.5 < plenty < 1
    # many of both: it is learnt, but for what the ridge takes from the eigenvalue linear² = 1/4
    assert risk(1e6, 1e6 / 2, 100, 0.0, RELU) < 1e-3
    np.testing.assert_allclose(risk(1e8, 1e7, 100, 0.1, RELU), (0.1 / (0.1 + 0.25)) ** 2, rtol=1e-3)


def test_bias_scales_with_the_signal_and_variance_with_the_noise():
    at = (80, 120, 50, 0.01, RELU)
    bias, variance = risk(*at), risk(*at, signal=0, noise=1)
    np.testing.assert_allclose(risk(*at, signal=2, noise=3), 4 * bias + 9 * variance, rtol=1e-12)
    assert risk(np.array([50.0, 100.0])[:, None], 120, 50, np.array([0.0, 0.1, 1.0]), RELU).shape == (2, 3)


def test_risk_is_infinite_at_the_threshold_only_without_ridge():
    near, far = risk(np.array([300, 600.0]), 300, 100, 0.0, RELU, noise=0.5)
    assert near > 1e4 > 10 > far
    assert risk(300, 300, 100, 1e-2, RELU, noise=0.5) < 1


@pytest.mark.parametrize("name, activation", [("relu", RELU), ("fourier", fourier(1.0))])
def test_monte_carlo_agrees_within_4_standard_errors_and_5_over_d(name, activation):
    d, n, noise, seeds = 30, 90, 0.5, 16
    for features, ridge in ((45, 0.0), (180, 1e-2)):
        risks = [draw(name, features, n, d, ridge, noise, seed) for seed in range(seeds)]
        exact = float(risk(features, n, d, ridge, activation, noise=noise))
        allowed = 4 * np.std(risks, ddof=1) / np.sqrt(seeds) + 5 / d * exact
        assert abs(np.mean(risks) - exact) < allowed, (features, ridge, np.mean(risks), exact)


def draw(name, features, n, d, ridge, noise, seed):
    """Returns the excess risk of one fit on a large sample of inputs."""
    rng = np.random.default_rng([seed, features])

    def sphere(count):
        x = rng.normal(size=(count, d))
        return np.sqrt(d) * x / np.linalg.norm(x, axis=1, keepdims=True)

    directions, beta = sphere(features), sphere(1)[0] / np.sqrt(d)

    def design(x):
        u = x @ directions.T / np.sqrt(d)
        return np.maximum(u, 0) if name == "relu" else np.cos(u) + np.sin(u)

    x, fresh = sphere(n), sphere(1000)
    phi, y = design(x), x @ beta + noise * rng.normal(size=n)
    gram = phi.T @ phi + n * ridge * features / d * np.eye(features)
    return np.mean((design(fresh) @ np.linalg.solve(gram, phi.T @ y) - fresh @ beta) ** 2)
