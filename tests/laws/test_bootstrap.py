import numpy as np
import pytest
from scipy import stats

from phenom_jax.laws import bootstrap as module
from phenom_jax.laws.bootstrap import bootstrap


def test_agrees_with_scipy_on_ungrouped_rows():
    sample = np.random.default_rng(1).exponential(size=40)
    ours = bootstrap(lambda rows: sample[rows].mean(), np.arange(40))
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=20000, method="BCa", rng=0).confidence_interval
    assert ours.estimate == sample.mean()
    width = theirs.high - theirs.low
    np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.05 * width)
    plain = stats.bootstrap((sample,), np.mean, n_resamples=20000, method="percentile", rng=0).confidence_interval
    assert abs(ours.high - theirs.high) < abs(ours.high - plain.high)


def test_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    samples = rng.normal(3.0, 1.0, (200, 25))
    intervals = [bootstrap(lambda rows, s=s: s[rows].mean(), np.arange(25)) for s in samples[:100]]
    covered = sum(interval.low <= 3.0 <= interval.high for interval in intervals)
    assert 85 <= covered <= 100


def test_rows_of_one_group_are_drawn_together():
    effects = np.random.default_rng(3).normal(size=8)
    groups = np.repeat(np.arange(8), 50)
    values = effects[groups]
    grouped = bootstrap(lambda rows: values[rows].mean(), groups)
    alone = bootstrap(lambda rows: effects[rows].mean(), np.arange(8))
    np.testing.assert_allclose(grouped, alone)


def test_no_interval_where_the_sample_has_no_spread():
    one = bootstrap(lambda rows: float(len(rows)), np.zeros(5))
    assert one.estimate == 5 and np.isnan([one.low, one.high]).all()
    undefined = bootstrap(lambda rows: np.nan, np.arange(5))
    assert np.isnan(undefined).all()
    constant = bootstrap(lambda rows: 1.0, np.arange(5))
    assert constant == (1, 1, 1)


def test_the_seed_fixes_the_interval(monkeypatch):
    sample = np.arange(10.0) ** 2
    monkeypatch.setattr(module, "RESAMPLES", 200)
    first, again, other = (bootstrap(lambda rows: sample[rows].mean(), np.arange(10), seed) for seed in (0, 0, 1))
    assert first == again != other
    assert str(first).startswith("28.5 [")


@pytest.mark.parametrize("count", [2, 3])
def test_few_groups_stay_within_their_range(count):
    sample = np.array([1.0, 2.0, 4.0])[:count]
    interval = bootstrap(lambda rows: sample[rows].mean(), np.arange(count))
    assert sample.min() <= interval.low <= interval.estimate <= interval.high <= sample.max()
