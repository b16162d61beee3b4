"""Where training would have been stopped, told from curves that were measured to the end."""

from __future__ import annotations

import numpy as np


def lowest(curves_NxP: np.ndarray) -> np.ndarray:
    """Returns int[N], the index of the lowest value of each curve; -1 where nothing was measured (NaN)."""
    measured_NxP = np.isfinite(curves_NxP)
    return np.where(measured_NxP.any(1), np.where(measured_NxP, curves_NxP, np.inf).argmin(1), -1)


def patient(curves_NxP: np.ndarray, steps_P: np.ndarray, factor: float = 2.0) -> np.ndarray:
    """Returns int[N], the index of the lowest value before patience ends; -1 where nothing was measured.

    Patience ends where the steps have grown by `factor` since the lowest value so far, as early stopping with a
    patience that grows with training has it (Prechelt 1998 compares such rules).

    Args:
      curves_NxP: validation losses, float[N, P], NaN where not measured.
      steps_P: increasing, from 0.
      factor: above 1.
    """
    found = np.full(len(curves_NxP), -1)
    for row, curve in enumerate(curves_NxP):
        for place in np.flatnonzero(np.isfinite(curve)):
            best = found[row]
            if best < 0 or curve[place] < curve[best]:
                found[row] = place
            elif steps_P[place] > factor * max(steps_P[best], 1):
                break
    return found
