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


def measure_grid(schedule: Schedule, steps: Collection[int], earlier: Collection[tuple[Grid, int]] = ()) -> Grid:
    """Returns the measure steps of a sweep: 0, log-spaced multiples of the resolution, and every run's last step.

    Args:
      steps: how long the runs train; multiples of `schedule.resolution`.
      earlier: grids on which runs ended that may be trained longer, each with the last step that one of them reached.
        Up to there the grid is theirs, so that curves go on where they left off.
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

    grid = Grid(points, subset(schedule.expensive_points), subset(schedule.kept_points))
    if not earlier:
        return grid
    after = points > max(end for _, end in earlier)
    parts = [Grid(*(column[each.steps <= end] for column in each)) for each, end in earlier]
    steps_of, expensive, kept = map(np.concatenate, zip(*parts, Grid(*(column[after] for column in grid))))
    united = np.unique([*steps_of, *steps]).astype(np.int32)
    last = united == united[-1]
    return Grid(united, np.isin(united, steps_of[expensive]) | last, np.isin(united, steps_of[kept]) | last)
