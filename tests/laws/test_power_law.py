import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws.power_law import fit_power_law


def test_recovers_an_exact_law():
    x = np.array([0.1, 1.0, 10.0, 1e4])
    law = fit_power_law(x, 5 * x**-1.5, np.arange(4))
    np.testing.assert_allclose([law.exponent.estimate, *law.prefactors, law.scatter], [-1.5, 5, 0], atol=1e-12)


def test_strata_share_the_exponent_and_not_the_prefactor():
    x = np.array([1.0, 2.0, 4.0, 100.0, 300.0])
    strata = np.array(["narrow", "narrow", "narrow", "wide", "wide"])
    y = np.where(strata == "wide", 7.0, 2.0) / x
    law = fit_power_law(x, y, np.arange(5), strata)
    np.testing.assert_allclose([law.exponent.estimate, *law.prefactors], [-1, 2, 7])
    assert abs(fit_power_law(x, y, np.arange(5)).exponent.estimate + 1) > 0.1


def test_noise_gives_an_interval_like_the_textbook_one():
    rng = np.random.default_rng(0)
    x = np.repeat(np.geomspace(0.01, 1, 12), 10)
    y = 3 / x * np.exp(rng.normal(0, 0.4, len(x)))
    law = fit_power_law(x, y, np.arange(len(x)))
    line = stats.linregress(np.log(x), np.log(y))
    half = 1.98 * line.stderr
    assert law.exponent.estimate == pytest.approx(line.slope, abs=1e-12)
    np.testing.assert_allclose(law.exponent[1:], [line.slope - half, line.slope + half], atol=0.3 * half)
    assert law.exponent.low < -1 < law.exponent.high
    assert law.scatter == pytest.approx(0.4, rel=0.2)


@pytest.mark.parametrize("x, y", [([1, 1], [1, 2]), ([1, 2], [0, 1]), ([1, 2], [1, np.nan]), ([-1, 2], [1, 1])])
def test_refuses_what_has_no_exponent(x, y):
    with pytest.raises(ValueError, match="a power law needs"):
        fit_power_law(np.array(x, float), np.array(y, float), np.arange(2))
