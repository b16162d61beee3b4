"""The engine's own program for the runs of a sweep, advanced at will and timed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import jax
import numpy as np

from phenom_jax.engine.config import Settings
from phenom_jax.engine.devices import Devices
from phenom_jax.engine.grid import measure_grid
from phenom_jax.engine.layout import choose
from phenom_jax.engine.loop import prepare
from phenom_jax.engine.program import Layout, Program, stack_hps
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import Value
from phenom_jax.sweep.axes import Run, make_sweep
from phenom_jax.sweep.plan import Bucket, make_plan

Axes = dict[str, Sequence[Value]]


class Trainer:
    """One bucket's runs in lanes that are never measured and never end.

    Args:
      layout: how lanes lie on the machine; what the engine chooses if not given.
    """

    def __init__(self, experiment: Experiment, bucket: Bucket, devices: Devices, layout: Layout | None = None):
        steps = {experiment.steps(run.values) for run in bucket.runs}
        settings = Settings(schedule=experiment.schedule)
        experiment = prepare(experiment, settings, steps)
        grid = measure_grid(experiment.schedule, steps)
        layout = layout or choose(experiment, bucket, grid, settings, devices).layout
        self.runs = len(bucket.runs)
        self.resolution = experiment.schedule.resolution
        self.program = Program(experiment, bucket.template, layout, grid, self.resolution, devices.mesh)
        self.never = grid.hidden()
        self.lanes = self._admitted(bucket)
        self._seconds(1)
        self.tick_seconds = self._seconds(1)

    def _admitted(self, bucket: Bucket):
        layout = self.program.layout
        order = np.arange(layout.total).reshape(layout.devices, layout.groups, layout.lanes).swapaxes(0, 1).ravel()
        held = np.zeros(layout.total, bool)
        held[order[: self.runs]] = True
        hps = stack_hps([bucket.hp(bucket.runs[lane % self.runs]) for lane in range(layout.total)])
        return self.program.admit(self.program.empty(), hps, held)

    def run_steps_per_second(self, seconds: float) -> float:
        """Returns the rate of one dispatch of about this many seconds, counted by the lanes' own steps."""
        before = int(np.asarray(self.lanes.step).sum())
        elapsed = self._seconds(max(1, round(seconds / self.tick_seconds)))
        return (int(np.asarray(self.lanes.step).sum()) - before) / elapsed

    def _seconds(self, ticks: int) -> float:
        start = time.perf_counter()
        self.lanes = jax.block_until_ready(self.program.chunk(self.lanes, ticks, self.never))
        return time.perf_counter() - start


def runs_of(experiment: Experiment, axes: Axes) -> list[Run]:
    """Returns the runs of a sweep over these axes."""
    return make_sweep(experiment.hparams, axes).runs()


def buckets_of(experiment: Experiment, axes: Axes, devices: Devices) -> tuple[Bucket, ...]:
    """Returns the buckets that the planner makes of a sweep over these axes."""
    return make_plan(experiment, runs_of(experiment, axes), devices.platform, devices.count).buckets


def run_steps_per_second(trainers: Sequence[Trainer], seconds: float) -> float:
    """Returns the rate of all buckets together, trained one after the other and each for equally many steps."""
    runs = sum(trainer.runs for trainer in trainers)
    each = seconds / len(trainers)
    return runs / sum(trainer.runs / trainer.run_steps_per_second(each) for trainer in trainers)
