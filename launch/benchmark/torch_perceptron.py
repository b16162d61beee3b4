"""The grokking perceptron as a plain PyTorch loop: full batch, AdamW, one run after the other."""
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from launch.benchmark.comparison import repeat

VERSION = torch.__version__
ON_GPU = torch.cuda.is_available()
HEAD_START = 0.3  # seconds in which every process hears that a measurement begins


class Start(NamedTuple):
    """Where a run starts: weights [out, in] and biases [out] of each layer, and its data."""

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    pairs_Nx2: np.ndarray
    labels_N: np.ndarray
    tokens: int
    learning_rate: float
    weight_decay: float
    momenta: tuple[float, float]


class OneHot(nn.Module):
    """The course's model: products with one-hot vectors."""

    def __init__(self, start: Start):
        super().__init__()
        layers = [linear(weight, bias) for weight, bias in start.layers]
        self.layers = nn.Sequential(layers[0], *(part for layer in layers[1:] for part in (nn.ReLU(), layer)))
        pairs_Nx2 = torch.as_tensor(start.pairs_Nx2, dtype=torch.int64)
        self.register_buffer("inputs", F.one_hot(pairs_Nx2, start.tokens).float().flatten(1))

    def forward(self) -> torch.Tensor:
        return self.layers(self.inputs)


class LookUp(nn.Module):
    """The same function with rows of the first matrix looked up instead of multiplied."""

    def __init__(self, start: Start):
        super().__init__()
        (first, bias), *rest = start.layers
        self.left, self.right = (nn.Parameter(torch.tensor(half)) for half in np.split(first.T, 2))
        self.bias = nn.Parameter(torch.tensor(bias))
        self.rest = nn.Sequential(*(part for layer in rest for part in (nn.ReLU(), linear(*layer))))
        pairs_2xN = torch.as_tensor(start.pairs_Nx2.T, dtype=torch.int64).contiguous()
        self.register_buffer("pairs_2xN", pairs_2xN)

    def forward(self) -> torch.Tensor:
        a_N, b_N = self.get_buffer("pairs_2xN")
        return self.rest(F.embedding(a_N, self.left) + F.embedding(b_N, self.right) + self.bias)


MODELS = {"one-hot products": OneHot, "look-up": LookUp}


def linear(weight: np.ndarray, bias: np.ndarray) -> nn.Linear:
    """Returns the layer x Wᵀ + b with these values, W of shape [out, in]."""
    layer = nn.Linear(*weight.shape[::-1])
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def make_step(start: Start, model: str) -> Callable[[], torch.Tensor]:
    """Returns a function that trains one step and returns the loss before it."""
    device = "cuda" if ON_GPU else "cpu"
    network = MODELS[model](start).to(device)
    labels_N = torch.as_tensor(start.labels_N, dtype=torch.int64, device=device)
    descent = torch.optim.AdamW(
        network.parameters(), start.learning_rate, start.momenta, weight_decay=start.weight_decay, fused=True
    )

    def step() -> torch.Tensor:
        descent.zero_grad()
        loss = F.cross_entropy(network(), labels_N)
        loss.backward()
        descent.step()
        return loss.detach()

    return step


class Loop:
    """One process with all threads."""

    def __init__(self, start: Start, model: str, threads: int):
        self.step = make_step(start, model)
        self.threads = threads
        self.name = f"{model}, 1 process x {threads} threads"
        self.run_steps_per_second(0.0)

    def run_steps_per_second(self, seconds: float) -> float:
        torch.set_num_threads(self.threads)
        return repeat(self.step, lambda: self.step().item(), seconds)


class Measured(Protocol):
    """What trains and is timed."""

    def run_steps_per_second(self, seconds: float) -> float: ...


class Processes:
    """Several processes that train side by side, their rates added up; a context manager.

    Args:
      name: what it is.
      count: processes.
      make: `(*arguments) -> Measured`, called in each of them.
      arguments: of `make`.
    """

    def __init__(self, name: str, count: int, make: Callable[..., Measured], *arguments: object):
        self.count = count
        self.name = name
        self.pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (make, *arguments))
        self.run_steps_per_second(0.0)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def run_steps_per_second(self, seconds: float) -> float:
        begin = time.time() + HEAD_START
        return sum(self.pool.map(_rate_from, [begin] * self.count, [seconds] * self.count))


_measured: Measured | None = None  # of a process of `Processes`


def _begin(make: Callable[..., Measured], *arguments: object) -> None:
    global _measured
    _measured = make(*arguments)


def _rate_from(begin: float, seconds: float) -> float:
    assert _measured is not None, os.getpid()
    time.sleep(max(0.0, begin - time.time()))
    return _measured.run_steps_per_second(seconds)


def gemm_flops_per_second(size: int, threads: int, seconds: float) -> float:
    """Returns the FLOP/s of a float32 product of two size x size matrices."""
    torch.set_num_threads(threads)
    device = "cuda" if ON_GPU else "cpu"
    one = torch.ones(size, size, device=device)
    return 2 * size**3 * repeat(lambda: one @ one, lambda: (one @ one)[0, 0].item(), seconds)
