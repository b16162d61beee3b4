"""The engine against itself: widths that share a program, and a thousand runs in one sweep."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache
from rich.console import Console

from experiments.grokking import experiment as grokking
from launch.benchmark.comparison import FULL, Comparison, Effort, race
from launch.benchmark.small import experiment as parity
from launch.benchmark.trainer import Axes, Trainer, run_steps_per_second, sweep_work
from phenom_jax.device.devices import Devices
from phenom_jax.device.program import Layout
from phenom_jax.experiment import Experiment
from phenom_jax.store.config import make_config
from phenom_jax.store.directory import RunDirectory
from phenom_jax.sweep.axes import make_sweep
from phenom_jax.sweep.plan import describe
from phenom_jax.training.loop import train
from phenom_jax.training.progress import Progress
from phenom_jax.training.stop import Stop

WIDTHS: Axes = {"width": (32, 64, 128, 256), "seed": range(4)}
COLD_STEPS = 500
MANY: Axes = {"seed": range(1024), "steps": [100_000]}
LANES = (1, 4, 16, 64, 256)  # per device, side by side
TRAINED = 6  # times as long as other measurements: a training has chunks of about a second


def mixed_widths(
    devices: Devices,
    effort: Effort = FULL,
    experiment: Experiment = grokking,
    axes: Axes = WIDTHS,
    cold_steps: int = COLD_STEPS,
) -> Iterator[Comparison]:
    """Yields run-steps per second of four widths in one sweep against a program for each width."""
    apart = [axes | {"width": [width]} for width in axes["width"]]

    def trainers(sweeps: Sequence[Axes]) -> list[Trainer]:
        works = [sweep_work(experiment, axes, devices) for axes in sweeps]
        return [Trainer(work, program) for work in works for program in work.plan.programs]

    ours, theirs = trainers([axes]), trainers(apart)
    mixed, alone = race(
        lambda seconds: run_steps_per_second(ours, seconds),
        lambda seconds: run_steps_per_second(theirs, seconds),
        effort=effort,
    )
    note = f"a program per width; ours: {len(ours)} programs; compile excluded"
    yield Comparison("mixed_widths", mixed, alone, "run-steps/s", ">= 0.77", note)

    cold, alone = race(
        lambda _: cold_run_steps_per_second(experiment, [axes | {"steps": [cold_steps]}], devices),
        lambda _: cold_run_steps_per_second(experiment, [axes | {"steps": [cold_steps]} for axes in apart], devices),
        effort=effort._replace(rounds=1),
    )
    note = f"a program per width; {cold_steps} steps from nothing, probes and compilation included"
    yield Comparison("mixed_widths_compiled", cold, alone, "run-steps/s", "> 1", note)


def many_runs(
    devices: Devices, effort: Effort = FULL, axes: Axes = MANY, per_device: Sequence[int] = LANES
) -> Iterator[Comparison]:
    """Yields run-steps per second of a sweep of many runs, as trained, against the best of several lane counts."""
    work = sweep_work(parity, axes, devices)
    scanned = {}
    for lanes in per_device:
        trainer = Trainer(work, work.plan.programs[0], Layout(devices.count, 1, lanes))
        scanned[trainer] = trainer.run_steps_per_second(effort.seconds / 2)
    best = max(scanned, key=scanned.__getitem__)
    del scanned
    trained, fastest = race(
        lambda seconds: trained_run_steps_per_second(parity, axes, devices, TRAINED * seconds),
        best.run_steps_per_second,
        effort=effort._replace(rounds=min(2, effort.rounds)),
    )
    tried = ", ".join(str(devices.count * lanes) for lanes in per_device)
    note = f"{best.compiled.layout.total} lanes that never stop, the best of {tried}"
    yield Comparison("many_runs", trained, fastest, "run-steps/s", ">= 0.95", note)


def cold_run_steps_per_second(experiment: Experiment, sweeps: Sequence[Axes], devices: Devices) -> float:
    """Returns the rate of sweeps trained one after the other, nothing compiled or probed before."""
    kept = jax.config.values["jax_compilation_cache_dir"]
    with tempfile.TemporaryDirectory() as fresh:
        _compile_into(fresh)
        start, steps = time.perf_counter(), 0
        for axes in sweeps:
            steps += _train(experiment, axes, devices, Progress(0, Console(quiet=True)), Stop())
        seconds = time.perf_counter() - start
        _compile_into(kept)
    return steps / seconds


def trained_run_steps_per_second(experiment: Experiment, axes: Axes, devices: Devices, seconds: float) -> float:
    """Returns the rate of a whole training, host work at chunk ends included, from its first chunk's end on."""
    stop = Stop()
    pace = _Pace(stop, seconds)
    _train(experiment, axes, devices, pace, stop)
    (start, before), (end, after) = pace.marks[0], pace.marks[-1]
    return (after - before) / (end - start)


class _Pace(Progress):
    """Progress that prints nothing and asks for a stop so many seconds after the first chunk."""

    def __init__(self, stop: Stop, seconds: float):
        super().__init__(0, Console(quiet=True))
        self.stop, self.seconds = stop, seconds
        self.marks: list[tuple[float, int]] = []

    def update(self, finished, live, waiting, diverged, steps_done: int, left, program=(1, 1)) -> None:
        self.marks.append((self.clock(), steps_done))
        if self.clock() - self.marks[0][0] > self.seconds:
            self.stop.request("the end of the measurement")


def _train(experiment: Experiment, axes: Axes, devices: Devices, progress: Progress, stop: Stop) -> int:
    """Trains a sweep in a directory of its own and returns the run-steps."""
    sweep, work = make_sweep(experiment.hparams, axes), sweep_work(experiment, axes, devices)
    with tempfile.TemporaryDirectory() as directory:
        config = make_config(experiment, "benchmark", sweep, work.settings, describe(work.plan))
        with RunDirectory(Path(directory), config) as opened, progress:
            return train(work, opened, progress, stop).trained_steps


def _compile_into(directory: str | None) -> None:
    """Makes `directory` the one where compiled programs and probed layouts are kept, and forgets those in memory."""
    jax.config.update("jax_compilation_cache_dir", directory)
    compilation_cache.reset_cache()
    jax.clear_caches()
