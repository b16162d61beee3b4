"""The course's grid of linear regressions, solved through the engine, against loops in NumPy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from experiments.linear_double_descent import experiment as linear
from launch.benchmark.comparison import FULL, Comparison, Effort, cores, race
from phenom_jax.device.devices import Devices
from phenom_jax.device.layout import choose
from phenom_jax.device.placement import dense_order
from phenom_jax.device.program import CompiledProgram
from phenom_jax.device.work import make_work
from phenom_jax.hparams import stack_hps
from phenom_jax.store.config import make_config
from phenom_jax.store.directory import RunDirectory
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.plan import describe
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.loop import train
from phenom_jax.training.progress import Progress
from phenom_jax.training.stop import Stop

SAMPLES, SEEDS = 200, "0:20"
VARIANTS = {
    "least_squares": ("linear_grid", ">= 5", "draw, lstsq without ridge, else solve of the smaller Gram matrix"),
    "gram": ("linear_grid_gram", "", "solve of the smaller Gram matrix at every ridge"),
    "shared": ("linear_grid_shared", "", "one eigh for all noises and ridges of a seed and dimension"),
}
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # each may slow NumPy down


def linear_grid(
    devices: Devices, effort: Effort = FULL, flags: Mapping[str, str] | None = None, samples: int = SAMPLES
) -> Iterator[Comparison]:
    """Yields solves per second of the engine's program for the grid, read back, against each NumPy variant."""
    flags = {**linear.presets[""].flags, "seed": SEEDS, "samples": str(samples)} if flags is None else flags
    solver = Solver(flags, devices)
    solved_per_second(flags, devices)  # compiles
    ways = {f"{count} threads": (1, count) for count in range(1, cores() + 1)}
    if cores() > 1:
        ways[f"{cores()} processes x 1 thread"] = (cores(), 1)
    peers = {(variant, way): counts for variant in VARIANTS for way, counts in ways.items()}
    ours, whole, *theirs = race(
        solver.per_second,
        lambda _: solved_per_second(flags, devices),
        *(numpy_per_second(variant, flags, samples, *counts) for (variant, _), counts in peers.items()),
        effort=effort,
    )
    rates = dict(zip(peers, theirs, strict=True))
    for variant, (name, target, said) in VARIANTS.items():
        best = max(ways, key=lambda way: rates[variant, way])
        others = ", ".join(f"{way} {rates[variant, way]:.0f}" for way in ways if way != best)
        note = f"NumPy: {said}; {best}" + (f" ({others})" if others else "")
        yield Comparison(name, ours, rates[variant, best], "solves/s", target, note)
    best = max(ways, key=lambda way: rates["least_squares", way])
    note = "the loop of linear_grid; ours from the sweep's plan to results on disk, compiled by an earlier start"
    yield Comparison("linear_grid_whole", whole, rates["least_squares", best], "solves/s", "", note)


class Solver:
    """The engine's program for the grid: lanes filled, solved and read back until all runs are over."""

    def __init__(self, flags: Mapping[str, str], devices: Devices):
        with jax.enable_x64(True):
            settings = Settings(float_type="float64", schedule=linear.schedule)
            work = make_work(linear, parse_sweep(linear.hparams, flags).runs(), settings, devices)
            (program,) = work.plan.programs
            self.runs, layout = len(program.runs), choose(work, program).layout
            self.compiled = CompiledProgram(work.experiment, program.template, layout, work.grid, devices.mesh)
            order, per_load = np.array(dense_order(layout)), layout.total
            self.loads = []
            for start in range(0, self.runs, per_load):
                held = program.runs[start : start + per_load]
                lanes = [program.hp(held[0])] * per_load
                for lane, run in zip(order, held):
                    lanes[lane] = program.hp(run)
                fresh = np.zeros(per_load, bool)
                fresh[order[: len(held)]] = True
                self.loads.append((stack_hps(lanes), fresh))
            self.lanes = self.compiled.empty()
        self.per_second(0.0)

    def per_second(self, seconds: float) -> float:
        """Returns solves per second over whole passes through the grid."""
        start, passes = time.perf_counter(), 0
        with jax.enable_x64(True):
            while not passes or time.perf_counter() - start < seconds:
                passes += 1
                for hps, fresh in self.loads:
                    self.lanes = self.compiled.chunk(self.compiled.admit(self.lanes, hps, fresh), 1)
                    self.compiled.handed_in(self.lanes, np.flatnonzero(fresh))
        return passes * self.runs / (time.perf_counter() - start)


def solved_per_second(flags: Mapping[str, str], devices: Devices) -> float:
    """Returns the rate of the sweep through the engine: plan, programs from the cache, solves, results on disk."""
    with jax.enable_x64(True), tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        settings = Settings(float_type="float64", schedule=linear.schedule)
        sweep = parse_sweep(linear.hparams, flags)
        work = make_work(linear, sweep.runs(), settings, devices)
        config = make_config(linear, "benchmark", sweep, settings, describe(work.plan))
        with RunDirectory(Path(directory), config) as opened, Progress(0, Console(quiet=True)) as progress:
            train(work, opened, progress, Stop())
        return len(sweep) / (time.perf_counter() - start)


def numpy_per_second(
    variant: str, flags: Mapping[str, str], samples: int, processes: int, threads: int
) -> Callable[[float], float]:
    """Returns `(seconds) -> rate` of NumPy processes side by side, loading excluded."""
    sweep = parse_sweep(linear.hparams, flags)
    axes = {name: list(sweep.axes[name]) for name in ("noise", "ridge", "dimension")}
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}

    def rate(seconds: float) -> float:
        asked = json.dumps({"variant": variant, "samples": samples, "seconds": seconds, **axes})
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "launch.benchmark.numpy_ridge", asked],
                stdout=subprocess.PIPE,
                text=True,
                env=environment | {"OPENBLAS_NUM_THREADS": str(threads)},
            )
            for _ in range(processes)
        ]
        return sum(float(process.communicate()[0]) for process in started)

    return rate
