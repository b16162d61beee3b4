"""When a curve crosses a threshold, as far as a measure grid can tell."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Direction = Literal["up", "down"]


class Crossing(NamedTuple):
    """The first measured step past a threshold, and the measured step before it: the crossing lies in (after, step].

    Both are NaN for a curve that never crosses. `after` equals `step` where the first measured value is past already.
    """

    step: np.ndarray
    after: np.ndarray


def first_crossing(
    curves_NxP: np.ndarray,
    steps_P: np.ndarray,
    threshold: float | np.ndarray,
    direction: Direction = "up",
) -> Crossing:
    """Returns the Crossing, float[N] each, of every curve; NaN values are steps that were not measured.

    Args:
      curves_NxP: N curves, float[N, P].
      steps_P: increasing.
      threshold: one for all, or float[N]; a NaN threshold is never crossed.
      direction: "up" for the first value >= threshold, "down" for the first <= threshold.
    """
    limit = np.broadcast_to(np.asarray(threshold, float), len(curves_NxP))[:, None]
    past_NxP = curves_NxP >= limit if direction == "up" else curves_NxP <= limit
    crosses_N, index_N = past_NxP.any(1), past_NxP.argmax(1)
    places_P = np.arange(len(steps_P))
    earlier_NxP = np.isfinite(curves_NxP) & (places_P < index_N[:, None])
    before_N = np.where(earlier_NxP.any(1), np.where(earlier_NxP, places_P, -1).max(1), index_N)
    steps = np.asarray(steps_P, float)
    return Crossing(np.where(crosses_N, steps[index_N], np.nan), np.where(crosses_N, steps[before_N], np.nan))


def log_midway(curves_NxP: np.ndarray) -> np.ndarray:
    """Returns float[N], the geometric mean of a positive curve's largest and its last value: half of its log-range.

    A fall from a plateau to a floor crosses it halfway on a log axis. NaN for curves without a measured value.
    """
    measured_NxP = np.isfinite(curves_NxP)
    top_N = np.where(measured_NxP, curves_NxP, -np.inf).max(1)
    last_N = curves_NxP.shape[1] - 1 - measured_NxP[:, ::-1].argmax(1)
    bottom_N = np.take_along_axis(curves_NxP, last_N[:, None], 1)[:, 0]
    usable_N = measured_NxP.any(1) & (bottom_N > 0)
    return np.sqrt(np.where(usable_N, top_N * bottom_N, np.nan))
