"""Statistics of order: they need no scale, so a run that never gets there simply ranks last."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from phenom_jax.laws.bootstrap import Interval, bootstrap


class SignTest(NamedTuple):
    """How many differences are positive, of those that are not zero, and the one-sided p-value against a fair coin."""

    positive: int
    total: int
    p_value: float


def rank_correlation(x_N: np.ndarray, y_N: np.ndarray, groups_N: np.ndarray) -> Interval:
    """Returns Spearman's rank correlation with its bootstrap interval over groups.

    Args:
      x_N: numbers.
      y_N: numbers, NaN where censored from above: such runs share the last rank.
      groups_N: labels of the rows that are drawn together (seeds).
    """
    y_N = np.where(np.isnan(y_N), np.inf, y_N)
    return bootstrap(lambda rows: _spearman(x_N[rows], y_N[rows]), groups_N)


def sign_test(differences: np.ndarray) -> SignTest:
    """Returns the test that differences are more often positive than negative; zeros and NaN are left out."""
    used = differences[np.isfinite(differences) & (differences != 0)]
    positive = int((used > 0).sum())
    p_value = stats.binomtest(positive, len(used), alternative="greater").pvalue if len(used) else np.nan
    return SignTest(positive, len(used), float(p_value))


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    x_ranks, y_ranks = stats.rankdata(x), stats.rankdata(y)
    x_ranks, y_ranks = x_ranks - x_ranks.mean(), y_ranks - y_ranks.mean()
    norm = np.sqrt((x_ranks**2).sum() * (y_ranks**2).sum())
    return float((x_ranks * y_ranks).sum() / norm) if norm > 0 else np.nan
