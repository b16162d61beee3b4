"""The exact means of ridge regression against published numbers, known limits and drawn training sets."""

import numpy as np
import pytest

from phenom_jax.theory.ridge import ridge_regression, ridgeless_regression, weak_features


def draw(n, d, ridge, signal, noise, sets=20_000, coordinates=None):
    """Returns what single training sets gave, float[3, sets]: excess risk, train error, squared norm."""
    rng = np.random.default_rng([n, d, int(1e6 * ridge)])
    D = coordinates or d
    X, beta = rng.normal(size=(sets, n, D)), rng.normal(size=(sets, D))
    beta *= signal / np.linalg.norm(beta, axis=1)[:, None]
    y = np.einsum("snd,sd->sn", X, beta) + noise * rng.normal(size=(sets, n))
    seen = X[:, :, :d]
    values = np.linalg.svd(seen, full_matrices=False)
    gains = values.S / (values.S**2 + n * ridge)
    w = np.einsum("skd,sk,snk,sn->sd", values.Vh, gains, values.U, y, optimize=True)
    missed = y - np.einsum("snd,sd->sn", seen, w)
    risk = ((w - beta[:, :d]) ** 2).sum(1) + (beta[:, d:] ** 2).sum(1)
    return np.stack([risk, (missed**2).mean(1), (w**2).sum(1)])


def assert_means(drawn, expected):
    errors = drawn.std(1) / np.sqrt(drawn.shape[1])
    np.testing.assert_array_less(np.abs(drawn.mean(1) - np.array(expected)), 4 * errors + 1e-12)


@pytest.mark.parametrize("n, d", [(6, 3), (6, 6), (5, 6), (4, 9)])
@pytest.mark.parametrize("ridge", [1e-3, 0.3])
def test_ridge_regression_on_drawn_training_sets(n, d, ridge):
    assert_means(draw(n, d, ridge, 1.5, 0.7), ridge_regression(n, d, ridge, 1.5, 0.7))


@pytest.mark.parametrize("n, d", [(8, 3), (3, 8)])
def test_least_squares_on_drawn_training_sets(n, d):
    assert_means(draw(n, d, 0.0, 1.5, 0.7), ridgeless_regression(n, d, 1.5, 0.7))


@pytest.mark.parametrize("features", [2, 5, 9])
def test_weak_features_on_drawn_training_sets(features):
    ridge = 0.01 if features == 5 else 0.0
    drawn = draw(5, features, ridge, 1.0, 0.2, coordinates=12)
    assert_means(drawn, weak_features(5, features, 12, ridge, 1.0, 0.2))


def test_weak_features_have_the_published_risk():
    """Belkin, Hsu, Xu 2020 at D = 100, n = 40, noise variance 0.04; they count the noise."""
    risk = weak_features(40, [20, 36, 44, 60, 100], 100, noise=0.2).excess_risk + 0.04
    np.testing.assert_allclose(risk, [1.724, 8.84, 8.64, 1.566, 0.667], rtol=1e-3)
    classical = weak_features(40, np.arange(39), 100, noise=0.2).excess_risk.min() + 0.04
    assert classical == pytest.approx(1.04)  # of no feature at all


@pytest.mark.parametrize("d", [50, 190, 230, 500])
def test_a_vanishing_ridge_is_no_ridge(d):
    tiny, none = (np.array(ridge_regression(200, d, ridge, 1.3, 0.5)) for ridge in (1e-10, 0.0))
    np.testing.assert_allclose(tiny, none, rtol=1e-5, atol=1e-12)


def test_a_large_ridge_learns_nothing():
    risk, train, norm = ridge_regression(30, [10, 90], 1e9, 2.0, 0.5)
    np.testing.assert_allclose(risk, 4.0, rtol=1e-6)
    np.testing.assert_allclose(train, 4.25, rtol=1e-6)
    np.testing.assert_allclose(norm, 0.0, atol=1e-6)


def test_the_best_ridge_is_the_noise_per_direction():
    """The Bayes estimate: at μ = n ridge = d s²/r² no other does better, and there is no peak in d (Nakkiran 2021)."""
    n, d, noise = 40, np.array([10, 30, 40, 50, 80]), 0.8
    best = ridge_regression(n, d, d * noise**2 / n, 1.0, noise).excess_risk
    for factor in (0.8, 1.25):
        assert (ridge_regression(n, d, factor * d * noise**2 / n, 1.0, noise).excess_risk > best).all()
    assert (np.diff(best) > 0).all()


def test_many_samples_and_features_follow_the_marchenko_pastur_law():
    """Hastie et al. 2022, theorem 5: sizes in proportion, risk of the order 1, differences of the order 1/n."""
    ratio, ridge, noise = 1.5, 0.2, 0.5
    root = np.sqrt((1 - ratio + ridge) ** 2 + 4 * ratio * ridge)
    m = (root - (1 - ratio + ridge)) / (2 * ratio * ridge)
    slope = m * (1 + ratio * m) / root
    limit = ridge**2 * slope + noise**2 * ratio * (m - ridge * slope)
    misses = [abs(ridge_regression(n, 3 * n // 2, ridge, 1.0, noise).excess_risk - limit) for n in (50, 200)]
    assert misses[1] < 2e-3 and misses[1] < 0.4 * misses[0]


def test_means_within_one_of_the_threshold_are_infinite_where_there_is_noise():
    risk = ridgeless_regression(20, [18, 19, 20, 21, 22], 1.0, 0.5).excess_risk
    assert np.isinf(risk).tolist() == [False, True, True, True, False]
    np.testing.assert_allclose(
        ridgeless_regression(20, [19, 20, 25], 2.0, 0.0).excess_risk, [0, 0, 4 * (1 - 20 / 25)], atol=1e-12
    )


def test_arguments_broadcast():
    found = ridge_regression(20, np.array([[5], [30]]), np.array([0.0, 0.1, 1.0]), noise=0.3)
    assert {part.shape for part in found} == {(2, 3)}
    assert found.excess_risk[1, 2] == ridge_regression(20, 30, 1.0, noise=0.3).excess_risk
