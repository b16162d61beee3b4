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


def trend(x_N: np.ndarray, y_N: np.ndarray, strata_N: np.ndarray | None = None) -> float:
    """Returns Spearman's rank correlation of one unit's rows, NaN where x or y does not vary.

    With strata it is the mean of the correlations inside each, over those where both vary, weighted by their rows.

    Args:
      x_N: numbers.
      y_N: numbers; +inf is "never": such rows share the last rank. Rows with NaN are left out.
      strata_N: labels of the settings inside which rows are compared (widths); None for one.
    """
    x_N, y_N = np.asarray(x_N, float), np.asarray(y_N, float)
    strata_N = np.zeros(len(x_N)) if strata_N is None else np.asarray(strata_N)
    kept_N = ~np.isnan(x_N) & ~np.isnan(y_N)
    found, weights = [], []
    for stratum in np.unique(strata_N):
        rows = kept_N & (strata_N == stratum)
        if len(np.unique(x_N[rows])) > 1 and len(np.unique(y_N[rows])) > 1:
            found.append(np.corrcoef(stats.rankdata(x_N[rows]), stats.rankdata(y_N[rows]))[0, 1])
            weights.append(rows.sum())
    return float(np.average(found, weights=weights)) if found else np.nan


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
    strata_N = np.unique(np.zeros(len(x_N)) if strata_N is None else strata_N, return_inverse=True)[1]
    x_keys_N, y_keys_N = _keys(x_N, strata_N), _keys(np.where(np.isnan(y_N), np.inf, y_N), strata_N)
    return bootstrap(lambda rows: _correlation(x_keys_N[rows], y_keys_N[rows], strata_N[rows]), groups_N)


def sign_test(differences: np.ndarray) -> SignTest:
    """Returns the test that differences are more often positive than negative; zeros and NaN are left out."""
    used = differences[np.isfinite(differences) & (differences != 0)]
    positive = int((used > 0).sum())
    p_value = stats.binomtest(positive, len(used), alternative="greater").pvalue if len(used) else np.nan
    return SignTest(positive, len(used), float(p_value))


def _keys(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Returns integers in the order of the values inside each stratum, equal where they are equal."""
    codes = np.unique(values, return_inverse=True)[1]
    return np.unique(strata * (codes.max(initial=0) + 1) + codes, return_inverse=True)[1]


def _correlation(x_keys: np.ndarray, y_keys: np.ndarray, strata: np.ndarray) -> float:
    counts = np.bincount(strata)
    x, y = (
        ranks - (np.bincount(strata, ranks) / np.maximum(counts, 1))[strata] for ranks in map(_ranks, (x_keys, y_keys))
    )
    norms = np.sqrt(np.bincount(strata, x**2) * np.bincount(strata, y**2))
    weights = np.where(norms > 0, counts, 0)
    if not weights.any():
        return np.nan
    return float(np.average(np.bincount(strata, x * y) / np.where(norms > 0, norms, 1), weights=weights))


def _ranks(keys: np.ndarray) -> np.ndarray:
    """Returns average ranks, ties sharing theirs, counted through all strata: inside one they differ by a constant."""
    counts = np.bincount(keys)
    return (np.cumsum(counts) - (counts - 1) / 2)[keys]
