"""Intervals over units: closed forms, and the coverage each says it has at the few units a sweep has.

Where a coverage is compared, the tolerance is two to three binomial errors of the simulation.
"""

import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws import intervals
from phenom_jax.laws.intervals import (
    bootstrap,
    clopper_pearson,
    equivalence,
    holm,
    log_student,
    order_statistics,
    sign_flip,
    sign_test,
    simultaneous,
    student,
    wilson,
)

pytestmark = pytest.mark.slow

INF, NAN = np.inf, np.nan
REPEATS = 1500
ERROR = np.sqrt(0.05 * 0.95 / REPEATS)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def coverage(interval, samples, truth):
    found = np.array([interval(sample) for sample in samples])
    return np.mean((found[:, 1] <= truth) & (truth <= found[:, 2]))


@pytest.mark.parametrize("count", [3, 5, 8, 20])
def test_student_covers_normal_units_and_logs_log_normal_ones(count):
    samples = normal(REPEATS, count)
    assert 0.93 < coverage(student, samples, 0) < 0.975
    assert 0.93 < coverage(log_student, np.exp(samples), 1) < 0.975


@pytest.mark.parametrize("count", [3, 5, 8])
def test_student_does_not_cover_log_normal_units_on_their_raw_scale(count):
    assert coverage(student, np.exp(normal(REPEATS, count)), np.exp(0.5)) < 0.87


@pytest.mark.parametrize("count", [3, 5, 6, 8, 20])
@pytest.mark.parametrize("law", [stats.expon, stats.cauchy])
def test_order_statistics_cover_the_median_of_any_law(law, count):
    samples = law.rvs(size=(REPEATS, count), random_state=1)
    assert coverage(order_statistics, samples, law.median()) >= 0.95 - 2 * ERROR


@pytest.mark.parametrize("total", [3, 5, 8, 20])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_shares_of_units_are_covered(total, share):
    """Summed over all counts, without a simulation."""
    weights = stats.binom.pmf(np.arange(total + 1), total, share)
    exact, score = (
        np.array([found(successes, total) for successes in range(total + 1)]) for found in (clopper_pearson, wilson)
    )
    assert weights @ ((exact[:, 1] <= share) & (share <= exact[:, 2])) >= 0.95
    assert weights @ ((score[:, 1] <= share) & (share <= score[:, 2])) >= 0.83
    assert np.all(score[:, 2] - score[:, 1] <= exact[:, 2] - exact[:, 1])


@pytest.mark.parametrize("count, repeats", [(3, 1000), (5, 1000), (8, 1000), (20, 60)])
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_simultaneous_intervals_hold_together(count, repeats, correlation):
    rng = np.random.default_rng(2)
    cells = np.sqrt(1 - correlation) * rng.normal(size=(repeats, count, 6))
    cells += np.sqrt(correlation) * rng.normal(size=(repeats, count, 1))
    found = np.array([simultaneous(values_nxm) for values_nxm in cells])
    together = np.mean(np.all((found[..., 1] <= 0) & (found[..., 2] >= 0), axis=1))
    assert together >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / repeats)


def test_one_joint_level_holds_for_many_samples():
    """The level from one sample's correlation, 0.8 between 8 cells, holds over new samples of 20 units."""
    rng = np.random.default_rng(3)
    root = np.linalg.cholesky(np.full((8, 8), 0.8) + 0.2 * np.eye(8))
    levels = np.array([intervals._joint_level(rng.normal(size=(20, 8)) @ root.T, 0.95, 8) for _ in range(20)])
    assert np.all((levels > 0.95) & (levels < 0.95 ** (1 / 8) + 0.001))
    samples = rng.normal(size=(10_000, 20, 8)) @ root.T
    largest = np.abs(samples.mean(1) / samples.std(1, ddof=1) * np.sqrt(20)).max(1)
    together = [np.mean(largest <= stats.t.ppf((1 + level) / 2, 19)) for level in levels]
    assert np.mean(together) >= 0.94


@pytest.mark.parametrize("count", [20, 40])
def test_a_bootstrap_covers_means_and_spreads(count):
    samples = normal(250, count, seed=4)
    mean = coverage(lambda s: bootstrap(lambda rows: s[rows].mean(), count, resamples=300), samples, 0)
    assert 0.92 <= mean <= 0.98
    spread = coverage(lambda s: bootstrap(lambda rows: np.log(s[rows].std()), count, resamples=300), samples, 0)
    assert spread >= 0.92 - 2 * np.sqrt(0.08 * 0.92 / 250)


