"""Chains around the kept weights of a deep linear network: through the launcher, and against the devinterp package."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.deep_linear import experiment as source
from experiments.llc import experiment as llc
from launch.benchmark.comparison import FULL, Comparison, Effort, cores, race
from launch.benchmark.trainer import Axes, Trainer, sweep_work
from phenom_jax.device.devices import Devices
from phenom_jax.store.source import SourceRuns

CHAINS, CHECKPOINTS, MOVES = 32, 11, 10_000
SETTING = {"step_size": 1e-5, "n_beta": 1000.0, "localisation": 1.0}


def llc_seconds(
    devices: Devices, effort: Effort = FULL, chains: int = CHAINS, moves: int = MOVES
) -> Iterator[Comparison]:
    """Yields the seconds of the whole command: training, compilation, sampling, report."""
    flags = ["--source_seeds=0", f"--seed=0:{chains}", f"--steps={moves}", "--loss=train"]
    command = ["-m", "launch.llc", "--preset=deep_linear", *flags, *(f"--{k}={v:g}" for k, v in SETTING.items())]
    with tempfile.TemporaryDirectory() as directory:
        start = time.perf_counter()
        ran = [sys.executable, *command, f"--out={directory}/run", f"--compilation_cache={directory}/cache"]
        subprocess.run(ran, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
    note = f"{' '.join(command)}: from the command to the report, nothing compiled before"
    yield Comparison("llc_seconds", seconds, None, "s", "< 60", note)


def llc_devinterp(devices: Devices, effort: Effort = FULL, chains: int = CHAINS) -> Iterator[Comparison]:
    """Yields moves per second of all chains in the engine's lanes against devinterp's optimiser, a chain on each core.

    Chains do not wait for each other, so the peer's rate is that of one chain times the cores.
    """
    from launch.benchmark import devinterp_chains as peer

    with tempfile.TemporaryDirectory() as directory:
        trained = train_source(Path(directory))
    trainer = trainer_of(trained, devices, chains)
    chain = peer.Chain(*start_of(trained), **SETTING)
    ours, one = race(trainer.run_steps_per_second, chain.moves_per_second, effort=effort)
    note = (
        f"devinterp {peer.VERSION}: SGMCMC.sgld on all examples, without its data loader, one chain and thread "
        f"({one:.0f}/s) times {cores()} cores; ours {trainer.runs} chains in lanes"
    )
    yield Comparison("llc_devinterp", ours, cores() * one, "moves/s", ">= 10", note)


def train_source(directory: Path) -> SourceRuns:
    """Returns a trained network with CHECKPOINTS kept states."""
    flags = ["--seed=0", f"--kept_points={CHECKPOINTS}", "--noreport", "--notensorboard", f"--out={directory}/run"]
    subprocess.run([sys.executable, "-m", f"launch.{source.name}", *flags], check=True, stdout=subprocess.DEVNULL)
    return SourceRuns(directory / "run")


def trainer_of(trained: SourceRuns, devices: Devices, chains: int) -> Trainer:
    """Returns chains around every kept state in the engine's lanes."""
    (anchor,) = trained.anchors([(0, 0)])
    setting: Axes = {key: [value] for key, value in SETTING.items()}
    axes = {"network": [anchor.network], "seed": range(chains), "checkpoint": range(CHECKPOINTS), **setting}
    work = sweep_work(trained.bind(llc), axes, devices)
    return Trainer(work, work.plan.programs[0])


def start_of(trained: SourceRuns) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Returns the last kept weights, first layer first, and the examples with their outputs, as PyTorch takes them."""
    start = trained.start({"source": 0, "checkpoint": -1})
    assert start.landscape is not None
    examples = start.landscape.examples(start.hp)
    weights = [np.array(weight[...]) for weight in start.kept.weights]
    return weights, np.array(examples.inputs_NxI), np.array(examples.outputs_NxO)
