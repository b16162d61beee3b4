"""What a training has before it: the experiment as set up, its plan, its measure grid, and the devices."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from phenom_jax.device.devices import Devices
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.grid import Grid, measure_grid
from phenom_jax.sweep.longer import Earlier, reads_steps, starts_of
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
      starts: by run id, the shorter run from whose end it goes on; others begin at their beginning.
    """

    experiment: Experiment
    runs: tuple[Run, ...]
    plan: Plan
    sweep_plan: Plan
    grid: Grid
    settings: Settings
    devices: Devices
    starts: Mapping[str, str] = MappingProxyType({})


def make_work(
    experiment: Experiment,
    runs: Sequence[Run],
    settings: Settings,
    devices: Devices,
    part: Part | None = None,
    earlier: Earlier = Earlier(),  # noqa: B008, it is immutable
) -> Work:
    """Returns what it takes to train these runs, or one part of them, on these devices.

    Args:
      earlier: runs that ended in the same directory, from which longer ones of the sweep go on.
    Raises:
      InvalidValue: a run's hyperparameters are not allowed, the experiment's functions return what cannot be recorded,
        there is no such part, or a run would take the place of a shorter one that is not its beginning.
    """
    steps = {experiment.steps(run.values) for run in runs}
    resolution = max(1, math.gcd(settings.schedule.resolution, *steps, *earlier.looks()))
    experiment = dataclasses.replace(
        experiment,
        schedule=dataclasses.replace(settings.schedule, resolution=resolution),
        done=experiment.done if settings.retire_done else None,
    )
    starts, ids = starts_of(runs, earlier.ends), {run.id for run in runs}
    bounds = {run_id: earlier.ends[start].padded for run_id, start in starts.items() if start not in ids}
    whole = make_plan(experiment, runs, devices.platform, devices.count, bounds)
    check_contract(experiment, whole.programs[0].template)
    plan = part_of(whole, part) if part else whole
    if starts and any(reads_steps(experiment, program.template) for program in whole.programs):
        if bounds:
            raise InvalidValue(
                f"steps: {max(steps)} for runs of the directory that were shorter, allowed is another --out: what a "
                f"run of {experiment.name} computes depends on its `steps` from the start"
            )
        starts = {}
    programs = {run.id: program.id for program in plan.programs for run in program.runs}
    starts = {run_id: start for run_id, start in starts.items() if earlier.ends[start].program == programs.get(run_id)}
    grid = measure_grid(experiment.schedule, steps, earlier.grids)
    ours = tuple(run for run in runs if run.id in programs)
    return Work(experiment, ours, plan, whole, grid, settings, devices, starts)
