"""The engine's own program for the runs of a sweep, advanced at will and timed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import jax
import numpy as np

from phenom_jax.device.devices import Devices
from phenom_jax.device.layout import choose
from phenom_jax.device.placement import dense_order
from phenom_jax.device.program import CompiledProgram, Lane, Layout
from phenom_jax.device.work import Work, make_work
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import Value, stack_hps
from phenom_jax.sweep.axes import make_sweep
from phenom_jax.sweep.plan import Program
from phenom_jax.sweep.settings import Settings

Axes = dict[str, Sequence[Value]]


def sweep_work(experiment: Experiment, axes: Axes, devices: Devices) -> Work:
    """Returns what the engine would train for these axes, with its usual settings."""
    settings = Settings(schedule=experiment.schedule)
    return make_work(experiment, make_sweep(experiment.hparams, axes).runs(), settings, devices)


def run_steps_per_second(trainers: Sequence[Trainer], seconds: float) -> float:
    """Returns the rate of all programs together, trained one after the other and each for equally many steps."""
    runs = sum(trainer.runs for trainer in trainers)
    each = seconds / len(trainers)
    return runs / sum(trainer.runs / trainer.run_steps_per_second(each) for trainer in trainers)


class Trainer:
    """One program's runs in lanes that are never measured and never end.

    Args:
      layout: how lanes lie on the machine; what the engine chooses if not given.
    """

    def __init__(self, work: Work, program: Program, layout: Layout | None = None):
        self.runs = len(program.runs)
        self.never = work.grid.hidden()
        layout = layout or choose(work, program).layout
        self.compiled = CompiledProgram(work.experiment, program.template, layout, work.grid, work.devices.mesh)
        self.lanes = admitted(self.compiled, program)
        self._seconds(1)
        self.tick_seconds = self._seconds(1)

    def run_steps_per_second(self, seconds: float) -> float:
        """Returns the rate of one dispatch of about this many seconds, counted by the lanes' own steps."""
        before = int(np.asarray(self.lanes.step).sum())
        elapsed = self._seconds(max(1, round(seconds / self.tick_seconds)))
        return (int(np.asarray(self.lanes.step).sum()) - before) / elapsed

    def _seconds(self, ticks: int) -> float:
        start = time.perf_counter()
        self.lanes = jax.block_until_ready(self.compiled.chunk(self.lanes, ticks, self.never))
        return time.perf_counter() - start


def admitted(compiled: CompiledProgram, program: Program) -> Lane:
    """Returns lanes that hold the program's runs, as many as there is room for."""
    total, runs = compiled.layout.total, program.runs
    held = np.zeros(total, bool)
    held[dense_order(compiled.layout)[: len(runs)]] = True
    hps = stack_hps([program.hp(runs[lane % len(runs)]) for lane in range(total)])
    return jax.block_until_ready(compiled.admit(compiled.empty(), hps, held))
