"""Statistics of order: they need no scale, so a run that never gets there simply ranks last."""

from __future__ import annotations

import numpy as np
import scipy


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
            found.append(np.corrcoef(scipy.stats.rankdata(x_N[rows]), scipy.stats.rankdata(y_N[rows]))[0, 1])
            weights.append(rows.sum())
    return float(np.average(found, weights=weights)) if found else np.nan
