"""What a training has before it: the experiment as set up, its plan, its measure grid, and the devices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from phenom_jax.device.devices import Devices
from phenom_jax.experiment import Experiment
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.grid import Grid, measure_grid
from phenom_jax.sweep.parts import Part, part_of
from phenom_jax.sweep.plan import Plan, make_plan
from phenom_jax.sweep.recorded import check_contract
from phenom_jax.sweep.settings import Settings


class Work(NamedTuple):
    """A sweep ready to train. Made by `make_work`.

    Attributes:
      experiment: under the settings: its schedule is theirs, with a resolution that divides every run's steps, and
        without `done` where runs are not to leave early.
      runs: in the order of the sweep; of one part, where only that is trained.
      plan: of these runs.
      sweep_plan: of the whole sweep, which decides padding and what is recorded.
    """

    experiment: Experiment
    runs: tuple[Run, ...]
    plan: Plan
    sweep_plan: Plan
    grid: Grid
    settings: Settings
    devices: Devices


def make_work(
    experiment: Experiment, runs: Sequence[Run], settings: Settings, devices: Devices, part: Part | None = None
) -> Work:
    """Returns what it takes to train these runs, or one part of them, on these devices.

    Raises:
      InvalidValue: a run's hyperparameters are not allowed, the experiment's functions return what cannot be recorded,
        or there is no such part.
    """
    steps = {experiment.steps(run.values) for run in runs}
    resolution = max(1, math.gcd(settings.schedule.resolution, *steps))
    experiment = dataclasses.replace(
        experiment,
        schedule=dataclasses.replace(settings.schedule, resolution=resolution),
        done=experiment.done if settings.retire_done else None,
    )
    whole = make_plan(experiment, runs, devices.platform, devices.count)
    check_contract(experiment, whole.programs[0].template)
    plan = part_of(whole, part) if part else whole
    ours = {run.id for program in plan.programs for run in program.runs}
    grid = measure_grid(experiment.schedule, steps)
    return Work(experiment, tuple(run for run in runs if run.id in ours), plan, whole, grid, settings, devices)
