"""Times that may be censored: a unit that did not get there within its run was only followed to its last step."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import scipy

from phenom_jax.laws.intervals import LEVEL, UNKNOWN, Interval, student

FEWEST = 6  # units from which a median is bounded, as with order statistics: the band covers 88 % at three units
EXACT_SPLITS = 20_000  # splits into two settings up to which all are counted: 8 and 8 units


def median_time(times_n: np.ndarray, reached_n: np.ndarray, level: float = LEVEL) -> Interval:
    """Returns the Kaplan-Meier median with its interval, +inf where half did not get there.

    The interval is that of Brookmeyer and Crowley (1982): where the log-log band of the curve contains one half.
    Unbounded below 6 units. It fails where units leave early for a reason that has to do with their time, as diverged
    ones may: count these as never reached, at infinity, in `order_statistics`. UNKNOWN without units.

    Args:
      times_n: of the event, or the last step followed where it was not reached.
      reached_n: bool.
    """
    times_n, reached_n = _checked(times_n, reached_n)
    if not len(times_n):
        return UNKNOWN
    curve = scipy.stats.ecdf(_censored(times_n, reached_n)).sf
    median = _first_half(curve.quantiles, curve.probabilities)
    if len(times_n) < FEWEST:
        return Interval(median, -np.inf, np.inf)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)  # at survival 0
        band = curve.confidence_interval(level, method="log-log")
    return Interval(median, *(_first_half(curve.quantiles, side.probabilities) for side in (band.low, band.high)))


def restricted_mean(times_n: np.ndarray, reached_n: np.ndarray, horizon: float, level: float = LEVEL) -> Interval:
    """Returns the mean of min(time, horizon), the area under the Kaplan-Meier curve, with its interval.

    The interval is Student's t over the jackknife's pseudo-values (Andersen, Hansen and Klein 2004), which are
    min(time, horizon) where nothing was censored before the horizon. It fails below 8 units where times are skewed:
    three to five exponential ones are covered about 90 %. UNKNOWN without units.

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
    if np.all(reached_n | (times_n >= horizon)):
        return student(np.minimum(times_n, horizon), level)
    area, count = _area(times_n, reached_n, horizon), len(times_n)
    kept = ~np.eye(count, dtype=bool)
    without_n = np.array([_area(times_n[others], reached_n[others], horizon) for others in kept])
    return student(count * area - (count - 1) * without_n, level)._replace(estimate=area)


def log_rank(times_a: np.ndarray, reached_a: np.ndarray, times_b: np.ndarray, reached_b: np.ndarray) -> float:
    """Returns the two-sided p of equal laws of the time in two settings (Mantel 1966); NaN for a setting without units.

    Up to 20,000 splits of the units into the two settings all are counted, exact where both settings are followed
    equally long; above, the normal law takes their place, which rejects 8 to 10 % of equal laws at three units each.

    Args:
      times_a, times_b: of the event, or the last step followed where it was not reached.
      reached_a, reached_b: bool.
    """
    (times_a, reached_a), (times_b, reached_b) = _checked(times_a, reached_a), _checked(times_b, reached_b)
    times_n, reached_n = np.concatenate([times_a, times_b]), np.concatenate([reached_a, reached_b])
    if not len(times_a) or not len(times_b):
        return np.nan
    if not reached_n.any():
        return 1.0
    if math.comb(len(times_n), len(times_a)) > EXACT_SPLITS:
        return float(scipy.stats.logrank(_censored(times_a, reached_a), _censored(times_b, reached_b)).pvalue)
    excess_n = _excess(times_n, reached_n)
    splits = np.array(list(itertools.combinations(range(len(times_n)), len(times_a))))
    return float((np.abs(excess_n[splits].sum(1)) >= abs(excess_n[: len(times_a)].sum()) - 1e-9).mean())


def _checked(times_n: np.ndarray, reached_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times_n, reached_n = np.asarray(times_n, float), np.asarray(reached_n, bool)
    if times_n.shape != reached_n.shape or not np.isfinite(times_n).all():
        raise ValueError("a censored time needs the finite step it was followed to and whether it was reached")
    return times_n, reached_n


def _censored(times_n: np.ndarray, reached_n: np.ndarray) -> scipy.stats.CensoredData:
    return scipy.stats.CensoredData(uncensored=times_n[reached_n], right=times_n[~reached_n])


def _excess(times_n: np.ndarray, reached_n: np.ndarray) -> np.ndarray:
    """Returns the events of each unit beyond those expected by its time; the sum over a setting is the log-rank's."""
    at_risk_n = (times_n[None, :] >= times_n[:, None]).sum(1)
    return reached_n - ((times_n[None, :] <= times_n[:, None]) * (reached_n / at_risk_n)).sum(1)


def _first_half(times_k: np.ndarray, survival_k: np.ndarray) -> float:
    """Returns the first time at which survival is half or less, +inf if there is none."""
    below = survival_k <= 0.5
    return float(times_k[below.argmax()]) if below.any() else np.inf


def _area(times_n: np.ndarray, reached_n: np.ndarray, horizon: float) -> float:
    """Returns the area under the Kaplan-Meier curve from 0 to the horizon."""
    curve = scipy.stats.ecdf(_censored(times_n, reached_n)).sf
    edges = np.minimum(np.concatenate([[0.0], curve.quantiles, [np.inf]]), horizon)
    return float(np.diff(edges) @ np.concatenate([[1.0], curve.probabilities]))
