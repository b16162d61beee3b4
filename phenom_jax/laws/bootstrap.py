"""Confidence intervals by resampling whole groups of runs (those of one seed, say) with replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000


class Interval(NamedTuple):
    """An estimate with its confidence interval; the bounds are NaN where the sample says nothing of its spread."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bootstrap(statistic: Callable[[np.ndarray], float], groups: np.ndarray, seed: int = 0) -> Interval:
    """Returns the statistic of all rows with its 95 % bias-corrected and accelerated interval (Efron 1987).

    Resamples on which the statistic is not defined are left out, with a NaN interval if they are the majority.

    Args:
      statistic: of the rows whose indices it is given, int[n], repeated as often as they were drawn; NaN where it is
        not defined.
      groups: [N], the label of each row; rows of one label are drawn together.
      seed: of the draws.
    """
    labels, codes = np.unique(groups, return_inverse=True)
    members = [np.flatnonzero(codes == code) for code in range(len(labels))]
    estimate = statistic(np.arange(len(codes)))
    if len(labels) < 2:
        return Interval(estimate, np.nan, np.nan)
    draws = np.random.default_rng(seed).integers(len(labels), size=(RESAMPLES, len(labels)))
    values = np.array([statistic(np.concatenate([members[code] for code in draw])) for draw in draws])
    values = values[np.isfinite(values)]
    if not np.isfinite(estimate) or len(values) < RESAMPLES / 2:
        return Interval(estimate, np.nan, np.nan)
    left_out = [statistic(np.flatnonzero(codes != code)) for code in range(len(labels))]
    return Interval(estimate, *_accelerated(values, estimate, np.array(left_out)))


def _accelerated(values: np.ndarray, estimate: float, left_out: np.ndarray) -> tuple[float, float]:
    """Returns the BCa bounds; the percentile ones where the bias or the acceleration is not defined."""
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # with few groups many resamples equal the estimate, up to the rounding of another order of summation
    equal = np.isclose(values, estimate, rtol=1e-9, atol=0)
    below = np.mean(~equal & (values < estimate)) + np.mean(equal) / 2
    influence = left_out.mean() - left_out if np.isfinite(left_out).all() else np.zeros(1)
    spread = np.sum(influence**2) ** 1.5
    if 0 < below < 1 and spread > 0:
        bias, acceleration = stats.norm.ppf(below), np.sum(influence**3) / (6 * spread)
        shifted = bias + stats.norm.ppf(tails)
        tails = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(values, tails)
    return float(low), float(high)
