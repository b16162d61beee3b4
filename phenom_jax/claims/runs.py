"""Helpers of statistics of one unit: what its runs measured, when, and how it depends on what varies between them."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phenom_jax.laws import power_law, rank, transition
from phenom_jax.store.axes import strata

Values = str | np.ndarray  # a hyperparameter or variable over runs by its name, or float[run]


def last(runs: xr.Dataset, name: str) -> np.ndarray:
    """Returns float[run], the last measured value of a curve; NaN where nothing was measured."""
    curves = runs[name].values.astype(float)
    measured = np.isfinite(curves)
    return np.where(measured.any(1), curves[np.arange(len(curves)), transition.last_place(measured)], np.nan)


def at(runs: xr.Dataset, name: str, event: str) -> np.ndarray:
    """Returns float[run], a curve's value at `EVENT_step`, between neighbouring measures; NaN where it never happened.

    Args:
      runs: with the per-run variable `EVENT_step`.
      name: of a scalar measure.
      event: "memorisation", say.
    """
    return transition.value_at(runs[name].values.astype(float), runs["step"].values, runs[f"{event}_step"].values)


def first_crossing(
    runs: xr.Dataset, name: str, threshold: float | np.ndarray, direction: transition.Direction = "up"
) -> np.ndarray:
    """Returns float[run], the step at which a curve first passes a threshold, between measures; inf where never."""
    found = transition.first_crossing(runs[name].values.astype(float), runs["step"].values, threshold, direction)
    return np.where(np.isnan(found.between), np.inf, found.between)


def times(runs: xr.Dataset, name: str) -> np.ndarray:
    """Returns float[run], a per-run step or delay, inf where it never happened."""
    values = runs[name].values.astype(float)
    return np.where(np.isnan(values), np.inf, values)


def trend(runs: xr.Dataset, x: str, y: Values) -> float:
    """Returns Spearman's rank correlation of y with a hyperparameter, the mean over settings otherwise alike.

    An infinite y, a step that was never reached, ranks last. NaN where neither varies.
    """
    return rank.trend(runs[x].values.astype(float), _values(runs, y), strata(runs, x))


def exponent(runs: xr.Dataset, x: Values, y: Values, *without: str) -> float:
    """Returns the log-log slope of y over x, a prefactor for each setting otherwise alike; NaN where x does not vary.

    Args:
      x, y: positive and finite; choose the runs before.
      without: the axes that x is made of, where it is not the name of one.
    """
    axes = (x, *without) if isinstance(x, str) else without
    return power_law.exponent(_values(runs, x), _values(runs, y), strata(runs, *axes))


def curvature(runs: xr.Dataset, x: Values, y: Values, *without: str) -> float:
    """Returns how much the local exponent of y changes per e-fold of x: 0 for a power law."""
    axes = (x, *without) if isinstance(x, str) else without
    return power_law.curvature(_values(runs, x), _values(runs, y), strata(runs, *axes))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> float:
    """Returns the geometric mean over runs of a quotient; NaN ones are left out."""
    logs = np.log(np.asarray(numerator, float)) - np.log(np.asarray(denominator, float))
    return float(np.exp(np.nanmean(logs))) if np.isfinite(logs).any() else np.nan


def share(condition: np.ndarray | xr.DataArray) -> float:
    """Returns the share of runs of which a condition is true, NaN of none."""
    values = np.asarray(condition, bool)
    return float(values.mean()) if values.size else np.nan


def _values(runs: xr.Dataset, values: Values) -> np.ndarray:
    return np.asarray(runs[values].values if isinstance(values, str) else values, float)
