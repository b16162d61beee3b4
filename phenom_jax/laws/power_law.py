"""Power laws y = a x^k, fitted as straight lines in log-log."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phenom_jax.laws.bootstrap import Interval, bootstrap


class PowerLaw(NamedTuple):
    """The fit of y = prefactor * x ** exponent.

    Attributes:
      exponent: with its bootstrap interval over groups.
      prefactor: y at x = 1.
      scatter: standard deviation of log y about the line, in e-folds; NaN for fewer than three points.
    """

    exponent: Interval
    prefactor: float
    scatter: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.prefactor * np.asarray(x, float) ** self.exponent.estimate


def fit_power_law(x_N: np.ndarray, y_N: np.ndarray, groups_N: np.ndarray) -> PowerLaw:
    """Returns the least-squares line through (log x, log y).

    Args:
      x_N: positive, at least two different values.
      y_N: positive.
      groups_N: labels of the rows that are drawn together (seeds).
    Raises:
      ValueError: a value is not positive and finite, or all x are equal.
    """
    if not all(np.all(np.isfinite(values) & (values > 0)) for values in (x_N, y_N)):
        raise ValueError("a power law needs positive finite values")
    if len(np.unique(x_N)) < 2:
        raise ValueError("a power law needs at least two different x")
    log_x, log_y = np.log(x_N), np.log(y_N)
    exponent = bootstrap(lambda rows: _slope(log_x[rows], log_y[rows]), groups_N)
    intercept = log_y.mean() - exponent.estimate * log_x.mean()
    residuals = log_y - intercept - exponent.estimate * log_x
    scatter = np.sqrt((residuals**2).sum() / (len(log_x) - 2)) if len(log_x) > 2 else np.nan
    return PowerLaw(exponent, float(np.exp(intercept)), float(scatter))


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    centred = x - x.mean()
    spread = (centred**2).sum()
    return float((centred * y).sum() / spread) if spread > 0 else np.nan