@pytest.mark.parametrize("count", [5, 6, 8, 20])
def test_sign_flips_and_signs_reject_no_more_than_they_say(count):
    samples = normal(400, count, seed=5)
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean([sign_flip(sample) <= 0.05 for sample in samples]) <= bound
    assert np.mean([sign_test(sample) <= 0.05 for sample in samples]) <= bound
    assert np.mean([sign_flip(sample + 3) <= 0.05 for sample in samples]) >= 0.95 if count > 5 else True


@pytest.mark.parametrize("count", [3, 5, 8, 20])
def test_equivalence_rejects_no_more_than_it_says(count):
    samples = normal(REPEATS, count, seed=6)
    for truth in (-1, 1):
        accepted = np.mean([equivalence(sample + truth, -1, 1) <= 0.05 for sample in samples])
        assert accepted <= 0.05 + 2 * ERROR
    assert np.mean([equivalence(0.05 * sample, -1, 1) <= 0.05 for sample in samples]) > 0.95


def test_holm_controls_the_family_with_one_true_effect():
    p = np.random.default_rng(7).uniform(size=(2000, 8))
    p[:, 0] = 1e-6
    wrong = np.mean([(holm(row)[1:] <= 0.05).any() for row in p])
    assert 0.05 - 3 * np.sqrt(0.05 * 0.95 / 2000) <= wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_student_is_scipys():
    sample = normal(7)
    test = stats.ttest_1samp(sample, 0)
    assert student(sample) == pytest.approx((sample.mean(), *test.confidence_interval()))
    assert student(sample, 0.9)[1:] == pytest.approx(tuple(test.confidence_interval(0.9)))
    assert log_student(np.exp(sample)) == pytest.approx(np.exp(student(sample)))


@pytest.mark.parametrize("interval, floor", [(student, -INF), (log_student, 0.0)])
def test_equal_units_say_nothing_of_their_spread(interval, floor):
    assert interval(np.array([3.0])) == pytest.approx((3, floor, INF))
    assert interval(np.full(5, 0.1) + np.arange(5) * 1e-17) == pytest.approx((0.1, floor, INF))
    assert interval(np.full(6, 3.0)) == pytest.approx((3, 3, 3))
    assert np.isnan(interval(np.array([])).estimate) and interval(np.array([]))[2] == INF


def test_few_units_far_apart_in_logs_are_unbounded_without_a_warning():
    assert log_student(np.array([1e-90, 1e90])) == pytest.approx((1, 0, INF))


@pytest.mark.parametrize(
    "values, expected",
    [
        ([3, 1, 2, 5, 4], (3, -INF, INF)),
        ([3, 1, 2, 5, 4, 6], (3.5, 1, 6)),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], (5, 2, 8)),
        ([1, 2, 3, 4, INF, INF, INF], (4, 1, INF)),
        ([1, 2, INF, INF, INF, INF], (INF, 1, INF)),
        ([-INF, INF], (NAN, -INF, INF)),
        ([], (NAN, -INF, INF)),
    ],
)
def test_order_statistics(values, expected):
    np.testing.assert_array_equal(order_statistics(np.array(values, float)), expected)


def test_shares_in_closed_form():
    assert clopper_pearson(0, 5)[1:] == pytest.approx((0, 1 - 0.025 ** (1 / 5)))
    assert clopper_pearson(3, 5)[1:] == pytest.approx(tuple(stats.beta.ppf([0.025, 0.975], [3, 4], [3, 2])))
    z2 = stats.norm.ppf(0.975) ** 2
    assert wilson(5, 5)[1:] == pytest.approx((5 / (5 + z2), 1))
    assert clopper_pearson(0, 0)[1:] == wilson(0, 0)[1:] == (0, 1)


def test_simultaneous_is_wider_by_the_number_of_cells():
    cells = normal(8, 3)
    for cell, found in zip(cells.T, simultaneous(cells), strict=True):
        assert found == pytest.approx(student(cell, 0.95 ** (1 / 3)))
    assert simultaneous(cells[:, :1]) == [student(cells[:, 0])]


def test_max_t_of_equal_cells_is_one_student_and_of_independent_ones_sidak():
    units = normal(400, 4, seed=8)
    equal = simultaneous(np.repeat(units[:, :1], 4, 1))[0]
    assert equal == pytest.approx(student(units[:, 0]), rel=0.03)
    independent = simultaneous(units)[0]
    assert independent == pytest.approx(student(units[:, 0], 0.95 ** (1 / 4)), rel=0.03)


@pytest.mark.parametrize("count", [8, 24])
def test_a_cell_takes_the_units_it_has(count):
    cells = normal(count, 5, seed=9)
    cells[:3, 0], cells[:, 1], cells[:, 2], cells[1:, 3] = NAN, 2.0, NAN, NAN
    found = simultaneous(cells)
    wider = student(cells[3:, 0])
    assert found[0].estimate == wider.estimate and found[0].low < wider.low and found[0].high > wider.high
    assert found[1] == (2, 2, 2)
    assert np.isnan(found[2].estimate) and found[3][1:] == (-INF, INF)
    assert found == simultaneous(cells)


