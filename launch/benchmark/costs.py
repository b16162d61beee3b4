"""What a run pays beside its steps: looking, saving, and starting."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from experiments.grokking import experiment as grokking
from launch.benchmark.comparison import FULL, Comparison, Effort, race
from launch.benchmark.perceptron import COURSE
from launch.benchmark.trainer import Axes, Trainer, admitted, sweep_work
from phenom_jax.device.devices import Devices
from phenom_jax.device.program import CompiledProgram, Lane, Layout
from phenom_jax.device.work import Work
from phenom_jax.experiment import Experiment
from phenom_jax.sweep.grid import Grid
from phenom_jax.training.checkpoint import Checkpoints

RESUMED = ["-m", "launch.grokking", "--steps=50000", "--noretire_done", "--noreport", "--notensorboard"]
ENTER = ["-m", "launch.grokking", "--steps=10", "--noreport", "--notensorboard"]


def overhead(
    devices: Devices, effort: Effort = FULL, experiment: Experiment = grokking, axes: Axes = COURSE
) -> Iterator[Comparison]:
    """Yields run-steps per second of long runs with every look and checkpoint they pay for, against none of them.

    The looks of a whole run are squeezed into as few steps, and timed against these steps alone; checkpoints are timed
    until they are on disk, as if nothing trained meanwhile.
    """
    work = sweep_work(experiment, axes, devices)
    program = work.plan.programs[0]
    trainer = Trainer(work, program)
    (rate,) = race(trainer.run_steps_per_second, effort=effort)
    lanes = int(np.asarray(trainer.lanes.status > 0).sum())
    steps = experiment.steps(program.runs[0].values)
    training = lanes * steps / rate
    looking = looking_seconds(work, axes, trainer.compiled.layout, effort.rounds)
    saving = saving_seconds(trainer.lanes, effort.rounds) * training / work.settings.checkpoint_seconds
    share = (looking + saving) / (training + looking + saving)
    note = (
        f"no measures, no checkpoints: {steps} steps of {lanes} runs take {training:.0f} s, looking {looking:.1f} s, "
        f"saving {saving:.2g} s ({100 * saving / (training + looking + saving):.2f} %): {100 * share:.2f} %"
    )
    yield Comparison("overhead", (1 - share) * rate, rate, "run-steps/s", ">= 0.95", note)


def start_seconds(devices: Devices, effort: Effort = FULL) -> Iterator[Comparison]:
    """Yields the seconds from the command to the end of the first ten steps, programs compiled by an earlier start."""
    with tempfile.TemporaryDirectory() as cache:
        first_line_seconds(cache)
        warm = min(first_line_seconds(cache) for _ in range(effort.rounds))
    note = f"{' '.join(ENTER)}: command to the end of the first ten steps of its runs, warm cache"
    yield Comparison("start_seconds", warm, None, "s", "< 5", note)


def resume_seconds(devices: Devices, effort: Effort = FULL) -> Iterator[Comparison]:
    """Yields the seconds from the command that goes on from a checkpoint to the end of its first chunk of steps."""
    with tempfile.TemporaryDirectory() as directory:
        command = [*RESUMED, f"--out={directory}/run"]
        begun, *resumed = (
            _seconds_to_progress(command, f"{directory}/cache", stop=True) for _ in range(1 + effort.rounds)
        )
    note = (
        f"{' '.join(RESUMED)}, stopped by SIGTERM in every chunk and started again; the first start took {begun:.1f} s"
    )
    yield Comparison("resume_seconds", min(resumed), None, "s", "< 5", note)


def looking_seconds(work: Work, axes: Axes, layout: Layout, rounds: int) -> float:
    """Returns the seconds that all looks at the runs in these lanes take, cheap, expensive and kept ones."""
    points = len(work.grid.steps)
    schedule = dataclasses.replace(work.experiment.schedule, resolution=1)
    every = dataclasses.replace(work.experiment, schedule=schedule)
    grid = work.grid._replace(steps=np.arange(points, dtype=np.int32))
    program = sweep_work(every, axes | {"steps": [points - 1]}, work.devices).plan.programs[0]
    compiled = CompiledProgram(every, program.template, layout, grid, work.devices.mesh)

    def seconds(looks: Grid) -> float:
        lanes = admitted(compiled, program)
        start = time.perf_counter()
        jax.block_until_ready(compiled.chunk(lanes, points - 1, looks))
        return time.perf_counter() - start

    seconds(grid)
    looked, only_stepped = map(min, zip(*((seconds(grid), seconds(grid.hidden())) for _ in range(rounds))))
    return looked - only_stepped


def saving_seconds(lanes: Lane, rounds: int) -> float:
    """Returns the seconds until a checkpoint of these lanes is on disk."""
    with tempfile.TemporaryDirectory() as directory, Checkpoints(Path(directory)) as checkpoints:
        return min(_save(checkpoints, index, lanes) for index in range(rounds))


def _save(checkpoints: Checkpoints, index: int, lanes: Lane) -> float:
    start = time.perf_counter()
    checkpoints.save(index, lanes, {})
    checkpoints.wait()
    return time.perf_counter() - start


def first_line_seconds(cache: str) -> float:
    """Returns the seconds until the launcher reports progress, which it does at the first chunk's end."""
    with tempfile.TemporaryDirectory() as directory:
        return _seconds_to_progress([*ENTER, f"--out={directory}/run"], cache)


def _seconds_to_progress(arguments: Sequence[str], cache: str, stop: bool = False) -> float:
    """Returns the seconds from a command to its first report of progress, after which `stop` makes it save and end."""
    command = [sys.executable, "-u", *arguments, f"--compilation_cache={cache}"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = next(time.perf_counter() for line in process.stdout if "runs done" in line)
        if stop:
            process.terminate()
        process.stdout.read()
    return reported - start
