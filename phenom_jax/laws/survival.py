"""Times that may be censored: a unit that did not get there within its run was only followed to its last step."""

from __future__ import annotations

import numpy as np
from scipy import stats

from phenom_jax.laws.intervals import LEVEL, UNKNOWN, Interval, student


def median_time(times_n: np.ndarray, reached_n: np.ndarray, level: float = LEVEL) -> Interval:
    """Returns the Kaplan-Meier median with its Brookmeyer-Crowley interval; +inf where half did not get there.

    Args:
      times_n: of the event, or the last step followed where it was not reached.
      reached_n: bool.
    """
    times_n, reached_n = _checked(times_n, reached_n)
    if not len(times_n):
        return UNKNOWN
    curve = stats.ecdf(_censored(times_n, reached_n)).sf
    band = curve.confidence_interval(level, method="log-log")
    return Interval(*(_first_half(curve.quantiles, s.probabilities) for s in (curve, band.low, band.high)))


def restricted_mean(times_n: np.ndarray, reached_n: np.ndarray, horizon: float, level: float = LEVEL) -> Interval:
    """Returns the mean of min(time, horizon), the area under the Kaplan-Meier curve, with its interval.

    The interval is Student's t over the jackknife's pseudo-values (Andersen, Hansen and Klein 2004).

    Args:
      times_n: of the event, or the last step followed where it was not reached.
      reached_n: bool.
      horizon: positive, no later than the last step followed unless all were reached.
    Raises:
      ValueError: the horizon is beyond what was followed.
    """
    times_n, reached_n = _checked(times_n, reached_n)
    if not len(times_n):
        return UNKNOWN
    if not 0 < horizon <= times_n.max() and not (horizon > 0 and reached_n[times_n == times_n.max()].all()):
        raise ValueError(f"a horizon must be positive and within the {times_n.max():g} steps followed, got {horizon:g}")
    area, count = _area(times_n, reached_n, horizon), len(times_n)
    if count == 1:
        return student(np.array([area]), level)
    kept = ~np.eye(count, dtype=bool)
    without_n = np.array([_area(times_n[others], reached_n[others], horizon) for others in kept])
    return student(count * area - (count - 1) * without_n, level)._replace(estimate=area)


def log_rank(times_a: np.ndarray, reached_a: np.ndarray, times_b: np.ndarray, reached_b: np.ndarray) -> float:
    """Returns the two-sided p of equal laws of the time in two settings (Mantel 1966)."""
    return float(
        stats.logrank(_censored(*_checked(times_a, reached_a)), _censored(*_checked(times_b, reached_b))).pvalue
    )


def _checked(times_n: np.ndarray, reached_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times_n, reached_n = np.asarray(times_n, float), np.asarray(reached_n, bool)
    if times_n.shape != reached_n.shape or not np.isfinite(times_n).all():
        raise ValueError("a censored time needs the finite step it was followed to and whether it was reached")
    return times_n, reached_n


def _censored(times_n: np.ndarray, reached_n: np.ndarray) -> stats.CensoredData:
    return stats.CensoredData(uncensored=times_n[reached_n], right=times_n[~reached_n])


def _first_half(times_k: np.ndarray, survival_k: np.ndarray) -> float:
    """Returns the first time at which survival is half or less, +inf if there is none."""
    below = survival_k <= 0.5
    return float(times_k[below.argmax()]) if below.any() else np.inf


def _area(times_n: np.ndarray, reached_n: np.ndarray, horizon: float) -> float:
    """Returns the area under the Kaplan-Meier curve from 0 to the horizon."""
    curve = stats.ecdf(_censored(times_n, reached_n)).sf
    edges = np.minimum(np.concatenate([[0.0], curve.quantiles, [np.inf]]), horizon)
    return float(np.diff(edges) @ np.concatenate([[1.0], curve.probabilities]))