def test_bootstrap_agrees_with_scipy_but_for_the_few_units():
    sample = np.random.default_rng(1).exponential(size=400)
    ours = bootstrap(lambda rows: sample[rows].mean(), 400, resamples=5000)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=5000, method="BCa", rng=0).confidence_interval
    assert ours.estimate == sample.mean()
    np.testing.assert_allclose(ours[1:], theirs, atol=0.06 * (theirs.high - theirs.low))
    assert ours == bootstrap(lambda rows: sample[rows].mean(), 400, resamples=5000)


def test_bootstrap_refuses_few_units_and_says_nothing_without_spread():
    with pytest.raises(ValueError, match="bootstrap needs at least 20 units, got 7"):
        bootstrap(lambda rows: 0.0, 7)
    assert bootstrap(lambda rows: 1.0, 20, resamples=50) == (1, -INF, INF)
    assert bootstrap(lambda rows: NAN, 20, resamples=50)[1:] == (-INF, INF)


def test_sign_flip_is_scipys_permutation_test():
    sample = normal(7, seed=2) + 0.5
    test = stats.permutation_test((sample,), lambda x, axis: np.abs(x.mean(axis)), permutation_type="samples",
                                  vectorized=True, alternative="greater", n_resamples=2**7)  # fmt: skip
    assert sign_flip(sample) == pytest.approx(test.pvalue)
    assert sign_flip(sample + 3, against=3) == pytest.approx(sign_flip(sample))
    assert sign_flip(np.array([1.0, 2, 3, 4, 5])) == 2 / 32
    assert sign_flip(np.zeros(6)) == 1 and np.isnan(sign_flip(np.array([])))


def test_random_flips_agree_with_all(monkeypatch):
    sample = normal(12, seed=3) + 0.4
    exact = sign_flip(sample)
    monkeypatch.setattr(intervals, "EXACT_FLIPS", 5)
    assert sign_flip(sample) == pytest.approx(exact, abs=3 * np.sqrt(exact / 20_000))
    assert sign_flip(np.arange(1.0, 31)) == 1 / 20_001


@pytest.mark.parametrize(
    "values, p", [([1, 2, 3, 4, 5, INF], 2 / 64), ([1, -2, 0, 3], 1), ([-1], 1), ([0, 0], 1), ([], NAN)]
)
def test_sign_test(values, p):
    assert sign_test(np.array(values, float)) == pytest.approx(p, nan_ok=True)


def test_equivalence_is_the_larger_of_two_t_tests():
    sample = normal(6, seed=4)
    bounds = ((-2, "greater"), (1, "less"))
    sides = np.array([stats.ttest_1samp(sample, bound, alternative=side)[1] for bound, side in bounds])
    assert equivalence(sample, -2, 1) == pytest.approx(sides.max())
    assert equivalence(sample, -2, INF) == pytest.approx(sides[0])
    assert equivalence(np.full(5, 0.5), 0, 1) == 1 / 32 and equivalence(np.full(5, 2.0), 0, 1) == 1
    assert np.isnan(equivalence(np.array([]), 0, 1))
    with pytest.raises(ValueError, match="equivalence needs low < high, got 1 and 0"):
        equivalence(sample, 1, 0)


def test_holm_in_numbers():
    np.testing.assert_allclose(holm(np.array([0.01, NAN, 0.04, 0.03, 0.9])), [0.04, NAN, 0.09, 0.09, 0.9])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])
    assert np.isnan(holm(np.array([NAN]))).all() and len(holm(np.array([]))) == 0


@pytest.mark.parametrize("function", [student, log_student, sign_flip, lambda x: equivalence(x, 0, 1)])
@pytest.mark.parametrize("value", [NAN, INF])
def test_means_refuse_what_is_not_finite(function, value):
    with pytest.raises(ValueError, match="needs finite values"):
        function(np.array([1.0, value]))


def test_refusals_of_the_others():
    with pytest.raises(ValueError, match="positive values, got -1"):
        log_student(np.array([1.0, -1]))
    for function in (order_statistics, sign_test):
        with pytest.raises(ValueError, match="got NaN"):
            function(np.array([1.0, NAN]))
    with pytest.raises(ValueError, match="needs finite values, got inf"):
        simultaneous(np.array([[1.0, INF], [2, 3]]))


def test_an_interval_is_printed_with_three_figures():
    assert str(intervals.Interval(0.65234, 0.6, 0.7)) == "0.652 [0.6, 0.7]"
