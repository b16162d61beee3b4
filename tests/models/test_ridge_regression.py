"""Ridge and least-norm regression against numpy, on both sides of N = D and whatever the padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.models.ridge import kernel_ridge, least_norm, ridge_regression
from phenom_jax.sizes import Size

SHAPES_AND_PADDINGS = [((12, 5), (0, 0)), ((12, 5), (3, 20)), ((5, 12), (7, 3)), ((9, 9), (0, 0)), ((1, 1), (2, 0))]


def problem(samples, features, more_samples=0, more_features=0):
    rng = np.random.default_rng(samples * 31 + features)
    inputs, targets = rng.normal(size=(samples, features)), rng.normal(size=samples)
    padded = np.pad(inputs, ((0, more_samples), (0, more_features))), np.pad(targets, (0, more_samples))
    sizes = Size(samples, samples + more_samples), Size(features, features + more_features)
    return inputs, targets, padded, sizes


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("shape, padding", SHAPES_AND_PADDINGS)
def test_weights_are_those_of_lapack(shape, padding, penalty):
    inputs, targets, (X, y), sizes = problem(*shape, *padding)
    augmented = np.vstack([inputs, np.sqrt(penalty) * np.eye(shape[1])])
    expected = np.linalg.lstsq(augmented, np.append(targets, np.zeros(shape[1])))[0]
    with jax.enable_x64(True):
        by_gram = ridge_regression(jnp.asarray(X), jnp.asarray(y), penalty, *sizes)
        by_svd = least_norm(jnp.asarray(X), jnp.asarray(y), *sizes, penalty=penalty)
        assert by_gram.dtype == by_svd.dtype == jnp.float64
    for weights in map(np.asarray, (by_gram, by_svd)):
        np.testing.assert_allclose(weights[: shape[1]], expected, rtol=1e-7, atol=1e-9)
        assert not weights[shape[1] :].any()


def test_more_and_fewer_features_than_samples_share_a_program():
    counts = jnp.array([3, 6, 11])
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 11)), rng.normal(size=6)

    def solve(count):
        features = Size(count, 11)
        return ridge_regression(jnp.where(features.mask[None], X, 0), jnp.asarray(y), 0.0, Size(6, 6), features)

    with jax.enable_x64(True):
        weights = np.asarray(jax.vmap(solve)(counts))
    for count, found in zip([3, 6, 11], weights):
        np.testing.assert_allclose(found[:count], np.linalg.lstsq(X[:, :count], y)[0], rtol=1e-7)


def test_least_norm_holds_where_the_gram_matrix_does_not():
    """Monomials to the power 18: the condition number is 1e8 and its square is past float64."""
    x = np.linspace(-1, 1, 40)
    X, w = np.vander(x, 19, increasing=True), np.ones(19)
    with jax.enable_x64(True):
        found = least_norm(jnp.asarray(X), jnp.asarray(X @ w), Size(40, 40), Size(19, 19))
    np.testing.assert_allclose(X @ np.asarray(found), X @ w, atol=1e-12)


def test_a_cutoff_removes_the_weak_directions():
    inputs, targets, (X, y), sizes = problem(9, 9)
    left, values, right = np.linalg.svd(inputs)
    kept = values > 0.4 * values[0]
    assert 0 < kept.sum() < 9
    expected = right[kept].T @ ((left.T @ targets)[kept] / values[kept])
    with jax.enable_x64(True):
        found = least_norm(jnp.asarray(X), jnp.asarray(y), *sizes, cutoff=0.4)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("solve", [ridge_regression, lambda X, y, _, *sizes: least_norm(X, y, *sizes)])
def test_lapack_is_never_called_for_a_batch(solve):
    """A batched call waits for threads of the pool it runs in: two devices that make one can wait forever."""
    runs = 37
    X, y = np.ones((runs, 6, 4), np.float32), np.ones((runs, 6), np.float32)
    compiled = jax.jit(jax.vmap(lambda X, y: solve(X, y, 0.1, Size(6, 6), Size(4, 4)))).lower(X, y).compile()
    calls = [line for line in (compiled.as_text() or "").splitlines() if "lapack" in line and "custom-call" in line]
    assert calls and not any(f"[{runs}" in line.split("metadata")[0] for line in calls)


def test_kernel_regression_with_inner_products_is_ridge_regression():
    inputs, targets, _, sizes = problem(12, 5)
    with jax.enable_x64(True):
        weights = ridge_regression(jnp.asarray(inputs), jnp.asarray(targets), 0.3, *sizes)
        dual = kernel_ridge(jnp.asarray(inputs @ inputs.T), jnp.asarray(targets), 0.3)
    np.testing.assert_allclose(inputs.T @ np.asarray(dual), weights, rtol=1e-7)
