"""Sparse parity: our engine against PyTorch, as a loop over runs and as vmapped ensembles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from launch.benchmark.comparison import FULL, Comparison, Effort, cores, race
from launch.benchmark.parity import experiment
from launch.benchmark.trainer import Axes, Trainer, sweep_work
from phenom_jax.engine.devices import Devices
from phenom_jax.hparams import build
from phenom_jax.sweep.axes import Run

AXES: Axes = {"seed": range(1024)}
ENSEMBLES = (64, 128, 256, 512, 1024, 2048)


def parity_mlp(devices: Devices, effort: Effort = FULL, axes: Axes = AXES) -> Iterator[Comparison]:
    """Yields run-steps per second against a PyTorch loop, one run after the other, with one thread or all."""
    from launch.benchmark import torch_parity as peer

    trainer, run = _ours(devices, axes)
    hp = build(experiment.hparams, run.values)
    loop = peer.Loop(layers_of(run), hp.learning_rate, hp.batch, hp.degree)
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
    hp = build(experiment.hparams, run.values)
    scanned = {}
    for runs in ensembles:
        ensemble = peer.Ensemble(layers_of(run), hp.learning_rate, hp.batch, hp.degree, runs)
        for threads in _threads():
            scanned[runs, threads] = ensemble.run_steps_per_second(effort.seconds / 2, threads)
    runs, threads = max(scanned, key=scanned.__getitem__)
    best = peer.Ensemble(layers_of(run), hp.learning_rate, hp.batch, hp.degree, runs)
    ours, theirs = race(
        trainer.run_steps_per_second, lambda seconds: best.run_steps_per_second(seconds, threads), effort=effort
    )
    note = f"PyTorch {peer.VERSION}, torch.func.vmap over {runs} runs, {threads} thread{'s' * (threads > 1)}"
    yield Comparison("parity_vmap", ours, theirs, "run-steps/s", ">= 4", note)


def layers_of(run: Run) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the run's initial weights [out, in] and biases [out], layer by layer."""
    hp = jax.tree.map(jnp.asarray, build(experiment.hparams, run.values))
    hidden, hidden_bias, readout, readout_bias = map(np.array, jax.jit(experiment.init)(hp).weights)
    return [(hidden.T, hidden_bias), (readout.T, readout_bias)]


def _ours(devices: Devices, axes: Axes) -> tuple[Trainer, Run]:
    work = sweep_work(experiment, axes, devices)
    bucket = work.plan.buckets[0]
    return Trainer(work, bucket), bucket.runs[0]


def _threads() -> set[int]:
    return {1, cores()}
