"""Langevin chains around a deep linear network with the optimiser of the devinterp package, one after the other."""
# pyright: reportMissingImports=false

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

import numpy as np
import torch
from devinterp.optim.sgmcmc import SGMCMC
from torch import nn

from launch.benchmark.comparison import repeat

VERSION = importlib.metadata.version("devinterp")


class Chain:
    """One chain on all examples, half the squared error as its loss.

    Args:
      weights: [units, fan_in] of each layer, first layer first.
      inputs_NxI: examples.
      outputs_NxO: their outputs.
    """

    def __init__(
        self,
        weights: Sequence[np.ndarray],
        inputs_NxI: np.ndarray,
        outputs_NxO: np.ndarray,
        step_size: float,
        n_beta: float,
        localisation: float,
    ):
        torch.set_num_threads(1)  # more only slow these products down
        layers = [nn.Linear(weight.shape[1], weight.shape[0], bias=False) for weight in weights]
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight.data = torch.tensor(weight)
        self.model = nn.Sequential(*layers)
        self.inputs, self.outputs = torch.tensor(inputs_NxI), torch.tensor(outputs_NxO)
        self.sampler = SGMCMC.sgld(self.model.parameters(), lr=step_size, nbeta=n_beta, localization=localisation)

    def move(self) -> torch.Tensor:
        """Makes one move and returns the loss before it."""
        self.sampler.zero_grad()
        loss = (self.model(self.inputs) - self.outputs).square().sum(1).mean() / 2
        loss.backward()
        self.sampler.step()
        return loss.detach()

    def moves_per_second(self, seconds: float) -> float:
        return repeat(self.move, lambda: self.move().item(), seconds)
