"""The measure grid: the steps at which runs are looked at, and which of them the sparser schedules use."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from phenom_jax.experiment import Schedule

NEVER = np.iinfo(np.int32).max


class Grid(NamedTuple):
    """The measure steps of a sweep, ascending, and which of them the sparser schedules use; arrays of length P."""

    steps: np.ndarray  # int32
    expensive: np.ndarray  # bool
    kept: np.ndarray  # bool

    def hidden(self) -> Grid:
        """Returns a grid of the same shape on which no step is ever measured."""
        return self._replace(steps=np.full_like(self.steps, NEVER))


def measure_grid(schedule: Schedule, steps: Collection[int]) -> Grid:
    """Returns the measure steps of a sweep: 0, log-spaced multiples of the resolution, and every run's last step.

    Args:
      steps: how long the runs train; multiples of `schedule.resolution`.
    """
    longest, resolution = max(steps), schedule.resolution
    spaced = np.geomspace(resolution, longest, schedule.points) if longest else []
    rounded = {round(step / resolution) * resolution for step in spaced}
    points = np.array(sorted({0, *rounded, *steps}), np.int32)

    def subset(count: int) -> np.ndarray:
        chosen = np.zeros(len(points), bool)
        if count > 1:
            chosen[np.linspace(0, len(points) - 1, min(count, len(points))).round().astype(int)] = True
        chosen[-1] = True
        return chosen

    return Grid(points, subset(schedule.expensive_points), subset(schedule.kept_points))
