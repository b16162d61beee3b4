"""The networks of the double-descent sweep as a plain PyTorch loop: run after run, SGD on shuffled batches."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from launch.benchmark.comparison import repeat
from launch.benchmark.torch_perceptron import Processes, linear

__all__ = ["VERSION", "Loop", "Processes", "Start", "make_step"]

VERSION = torch.__version__
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Start(NamedTuple):
    """Where a run starts: weights [out, in] and biases [out] of each layer, and its train set."""

    layers: Sequence[tuple[np.ndarray, np.ndarray]]
    x_NxF: np.ndarray
    labels_N: np.ndarray
    learning_rate: float
    momentum: float
    batch: int


def make_step(start: Start) -> Callable[[np.ndarray | None], torch.Tensor]:
    """Returns a function that trains one step, on the epoch's next batch or on given rows, and returns the loss."""
    parts = [linear(*layer) for layer in start.layers]
    model = nn.Sequential(parts[0], *(part for layer in parts[1:] for part in (nn.ReLU(), layer))).to(DEVICE)
    x_NxF = torch.tensor(start.x_NxF, device=DEVICE)
    labels_N = torch.tensor(start.labels_N, dtype=torch.int64, device=DEVICE)
    descent = torch.optim.SGD(model.parameters(), start.learning_rate, start.momentum, fused=True)
    waiting: list[torch.Tensor] = []

    def step(rows: np.ndarray | None = None) -> torch.Tensor:
        if rows is None and not waiting:
            waiting.extend(torch.randperm(len(x_NxF), device=DEVICE).split(start.batch))
        rows_B = waiting.pop() if rows is None else torch.tensor(rows, dtype=torch.int64, device=DEVICE)
        descent.zero_grad()
        loss = F.cross_entropy(model(x_NxF[rows_B]), labels_N[rows_B])
        loss.backward()
        descent.step()
        return loss.detach()

    return step


class Loop:
    """The runs one after the other, all for as many steps: each is trained for a share of the time to know its pace.

    Args:
      starts: one run of each kind in the sweep.
      threads: of PyTorch.
    """

    def __init__(self, starts: Sequence[Start], threads: int):
        self.steps = [make_step(start) for start in starts]
        self.threads = threads
        self.name = f"1 process x {threads} thread{'s' if threads > 1 else ''}"
        for step in self.steps:
            step(None)

    def run_steps_per_second(self, seconds: float) -> float:
        torch.set_num_threads(self.threads)
        each = max(seconds / len(self.steps), 1e-3)  # one step at least
        paces = [1 / repeat(lambda step=step: step(None), lambda: None, each) for step in self.steps]
        return len(paces) / sum(paces)
