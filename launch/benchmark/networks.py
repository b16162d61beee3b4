"""The quick sweep of deep double descent, 20 widths x 3 seeds x 2 label noises: our engine against a PyTorch loop."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from experiments.deep_double_descent import experiment
from experiments.deep_double_descent.science import load
from launch.benchmark.comparison import FULL, Comparison, Effort, cores, race
from launch.benchmark.trainer import Axes, Trainer, run_steps_per_second, sweep_work
from phenom_jax.device.devices import Devices
from phenom_jax.sweep.axes import Run, parse_sweep
from phenom_jax.sweep.plan import Program

if TYPE_CHECKING:
    from launch.benchmark import torch_networks

LONGER = 4  # times as long as other measurements: a sample of every width is trained in one of them


def network_sweep(devices: Devices, effort: Effort = FULL, axes: Axes | None = None) -> Iterator[Comparison]:
    """Yields run-steps per second of the whole sweep against the fastest of PyTorch's loops over its runs.

    A loop is timed on one run of each width and its pace extrapolated to the sweep, whose runs have equally many steps.
    """
    from launch.benchmark import torch_networks as peer

    work = sweep_work(experiment, quick() if axes is None else axes, devices)
    chosen = {run.values["width"]: (program, run) for program in work.plan.programs for run in program.runs}
    starts = [start_of(program, run) for program, run in chosen.values()]
    trainers = [Trainer(work, program) for program in work.plan.programs]
    with contextlib.ExitStack() as stack:
        loops = list(torch_loops(starts, stack))
        fastest = max(loops, key=lambda loop: loop.run_steps_per_second(effort.seconds))
        ours, theirs = race(
            lambda seconds: run_steps_per_second(trainers, LONGER * seconds),
            lambda seconds: fastest.run_steps_per_second(LONGER * seconds),
            effort=effort,
        )
    note = f"PyTorch {peer.VERSION}, a loop over runs timed on one of each of {len(starts)} widths, {fastest.name}"
    yield Comparison("network_sweep", ours, theirs, "run-steps/s", ">= 5", note)


def quick() -> Axes:
    """Returns the axes of the quick preset."""
    runs = parse_sweep(experiment.hparams, dict(experiment.presets[""].flags), []).runs()
    return {name: list(dict.fromkeys(run.values[name] for run in runs)) for name in runs[0].values}


def torch_loops(
    starts: Sequence[torch_networks.Start], stack: contextlib.ExitStack
) -> Iterator[torch_networks.Loop | torch_networks.Processes]:
    """Yields the ways in which PyTorch can train these runs; processes end with the stack."""
    from launch.benchmark import torch_networks as peer

    yield peer.Loop(starts, 1)
    if peer.DEVICE == "cpu" and cores() > 1:
        yield peer.Loop(starts, cores())
        yield stack.enter_context(
            peer.Processes(f"{cores()} processes x 1 thread", cores(), peer.Loop, starts, 1),
        )


def start_of(program: Program, run: Run) -> torch_networks.Start:
    """Returns the run's initial weights and train set as PyTorch takes them, without padding."""
    from launch.benchmark import torch_networks as peer

    hp = program.hp(run)
    data, width, count = load(hp), int(hp.width.active), int(hp.samples.active)
    state = _init(jax.tree.map(jnp.asarray, hp))
    sizes = [len(data.centre_F), *[width] * hp.hidden_layers, data.classes]
    layers = [
        (np.array(layer.weight[:units, :fan_in]), np.array(layer.bias[:units]))
        for layer, (fan_in, units) in zip(state.model.layers, itertools.pairwise(sizes), strict=True)
    ]
    rows_N = np.asarray(state.rows_N)[:count]
    return peer.Start(
        layers=layers,
        x_NxF=np.asarray(data.examples(jnp.asarray(data.train_NxF[rows_N]))),
        labels_N=np.asarray(state.labels_N)[:count],
        learning_rate=hp.learning_rate,
        momentum=hp.momentum,
        batch=int(hp.batch_size.active),
    )


_init = jax.jit(experiment.init)  # compiled once for the runs of a program
