"""The engine's own program for the runs of a sweep, advanced at will and timed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import jax
import numpy as np

from phenom_jax.engine.config import Settings
from phenom_jax.engine.devices import Devices
from phenom_jax.engine.layout import choose
from phenom_jax.engine.placement import dense_order
from phenom_jax.engine.program import Lane, Layout, Program, stack_hps
from phenom_jax.engine.work import Work, make_work
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import Value
from phenom_jax.sweep.axes import make_sweep
from phenom_jax.sweep.plan import Bucket

Axes = dict[str, Sequence[Value]]


def sweep_work(experiment: Experiment, axes: Axes, devices: Devices) -> Work:
    """Returns what the engine would train for these axes, with its usual settings."""
    settings = Settings(schedule=experiment.schedule)
    return make_work(experiment, make_sweep(experiment.hparams, axes).runs(), settings, devices)


def run_steps_per_second(trainers: Sequence[Trainer], seconds: float) -> float:
    """Returns the rate of all buckets together, trained one after the other and each for equally many steps."""
    runs = sum(trainer.runs for trainer in trainers)
    each = seconds / len(trainers)
    return runs / sum(trainer.runs / trainer.run_steps_per_second(each) for trainer in trainers)


class Trainer:
    """One bucket's runs in lanes that are never measured and never end.

    Args:
      layout: how lanes lie on the machine; what the engine chooses if not given.
    """

    def __init__(self, work: Work, bucket: Bucket, layout: Layout | None = None):
        self.runs = len(bucket.runs)
        self.never = work.grid.hidden()
        layout = layout or choose(work, bucket).layout
        self.program = Program(work.experiment, bucket.template, layout, work.grid, work.devices.mesh)
        self.lanes = admitted(self.program, bucket)
        self._seconds(1)
        self.tick_seconds = self._seconds(1)

    def run_steps_per_second(self, seconds: float) -> float:
        """Returns the rate of one dispatch of about this many seconds, counted by the lanes' own steps."""
        before = int(np.asarray(self.lanes.step).sum())
        elapsed = self._seconds(max(1, round(seconds / self.tick_seconds)))
        return (int(np.asarray(self.lanes.step).sum()) - before) / elapsed

    def _seconds(self, ticks: int) -> float:
        start = time.perf_counter()
        self.lanes = jax.block_until_ready(self.program.chunk(self.lanes, ticks, self.never))
        return time.perf_counter() - start


def admitted(program: Program, bucket: Bucket) -> Lane:
    """Returns lanes that hold the bucket's runs, as many as there is room for."""
    total, runs = program.layout.total, bucket.runs
    held = np.zeros(total, bool)
    held[dense_order(program.layout)[: len(runs)]] = True
    hps = stack_hps([bucket.hp(runs[lane % len(runs)]) for lane in range(total)])
    return jax.block_until_ready(program.admit(program.empty(), hps, held))
