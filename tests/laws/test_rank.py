import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws.rank import rank_correlation, sign_test


def test_agrees_with_scipy_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, 60).astype(float), rng.normal(size=60)
    found = rank_correlation(x, y + x, np.arange(60))
    assert found.estimate == pytest.approx(stats.spearmanr(x, y + x).statistic, abs=1e-12)
    assert found.low < found.estimate < found.high


def test_a_censored_run_ranks_last():
    x = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    y = np.array([np.nan, np.nan, 300.0, 200.0, 20.0, 10.0])
    found = rank_correlation(x, y, np.array([0, 1, 0, 1, 0, 1]))
    assert found.estimate == pytest.approx(stats.spearmanr(x, [1e9, 1e9, 300, 200, 20, 10]).statistic)
    assert found.estimate < -0.95 and found.high < 0


def test_strata_are_compared_inside():
    x = np.array([1.0, 2, 3, 1, 2, 3, 5, 5])
    y = np.array([3.0, 2, 1, 30, 20, 10, 40, 50])  # falls in the first two; pooled it does not; the third has one x
    strata = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    assert rank_correlation(x, y, np.arange(8), strata).estimate == -1
    assert rank_correlation(x, y, np.arange(8)).estimate > 0


def test_no_order_no_correlation():
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0), np.arange(4)).estimate)
    assert np.isnan(rank_correlation(np.arange(4.0), np.full(4, np.nan), np.arange(4)).estimate)


def test_independent_numbers_have_an_interval_around_zero():
    rng = np.random.default_rng(5)
    found = rank_correlation(rng.normal(size=80), rng.normal(size=80), np.arange(80))
    assert found.low < 0 < found.high


@pytest.mark.parametrize(
    "differences, positive, total, p",
    [([1, 2, 3, 4], 4, 4, 1 / 16), ([1, -2, 0, np.nan, 3], 2, 3, 0.5), ([-1], 0, 1, 1.0)],
)
def test_sign_test(differences, positive, total, p):
    found = sign_test(np.array(differences, float))
    assert (found.positive, found.total) == (positive, total)
    assert found.p_value == pytest.approx(p)


def test_sign_test_of_nothing():
    assert np.isnan(sign_test(np.array([0.0, np.nan])).p_value)
