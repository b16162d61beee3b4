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


def rank_correlation(
    x_N: np.ndarray, y_N: np.ndarray, groups_N: np.ndarray, strata_N: np.ndarray | None = None
) -> Interval:
    """Returns Spearman's rank correlation with its bootstrap interval over groups.

    With strata it is the mean of the correlations inside each, over those where both vary, weighted by their rows.

    Args:
      x_N: numbers.
      y_N: numbers, NaN where censored from above: such runs share the last rank.
      groups_N: labels of the rows that are drawn together (seeds).
      strata_N: labels of the settings inside which rows are compared (widths); None for one.
    """
    y_N = np.where(np.isnan(y_N), np.inf, y_N)
    strata_N = np.zeros(len(x_N)) if strata_N is None else strata_N
    return bootstrap(lambda rows: _inside(x_N[rows], y_N[rows], strata_N[rows]), groups_N)


def sign_test(differences: np.ndarray) -> SignTest:
    """Returns the test that differences are more often positive than negative; zeros and NaN are left out."""
    used = differences[np.isfinite(differences) & (differences != 0)]
    positive = int((used > 0).sum())
    p_value = stats.binomtest(positive, len(used), alternative="greater").pvalue if len(used) else np.nan
    return SignTest(positive, len(used), float(p_value))


def _inside(x: np.ndarray, y: np.ndarray, strata: np.ndarray) -> float:
    parts = [strata == stratum for stratum in np.unique(strata)]
    values = np.array([_spearman(x[part], y[part]) for part in parts])
    weights = np.where(np.isfinite(values), [part.sum() for part in parts], 0)
    return float(np.nansum(values * weights) / weights.sum()) if weights.any() else np.nan


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    x_ranks, y_ranks = stats.rankdata(x), stats.rankdata(y)
    x_ranks, y_ranks = x_ranks - x_ranks.mean(), y_ranks - y_ranks.mean()
    norm = np.sqrt((x_ranks**2).sum() * (y_ranks**2).sum())
    return float((x_ranks * y_ranks).sum() / norm) if norm > 0 else np.nan
