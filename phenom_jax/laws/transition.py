"""When a curve crosses a threshold, as far as a measure grid can tell."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Direction = Literal["up", "down"]


class Crossing(NamedTuple):
    """Where a curve passes a threshold, float[N] each, NaN for a curve that never does.

    Attributes:
      step: the first measured step past it.
      after: the measured step before: the crossing lies in (after, step]. Equals `step` where the first measured value
        is past already.
      between: the step at which the straight line between these two crosses it; not bound to the measure grid.
    """

    step: np.ndarray
    after: np.ndarray
    between: np.ndarray


def first_crossing(
    curves_NxP: np.ndarray,
    steps_P: np.ndarray,
    threshold: float | np.ndarray,
    direction: Direction = "up",
) -> Crossing:
    """Returns the Crossing of every curve; NaN values are steps that were not measured.

    Args:
      curves_NxP: N curves, float[N, P].
      steps_P: increasing.
      threshold: one for all, or float[N]; a NaN threshold is never crossed.
      direction: "up" for the first value >= threshold, "down" for the first <= threshold.
    """
    curves_NxP, steps = np.asarray(curves_NxP, float), np.asarray(steps_P, float)
    limit_N = np.broadcast_to(np.asarray(threshold, float), len(curves_NxP))
    past_NxP = curves_NxP >= limit_N[:, None] if direction == "up" else curves_NxP <= limit_N[:, None]
    crosses_N, index_N = past_NxP.any(1), past_NxP.argmax(1)
    earlier_NxP = np.isfinite(curves_NxP) & (np.arange(len(steps)) < index_N[:, None])
    before_N = np.where(earlier_NxP.any(1), last_place(earlier_NxP), index_N)
    step_N, after_N = np.where(crosses_N, steps[index_N], np.nan), np.where(crosses_N, steps[before_N], np.nan)
    value_N, earlier_N = (np.take_along_axis(curves_NxP, at_N[:, None], 1)[:, 0] for at_N in (index_N, before_N))
    straight_N = crosses_N & np.isfinite(value_N) & (before_N < index_N)
    share_N = (limit_N - earlier_N) / np.where(straight_N, value_N - earlier_N, 1)
    return Crossing(step_N, after_N, np.where(straight_N, after_N + share_N * (step_N - after_N), step_N))


def value_at(curves_NxP: np.ndarray, steps_P: np.ndarray, at_N: float | np.ndarray) -> np.ndarray:
    """Returns float[N], each curve at a step that need not have been measured; NaN outside of what was.

    Args:
      curves_NxP: N curves, float[N, P]; linear between neighbouring finite values.
      steps_P: increasing.
      at_N: one step for all, or float[N]; the value at a NaN step is NaN.
    """
    curves_NxP, steps = np.asarray(curves_NxP, float), np.asarray(steps_P, float)
    at_N = np.broadcast_to(np.asarray(at_N, float), len(curves_NxP))
    measured_NxP = np.isfinite(curves_NxP)
    left_NxP, right_NxP = measured_NxP & (steps <= at_N[:, None]), measured_NxP & (steps >= at_N[:, None])
    left_N, right_N = last_place(left_NxP), right_NxP.argmax(1)
    low_N, high_N = (np.take_along_axis(curves_NxP, place_N[:, None], 1)[:, 0] for place_N in (left_N, right_N))
    gap_N = steps[right_N] - steps[left_N]
    share_N = (at_N - steps[left_N]) / np.where(gap_N > 0, gap_N, 1)
    return np.where(left_NxP.any(1) & right_NxP.any(1), low_N + share_N * (high_N - low_N), np.nan)


def last_place(flags_NxP: np.ndarray) -> np.ndarray:
    """Returns int[N], the last place that is flagged; the last of all where none is."""
    return flags_NxP.shape[1] - 1 - flags_NxP[:, ::-1].argmax(1)
