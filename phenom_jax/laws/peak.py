"""The peak inside a curve: how far it stands above the valleys on both of its sides."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Peak:
    """The most prominent value inside a curve.

    Attributes:
      index: where it is; -1 for a curve that only rises, only falls, or falls and then rises.
      prominence: how far it is above the higher of the lowest values before it and after it, 0 without a peak.
    """

    index: int
    prominence: float


def inner_peak(values_K: np.ndarray) -> Peak:
    """Returns the Peak of a curve; values that are not finite are left out."""
    places = np.flatnonzero(np.isfinite(values_K))
    finite = np.asarray(values_K, float)[places]
    if len(finite) < 3:
        return Peak(-1, 0.0)
    before = np.minimum.accumulate(finite)[:-2]
    after = np.minimum.accumulate(finite[::-1])[::-1][2:]
    prominence = finite[1:-1] - np.maximum(before, after)
    best = int(prominence.argmax())
    if prominence[best] <= 0:
        return Peak(-1, 0.0)
    return Peak(int(places[1 + best]), float(prominence[best]))
