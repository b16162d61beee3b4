import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws.power_law import curvature, exponent, line, local_exponents

X = np.array([0.1, 1.0, 10.0, 1e4])


def test_recovers_an_exact_law():
    y = 5 * X**-1.5
    np.testing.assert_allclose([exponent(X, y), *line(X, y)], [-1.5, -1.5, 5])
    assert curvature(X, y) == pytest.approx(0, abs=1e-12)


def test_strata_share_the_exponent_and_not_the_prefactor():
    x = np.array([1.0, 2.0, 4.0, 100.0, 300.0])
    strata = np.array(["narrow", "narrow", "narrow", "wide", "wide"])
    y = np.where(strata == "wide", 7.0, 2.0) / x
    assert exponent(x, y, strata) == pytest.approx(-1)
    assert curvature(x, y, strata) == pytest.approx(0, abs=1e-12)
    assert abs(exponent(x, y) + 1) > 0.1


def test_a_slope_through_noise_is_the_textbook_one():
    rng = np.random.default_rng(0)
    x = np.repeat(np.geomspace(0.01, 1, 12), 10)
    y = 3 / x * np.exp(rng.normal(0, 0.4, len(x)))
    slope, intercept = np.asarray(stats.linregress(np.log(x), np.log(y)))[:2]
    assert exponent(x, y) == pytest.approx(slope)
    np.testing.assert_allclose(line(x, y), [slope, np.exp(intercept)])
    quadratic = np.polyfit(np.log(x), np.log(y), 2)[0]
    assert curvature(x, y) == pytest.approx(2 * quadratic)


def test_curvature_is_the_change_of_the_local_exponent():
    y = np.exp(0.15 * np.log(X) ** 2 - np.log(X))
    assert curvature(X, y) == pytest.approx(0.3)
    found = local_exponents(X, y)
    np.testing.assert_allclose(found.exponent, -1 + 0.3 * np.log(found.x_mid))
    strata = np.repeat([0, 1], 4)
    assert curvature(np.tile(X, 2), np.concatenate([y, 9 * y]), strata) == pytest.approx(0.3)


def test_local_exponents_take_the_geometric_mean_at_each_x():
    found = local_exponents(np.array([4.0, 1.0, 1.0, 4.0, 16.0]), np.array([2.0, 1.0, 4.0, 2.0, 32.0]))
    np.testing.assert_allclose(found, [[2, 8], [0, 2]], atol=1e-12)


def test_too_few_x_have_no_exponent_and_no_curvature():
    assert np.isnan(exponent(np.ones(2), np.array([1.0, 2.0])))
    assert np.isnan(line(np.ones(2), np.array([1.0, 2.0]))).all()
    assert np.isnan(exponent(np.array([1.0, 2.0]), np.ones(2), np.array([0, 1])))
    assert np.isnan(curvature(np.array([1.0, 2.0, 1.0, 3.0]), np.ones(4), np.array([0, 0, 1, 1])))
    assert all(len(part) == 0 for part in local_exponents(np.ones(2), np.ones(2)))
    assert np.isnan([exponent(np.array([]), np.array([])), curvature(np.array([]), np.array([]))]).all()


@pytest.mark.parametrize("law", [exponent, curvature, local_exponents, line])
@pytest.mark.parametrize("x, y", [([1, 2], [0, 1]), ([1, 2], [1, np.nan]), ([-1, 2], [1, 1]), ([1, np.inf], [1, 1])])
def test_refuses_what_has_no_logarithm(law, x, y):
    with pytest.raises(ValueError, match="a power law needs positive finite values"):
        law(np.array(x, float), np.array(y, float))
