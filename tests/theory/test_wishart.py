"""The eigenvalue density of Wishart matrices against moments in closed form and against drawn matrices."""

import numpy as np
import pytest
from scipy import stats

from phenom_jax.theory.wishart import eigenvalues


@pytest.mark.parametrize(
    "m, M", [(1, 1), (1, 9), (2, 2), (2, 7), (3, 3), (4, 9), (7, 60), (20, 20), (21, 22), (60, 90)]
)
def test_moments_are_those_known_in_closed_form(m, M):
    x, weights = eigenvalues(m, M)
    assert weights.sum() == pytest.approx(m, rel=1e-11)
    assert weights @ x == pytest.approx(m * M, rel=1e-11)
    assert weights @ x**2 == pytest.approx(m * M * (m + M + 1), rel=1e-11)
    if m + 1 < M:
        assert weights @ (1 / x) == pytest.approx(m / (M - m - 1), rel=1e-11)
    if m + 3 < M:  # the mean square of an inverse Wishart matrix
        gap = M - m
        assert weights @ x**-2.0 == pytest.approx(m * (M - 1) / (gap * (gap - 1) * (gap - 3)), rel=1e-10)


def test_a_single_eigenvalue_is_chi_squared():
    x, weights = eigenvalues(1, 6)
    for penalty in (1e-4, 1.0, 30.0):
        expected = stats.chi2(6).expect(lambda t, penalty=penalty: 1 / (t + penalty), epsabs=1e-12)
        assert weights @ (1 / (x + penalty)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("m, M", [(2, 2), (3, 3), (5, 8)])
@pytest.mark.parametrize("penalty", [1e-2, 1.0])
def test_drawn_matrices_have_it(m, M, penalty):
    X = np.random.default_rng(m).normal(size=(40_000, m, M))
    sums = (1 / (np.linalg.eigvalsh(X @ X.transpose(0, 2, 1)) + penalty)).sum(1)
    x, weights = eigenvalues(m, M)
    assert abs(sums.mean() - weights @ (1 / (x + penalty))) < 4 * sums.std() / np.sqrt(len(sums))


def test_it_is_a_density_even_where_the_ensemble_is_large():
    x, weights = eigenvalues(200, 200)
    assert weights.min() > -1e-12
    edge = 4 * 200
    assert weights[x > edge].sum() < 0.5 and weights[x > 1.2 * edge].sum() < 1e-9
