import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws.rank import trend


def test_agrees_with_scipy_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, 60).astype(float), rng.normal(size=60)
    assert trend(x, y + x) == pytest.approx(stats.spearmanr(x, y + x)[0], abs=1e-12)


def test_a_run_that_never_gets_there_ranks_last():
    x = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    y = np.array([np.inf, np.inf, 300.0, 200.0, 20.0, 10.0])
    assert trend(x, y) == pytest.approx(stats.spearmanr(x, [1e9, 1e9, 300, 200, 20, 10])[0])
    assert trend(x, y) < -0.95


def test_a_row_without_a_number_is_left_out():
    x, y = np.array([0.0, 1, 2, 3]), np.array([5.0, np.nan, 4, np.inf])
    assert trend(x, y) == pytest.approx(stats.spearmanr([0, 2, 3], [5, 4, 9])[0])


def test_strata_are_compared_inside():
    x = np.array([1.0, 2, 3, 1, 2, 3, 5, 5])
    y = np.array([3.0, 2, 1, 30, 20, 10, 40, 50])  # falls in the first two; pooled it does not; the third has one x
    strata = np.array(["a", "a", "a", "b", "b", "b", "c", "c"])
    assert trend(x, y, strata) == pytest.approx(-1)
    assert trend(x, y) > 0


def test_strata_are_weighted_by_their_rows():
    x, y = np.array([1.0, 2, 1, 2, 3, 4]), np.array([1.0, 2, 4, 3, 2, 1])
    assert trend(x, y, np.array([0, 0, 1, 1, 1, 1])) == pytest.approx((2 * 1 + 4 * -1) / 6)


@pytest.mark.parametrize("x, y", [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [np.inf] * 3), ([1, 2], [np.nan] * 2), ([], [])])
def test_no_order_no_correlation(x, y):
    assert np.isnan(trend(np.array(x, float), np.array(y, float)))
