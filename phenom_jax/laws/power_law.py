"""Power laws y = a x^k, fitted as straight lines in log-log."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Line(NamedTuple):
    """y = prefactor * x ** exponent."""

    exponent: float
    prefactor: float


class LocalExponents(NamedTuple):
    """The exponent between neighbouring x, at their geometric mean; float[K - 1] each for K different x."""

    x_mid: np.ndarray
    exponent: np.ndarray


def exponent(x_N: np.ndarray, y_N: np.ndarray, strata_N: np.ndarray | None = None) -> float:
    """Returns the least-squares slope of log y in log x, NaN where no stratum has two different x.

    Args:
      x_N: positive.
      y_N: positive.
      strata_N: labels of the settings whose prefactors may differ (widths); None for one.
    Raises:
      ValueError: a value is not positive and finite.
    """
    log_x_N, log_y_N, codes_N = _logs(x_N, y_N, strata_N)
    return _slope(log_x_N, log_y_N, codes_N)


def curvature(x_N: np.ndarray, y_N: np.ndarray, strata_N: np.ndarray | None = None) -> float:
    """Returns the change of the local exponent per e-fold of x: twice the coefficient of (log x)^2, 0 for a power law.

    Fitted with one slope, one coefficient and a prefactor per stratum; NaN where no stratum has three different x.

    Args:
      x_N: positive.
      y_N: positive.
      strata_N: labels of the settings whose prefactors may differ (widths); None for one.
    Raises:
      ValueError: a value is not positive and finite.
    """
    log_x_N, log_y_N, codes_N = _logs(x_N, y_N, strata_N)
    if all(len(np.unique(log_x_N[codes_N == code])) < 3 for code in np.unique(codes_N)):
        return np.nan
    centred_N = log_x_N - log_x_N.mean()
    design_Nx2, within_N = (
        np.stack([values - _means(values, codes_N)[codes_N] for values in columns], 1)
        for columns in ((centred_N, centred_N**2), (log_y_N,))
    )
    return float(2 * np.linalg.lstsq(design_Nx2, within_N[:, 0])[0][1])


def local_exponents(x_N: np.ndarray, y_N: np.ndarray) -> LocalExponents:
    """Returns the slopes between neighbouring different x in log-log, through the geometric means of y at each.

    Raises:
      ValueError: a value is not positive and finite.
    """
    log_x_N, log_y_N, _ = _logs(x_N, y_N, None)
    log_x_K, codes_N = np.unique(log_x_N, return_inverse=True)
    slopes = np.diff(_means(log_y_N, codes_N)) / np.diff(log_x_K)
    return LocalExponents(np.exp((log_x_K[1:] + log_x_K[:-1]) / 2), slopes)


def line(x_N: np.ndarray, y_N: np.ndarray) -> Line:
    """Returns the fit of one power law; NaN without two different x.

    Raises:
      ValueError: a value is not positive and finite.
    """
    log_x_N, log_y_N, codes_N = _logs(x_N, y_N, None)
    slope = _slope(log_x_N, log_y_N, codes_N)
    return Line(slope, float(np.exp((log_y_N - slope * log_x_N).mean())) if len(log_x_N) else np.nan)


def _logs(x_N: np.ndarray, y_N: np.ndarray, strata_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns log x, log y and the number of each row's stratum."""
    x_N, y_N = np.asarray(x_N, float), np.asarray(y_N, float)
    if not all(np.all(np.isfinite(values) & (values > 0)) for values in (x_N, y_N)):
        raise ValueError("a power law needs positive finite values")
    return (
        np.log(x_N),
        np.log(y_N),
        np.unique(np.zeros(len(x_N)) if strata_N is None else strata_N, return_inverse=True)[1],
    )


def _slope(x: np.ndarray, y: np.ndarray, strata: np.ndarray) -> float:
    x, y = (values - _means(values, strata)[strata] for values in (x, y))
    spread = (x**2).sum()
    return float((x * y).sum() / spread) if spread > 1e-12 else np.nan


def _means(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Returns the mean of each stratum, 0 for one without values."""
    return np.bincount(strata, values) / np.maximum(np.bincount(strata), 1)
