"""Sparse parity, a model so small that overhead decides: against PyTorch, as a loop over runs and vmapped ensembles.

A perceptron 30-100-1 on fresh batches of 32, hinge loss, SGD: the defaults of `experiments.sparse_parity`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments.sparse_parity import experiment as sparse_parity
from experiments.sparse_parity.science import SparseParity, make_model
from launch.benchmark.comparison import FULL, Comparison, Effort, cores, race
from launch.benchmark.trainer import Axes, Trainer, sweep_work
from phenom_jax.device.devices import Devices
from phenom_jax.experiment import Schedule
from phenom_jax.hparams import build
from phenom_jax.sweep.axes import Run

# runs that never end and are hardly looked at: what is compared are steps
experiment = dataclasses.replace(
    sparse_parity, done=None, keep=None, schedule=Schedule(resolution=100, points=20, kept_points=0)
)
AXES: Axes = {"seed": range(1024)}
ENSEMBLES = (64, 128, 256, 512, 1024, 2048)


def parity_mlp(devices: Devices, effort: Effort = FULL, axes: Axes = AXES) -> Iterator[Comparison]:
    """Yields run-steps per second against a PyTorch loop, one run after the other, with one thread or all."""
    from launch.benchmark import torch_parity as peer

    trainer, run = _ours(devices, axes)
    loop = peer.Loop(layers_of(run), *peer_setting(run))
    threads = max(_threads(), key=lambda count: loop.run_steps_per_second(effort.seconds / 2, count))
    ours, theirs = race(
        trainer.run_steps_per_second, lambda seconds: loop.run_steps_per_second(seconds, threads), effort=effort
    )
    note = f"PyTorch {peer.VERSION}, a run at a time, {threads} thread{'s' * (threads > 1)}"
    yield Comparison("parity_mlp", ours, theirs, "run-steps/s", ">= 40", note)


def parity_vmap(
    devices: Devices, effort: Effort = FULL, axes: Axes = AXES, ensembles: Sequence[int] = ENSEMBLES
) -> Iterator[Comparison]:
    """Yields run-steps per second against `torch.func.vmap` ensembles of the best size and thread count."""
    from launch.benchmark import torch_parity as peer

    trainer, run = _ours(devices, axes)
    scanned = {}
    for runs in ensembles:
        ensemble = peer.Ensemble(layers_of(run), *peer_setting(run), runs)
        for threads in _threads():
            scanned[runs, threads] = ensemble.run_steps_per_second(effort.seconds / 2, threads)
    runs, threads = max(scanned, key=scanned.__getitem__)
    best = peer.Ensemble(layers_of(run), *peer_setting(run), runs)
    ours, theirs = race(
        trainer.run_steps_per_second, lambda seconds: best.run_steps_per_second(seconds, threads), effort=effort
    )
    note = f"PyTorch {peer.VERSION}, torch.func.vmap over {runs} runs, {threads} thread{'s' * (threads > 1)}"
    yield Comparison("parity_vmap", ours, theirs, "run-steps/s", ">= 4", note)


def layers_of(run: Run) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the run's initial weights [out, in] and biases [out], layer by layer."""
    model = jax.jit(make_model)(jax.tree.map(jnp.asarray, build(SparseParity, run.values)))
    hidden_IxW, hidden_bias_W, readout_Wx1, readout_bias = map(
        np.array, (model.hidden_IxW, model.hidden_bias_W, model.readout_Wx1, model.readout_bias)
    )
    return [(hidden_IxW.T, hidden_bias_W), (readout_Wx1.T, readout_bias[None])]


def peer_setting(run: Run) -> tuple[float, int, int]:
    """Returns the run's learning rate, batch size and degree."""
    hp = build(SparseParity, run.values)
    return hp.learning_rate, int(hp.batch_size.active), int(hp.degree.active)


def _ours(devices: Devices, axes: Axes) -> tuple[Trainer, Run]:
    work = sweep_work(experiment, axes, devices)
    program = work.plan.programs[0]
    return Trainer(work, program), program.runs[0]


def _threads() -> set[int]:
    return {1, cores()}
