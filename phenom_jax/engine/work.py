"""What a training has before it: the experiment as set up, its plan, its measure grid, and the devices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from phenom_jax.engine.config import Settings
from phenom_jax.engine.devices import Devices
from phenom_jax.engine.grid import Grid, measure_grid
from phenom_jax.experiment import Experiment
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.plan import Plan, make_plan


class Work(NamedTuple):
    """A sweep ready to train. Made by `make_work`.

    Attributes:
      experiment: under the settings: its schedule is theirs, with a resolution that divides every run's steps, and
        without `done` where runs are not to leave early.
      runs: in the order of the sweep.
    """

    experiment: Experiment
    runs: tuple[Run, ...]
    plan: Plan
    grid: Grid
    settings: Settings
    devices: Devices


def make_work(experiment: Experiment, runs: Sequence[Run], settings: Settings, devices: Devices) -> Work:
    """Returns what it takes to train these runs on these devices.

    Raises:
      InvalidValue: a run's hyperparameters are not allowed.
    """
    steps = {experiment.steps(run.values) for run in runs}
    resolution = max(1, math.gcd(settings.schedule.resolution, *steps))
    experiment = dataclasses.replace(
        experiment,
        schedule=dataclasses.replace(settings.schedule, resolution=resolution),
        done=experiment.done if settings.retire_done else None,
    )
    plan = make_plan(experiment, runs, devices.platform, devices.count)
    return Work(experiment, tuple(runs), plan, measure_grid(experiment.schedule, steps), settings, devices)
