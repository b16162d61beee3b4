"""Censored times: closed forms, and the coverage of exponential times that are followed up to one horizon."""

import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws import survival
from phenom_jax.laws.intervals import student
from phenom_jax.laws.survival import log_rank, median_time, restricted_mean

INF = np.inf


def sampled(repeats, count, horizon, seed=0):
    """Returns exponential times float[repeats, count] cut at the horizon, and whether each was reached."""
    times = np.random.default_rng(seed).exponential(size=(repeats, count))
    return np.minimum(times, horizon), times <= horizon


def covered(intervals, truth):
    return np.mean([interval.low <= truth <= interval.high for interval in intervals])


@pytest.mark.parametrize(
    "times, reached, median",
    [
        ([1, 2, 3, 4, 5], [1, 1, 1, 1, 1], 3),
        ([1, 2, 3, 9, 9], [1, 1, 1, 0, 0], 3),
        ([1, 2, 9, 9, 9], [1, 1, 0, 0, 0], INF),
        ([1, 2, 2.5, 3, 4, 9], [1, 0, 0, 1, 1, 0], 4),  # survival 5/6, then 5/6 * 2/3, then 5/6 * 1/3
    ],
)
def test_median_of_a_kaplan_meier_curve(times, reached, median):
    assert median_time(np.array(times), np.array(reached)).estimate == median


def test_a_median_is_unbounded_below_six_units_and_unknown_without_any():
    assert median_time(np.arange(1, 6), np.ones(5))[1:] == (-INF, INF)
    assert np.isnan(median_time(np.array([]), np.array([])).estimate)
    assert median_time(np.full(8, 9.0), np.zeros(8)) == (INF, INF, INF)


def test_the_interval_of_a_median_is_where_the_band_contains_a_half():
    times, reached = (rows[0] for rows in sampled(1, 30, 1.5))
    found = median_time(times, reached)
    events = np.sort(times[reached])
    survival_k = 1 - np.arange(1, len(events) + 1) / 30
    # without censoring before the horizon Greenwood's formula is the binomial one; Kalbfleisch and Prentice's log-log
    error_k = np.sqrt((1 - survival_k) / (30 * survival_k)) / -np.log(survival_k)
    inside = np.abs(np.log(-np.log(survival_k)) - np.log(np.log(2))) <= stats.norm.ppf(0.975) * error_k
    assert found.low == events[inside.argmax()]
    assert found.high == events[len(events) - inside[::-1].argmax()]


@pytest.mark.parametrize("count, horizon", [(8, 1.0), (8, 50.0), (20, 1.0), (20, 50.0)])
def test_a_median_is_covered(count, horizon):
    found = [median_time(*rows) for rows in zip(*sampled(500, count, horizon), strict=True)]
    assert covered(found, np.log(2)) >= 0.93 - 0.02


def test_restricted_mean_of_uncensored_times_is_their_mean():
    times = np.array([1.0, 2.0, 4.0, 7.0, 30.0])
    assert restricted_mean(times, np.ones(5), 50) == pytest.approx(student(times))
    assert restricted_mean(times, np.array([1, 1, 1, 1, 0]), 10) == pytest.approx(student(np.minimum(times, 10)))


def test_restricted_mean_is_the_area_under_the_curve():
    found = restricted_mean(np.array([2.0, 3.0, 5.0, 6.0]), np.array([1, 0, 1, 0]), 6)
    assert found.estimate == pytest.approx(2 * 1 + 3 * 0.75 + 1 * 0.375)


@pytest.mark.parametrize("horizon", [0, 9.5])
def test_restricted_mean_refuses_what_was_not_followed(horizon):
    with pytest.raises(ValueError, match="a horizon must be positive and within the 9 steps"):
        restricted_mean(np.array([2, 9]), np.array([1, 0]), horizon)


@pytest.mark.parametrize("count", [8, 20])
def test_a_restricted_mean_is_covered(count):
    found = [restricted_mean(*rows, 1.5) for rows in zip(*sampled(1000, count, 1.5), strict=True)]
    assert covered(found, 1 - np.exp(-1.5)) >= 0.93 - 0.016


def test_a_restricted_mean_is_covered_where_units_leave_at_random():
    times, leave = np.random.default_rng(1).exponential(size=(2, 200, 20)) * np.array([1, 4])[:, None, None]
    found = [restricted_mean(*rows, 0.8) for rows in zip(np.minimum(times, leave), times <= leave, strict=True)]
    assert covered(found, 1 - np.exp(-0.8)) >= 0.94 - 0.034


@pytest.mark.parametrize("count, exact", [(3, 2 / 20), (4, 2 / 70)])
def test_log_rank_of_two_settings_that_do_not_meet(count, exact):
    early, all_reached = np.arange(1.0, count + 1), np.ones(count)
    assert log_rank(early, all_reached, early + 10, all_reached) == pytest.approx(exact)
    assert log_rank(early, all_reached, early, all_reached) == 1


def test_log_rank_of_many_units_is_scipys():
    times, reached = sampled(2, 20, 1.5)
    ours = log_rank(times[0], reached[0], 2 * times[1], reached[1])
    one, other = (
        stats.CensoredData(uncensored=row[hit], right=row[~hit])
        for row, hit in ((times[0], reached[0]), (2 * times[1], reached[1]))
    )
    assert ours == stats.logrank(one, other).pvalue


def test_the_exact_log_rank_orders_splits_as_scipys_does(monkeypatch):
    times, reached = sampled(20, 6, 1.5)
    pairs = [(times[row], reached[row], times[row + 1], reached[row + 1]) for row in range(0, 20, 2)]
    exact = [log_rank(*pair) for pair in pairs]
    monkeypatch.setattr(survival, "EXACT_SPLITS", 0)
    np.testing.assert_allclose(exact, [log_rank(*pair) for pair in pairs], atol=0.1)


@pytest.mark.parametrize("count", [3, 5])
def test_log_rank_rejects_no_more_equal_laws_than_it_says(count):
    times, reached = sampled(1200, count, 1.5)
    p = np.array([log_rank(times[row], reached[row], times[row + 1], reached[row + 1]) for row in range(0, 1200, 2)])
    assert np.mean(p <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 600)
    assert np.mean(p <= 0.2) <= 0.2 + 2 * np.sqrt(0.2 * 0.8 / 600)


def test_log_rank_without_events_or_units():
    none = np.zeros(5)
    assert log_rank(np.full(5, 9.0), none, np.full(5, 9.0), none) == 1
    assert np.isnan(log_rank(np.array([]), np.array([]), np.full(5, 9.0), none))


def test_times_must_be_finite():
    with pytest.raises(ValueError, match="a censored time needs the finite step"):
        median_time(np.array([1, INF]), np.array([1, 0]))
