"""The course's grokking perceptron: our engine against PyTorch and against the machine's matrix products."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.grokking import experiment
from launch.benchmark.comparison import FULL, Comparison, Effort, cores, race, repeat
from launch.benchmark.trainer import Axes, Trainer, sweep_work
from phenom_jax.device.devices import Devices
from phenom_jax.hparams import build
from phenom_jax.sweep.axes import Run

if TYPE_CHECKING:
    from launch.benchmark import torch_perceptron

COURSE: Axes = {
    "modulus": [97],
    "hidden_layers": [2],
    "biases": [True],
    "learning_rate": [1e-3],
    "second_momentum": [0.999],
    "steps": [20_000],
    "seed": range(16),
}
GEMM_SIZE = 2048


class Products(NamedTuple):
    """FLOPs of the matrix products of one step, forward and backward."""

    one_hot: float  # the first layer multiplies one-hot inputs
    executed: float  # the first layer looks rows up


def grokking_mlp(
    devices: Devices, effort: Effort = FULL, axes: Axes = COURSE, gemm_size: int = GEMM_SIZE
) -> Iterator[Comparison]:
    """Yields run-steps per second against PyTorch, and FLOP/s against those of one large product."""
    from launch.benchmark import torch_perceptron as peer

    work = sweep_work(experiment, axes, devices)
    program = work.plan.programs[0]
    trainer = Trainer(work, program)
    with contextlib.ExitStack() as stack:
        variants = list(torch_variants(start_of(program.runs[0]), cores(), stack))
        fastest = max(variants, key=lambda variant: variant.run_steps_per_second(effort.seconds))
        ours, theirs = race(trainer.run_steps_per_second, fastest.run_steps_per_second, effort=effort)
    yield Comparison("grokking_mlp", ours, theirs, "run-steps/s", ">= 1.6", f"PyTorch {peer.VERSION}, {fastest.name}")

    products = products_of(program.runs[0])
    ours, jax_rate, torch_rate = race(
        trainer.run_steps_per_second,
        lambda seconds: gemm_flops_per_second(gemm_size, seconds),
        lambda seconds: peer.gemm_flops_per_second(gemm_size, cores(), seconds),
        effort=effort,
    )
    best = max(jax_rate, torch_rate)
    for name, flops, meaning in (
        ("gemm_executed", products.executed, "products as executed, the first layer looked up"),
        ("gemm_one_hot", products.one_hot, "products as if the first layer multiplied one-hot inputs"),
    ):
        note = f"{meaning}; peer: {gemm_size}^3, JAX {jax_rate / 1e9:.0f}, torch {torch_rate / 1e9:.0f}"
        yield Comparison(name, ours * flops / 1e9, best / 1e9, "GFLOP/s", ">= 0.6", note)


def torch_variants(
    start: torch_perceptron.Start, cores: int, stack: contextlib.ExitStack
) -> Iterator[torch_perceptron.Loop | torch_perceptron.Processes]:
    """Yields the ways in which PyTorch can train this run; processes end with the stack."""
    from launch.benchmark import torch_perceptron as peer

    for model in peer.MODELS:
        yield peer.Loop(start, model, cores)
        if not peer.ON_GPU:
            name = f"{model}, {cores} processes x 1 thread"
            yield stack.enter_context(peer.Processes(name, cores, peer.Loop, start, model, 1))


def start_of(run: Run) -> torch_perceptron.Start:
    """Returns the run's initial weights and data as PyTorch takes them."""
    from launch.benchmark import torch_perceptron as peer

    hp = build(experiment.hparams, run.values)
    model, _, data = jax.jit(experiment.init)(jax.tree.map(jnp.asarray, hp))
    return peer.Start(
        layers=[(np.array(layer.weight[...]), np.array(layer.bias[...])) for layer in model.layers],
        pairs_Nx2=np.array(data.train_Nx2),
        labels_N=np.array(data.train_labels_N),
        tokens=hp.modulus,
        learning_rate=hp.learning_rate,
        weight_decay=hp.weight_decay,
        momenta=(hp.momentum, hp.second_momentum),
    )


def products_of(run: Run) -> Products:
    """Returns 2 N (3 sum of layer sizes), less what needs no product: the first layer's input has no gradient."""
    hp = build(experiment.hparams, run.values)
    examples, width, tokens = hp.train_fraction.padded, hp.width.padded, hp.modulus
    rest = (hp.hidden_layers - 1) * width * width + width * tokens
    return Products(2.0 * examples * (2 * 2 * tokens * width + 3 * rest), 2.0 * examples * 3 * rest)


def gemm_flops_per_second(size: int, seconds: float) -> float:
    """Returns the FLOP/s of float32 products of two size x size matrices, one product at a time on every device."""
    product = jax.jit(jnp.matmul)
    ones = [jax.device_put(np.ones((size, size), np.float32), device) for device in jax.devices()]
    multiply = lambda: jax.block_until_ready([product(one, one) for one in ones])  # noqa: E731
    multiply()
    return 2.0 * size**3 * len(ones) * repeat(multiply, lambda: None, seconds)
