"""Where a curve falls fastest, as far as a measure grid can tell."""

from __future__ import annotations

import numpy as np

from phenom_jax.laws.transition import Crossing


def steepest_fall(curves_NxP: np.ndarray, steps_P: np.ndarray, start_N: np.ndarray, end_N: np.ndarray) -> Crossing:
    """Returns the interval (after, step] of neighbouring measured steps over which each curve falls most per step.

    `between` is its middle.

    Args:
      curves_NxP: N curves, float[N, P], NaN where not measured.
      steps_P: increasing.
      start_N, end_N: the measured steps between which it is looked for; NaN for a curve whose Crossing is NaN.
    """
    found = np.full((2, len(curves_NxP)), np.nan)
    for row, (curve, start, end) in enumerate(zip(curves_NxP, start_N, end_N, strict=True)):
        places = np.flatnonzero(np.isfinite(curve) & (steps_P >= start) & (steps_P <= end))
        if len(places) > 1:
            steepest = int((np.diff(curve[places]) / np.diff(steps_P[places])).argmin())
            found[:, row] = steps_P[places[steepest + 1]], steps_P[places[steepest]]
    step_N, after_N = found
    return Crossing(step_N, after_N, (step_N + after_N) / 2)
