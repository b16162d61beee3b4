"""What a run pays beside its steps: looking, saving, and starting."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from experiments.grokking import experiment as grokking
from launch.benchmark.comparison import FULL, Comparison, Effort, race
from launch.benchmark.perceptron import COURSE
from launch.benchmark.trainer import Axes, Trainer, buckets_of
from phenom_jax.engine.checkpoint import Checkpoints
from phenom_jax.engine.config import Settings
from phenom_jax.engine.devices import Devices
from phenom_jax.engine.grid import measure_grid
from phenom_jax.engine.program import Grid, Lane, Layout, Program, stack_hps
from phenom_jax.experiment import Experiment

ENTER = ["-m", "launch.grokking", "--steps=10", "--noreport", "--notensorboard"]


def overhead(
    devices: Devices, effort: Effort = FULL, experiment: Experiment = grokking, axes: Axes = COURSE
) -> Iterator[Comparison]:
    """Yields run-steps per second of long runs with every look and checkpoint they pay for, against none of them.

    The looks of a whole run are squeezed into as few steps, and timed against these steps alone; checkpoints are timed
    until they are on disk, as if nothing trained meanwhile.
    """
    bucket = buckets_of(experiment, axes, devices)[0]
    trainer = Trainer(experiment, bucket, devices)
    (rate,) = race(trainer.run_steps_per_second, effort=effort)
    lanes = int(np.asarray(trainer.lanes.status > 0).sum())
    steps = experiment.steps(bucket.runs[0].values)
    training = lanes * steps / rate
    looking = looking_seconds(experiment, axes, steps, trainer.program.layout, effort.rounds, devices)
    saving = saving_seconds(trainer.lanes, effort.rounds) * training / Settings().checkpoint_seconds
    share = (looking + saving) / (training + looking + saving)
    note = (
        f"no measures, no checkpoints: {steps} steps of {lanes} runs take {training:.0f} s, looking {looking:.1f} s, "
        f"saving {saving:.1f} s: {100 * share:.2f} %"
    )
    yield Comparison("overhead", (1 - share) * rate, rate, "run-steps/s", ">= 0.95", note)


def start_seconds(devices: Devices, effort: Effort = FULL) -> Iterator[Comparison]:
    """Yields the seconds from the command to the end of the first ten steps, programs compiled by an earlier start."""
    with tempfile.TemporaryDirectory() as cache:
        first_line_seconds(cache)
        warm = min(first_line_seconds(cache) for _ in range(effort.rounds))
    note = f"{' '.join(ENTER)}: command to the end of the first ten steps of 24 runs, warm cache"
    yield Comparison("start_seconds", warm, None, "s", "< 5", note)


def looking_seconds(
    experiment: Experiment, axes: Axes, steps: int, layout: Layout, rounds: int, devices: Devices
) -> float:
    """Returns the seconds that all looks at the runs in these lanes take, cheap, expensive and kept ones."""
    grid = measure_grid(experiment.schedule, {steps})
    points = len(grid.steps)
    squeezed = grid._replace(steps=np.arange(points, dtype=np.int32))
    every = dataclasses.replace(experiment, schedule=dataclasses.replace(experiment.schedule, resolution=1))
    bucket = buckets_of(every, axes | {"steps": [points - 1]}, devices)[0]
    program = Program(every, bucket.template, layout, squeezed, 1, devices.mesh)
    hps = stack_hps([bucket.hp(bucket.runs[lane % len(bucket.runs)]) for lane in range(layout.total)])

    def seconds(looks: Grid) -> float:
        lanes = jax.block_until_ready(program.admit(program.empty(), hps, np.arange(layout.total) < len(bucket.runs)))
        start = time.perf_counter()
        jax.block_until_ready(program.chunk(lanes, points - 1, looks))
        return time.perf_counter() - start

    seconds(squeezed)
    turns = [(seconds(squeezed), seconds(squeezed.hidden())) for _ in range(rounds)]
    looked, only_stepped = map(min, zip(*turns))
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
        command = [sys.executable, "-u", *ENTER, f"--out={directory}/run", f"--compilation_cache={cache}"]
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = next(time.perf_counter() for line in process.stdout if "runs done" in line)
            process.stdout.read()
        return reported - start
