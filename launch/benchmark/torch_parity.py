"""The sparse-parity perceptron in PyTorch: one run after the other, and as an ensemble under `torch.func.vmap`."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from launch.benchmark.comparison import repeat
from launch.benchmark.torch_perceptron import linear

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
VERSION = torch.__version__
Layers = Sequence[tuple[np.ndarray, np.ndarray]]


def draw(shape: tuple[int, ...], degree: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns random ±1 inputs [..., inputs], one random word per example, and the product of the first `degree`."""
    words = torch.randint(0, 2 ** shape[-1], (*shape[:-1], 1), dtype=torch.int32, device=DEVICE)
    bits = (words >> torch.arange(shape[-1], dtype=torch.int32, device=DEVICE)) & 1
    inputs = bits.float().mul_(2).sub_(1)
    return inputs, inputs[..., :degree].prod(-1)


def hinge(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (1 - labels * outputs[..., 0]).clamp(min=0).mean()


class Loop:
    """One run: `torch.optim.SGD` on a batch at a time.

    Args:
      layers: weights [out, in] and biases [out].
    """

    def __init__(self, layers: Layers, learning_rate: float, batch: int, degree: int):
        first, second = (linear(*layer) for layer in layers)
        self.model = nn.Sequential(first, nn.ReLU(), second).to(DEVICE)
        self.descent = torch.optim.SGD(self.model.parameters(), learning_rate)
        self.shape, self.degree = (batch, layers[0][0].shape[1]), degree

    def step(self, inputs_BxI: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Trains one step and returns the loss before it."""
        self.descent.zero_grad()
        loss = hinge(self.model(inputs_BxI), labels_B)
        loss.backward()
        self.descent.step()
        return loss.detach()

    def run_steps_per_second(self, seconds: float, threads: int) -> float:
        torch.set_num_threads(threads)
        train = lambda: self.step(*draw(self.shape, self.degree))  # noqa: E731
        return repeat(train, lambda: train().item(), seconds)


class Ensemble:
    """Many runs in one program: gradients of a functional call, vmapped over stacked weights.

    Args:
      layers: weights [out, in] and biases [out] of one run.
      runs: how many, all starting alike and each with data of its own.
    """

    def __init__(self, layers: Layers, learning_rate: float, batch: int, degree: int, runs: int):
        first, second = (linear(*layer) for layer in layers)
        model = nn.Sequential(first, nn.ReLU(), second).to(DEVICE)
        self.weights = {
            name: value.detach().repeat(runs, *[1] * value.ndim) for name, value in model.named_parameters()
        }

        def loss(weights: dict[str, torch.Tensor], inputs_BxI: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
            return hinge(functional_call(model, weights, (inputs_BxI,)), labels_B)

        self.gradients = vmap(grad_and_value(loss))
        self.learning_rate = learning_rate
        self.runs, self.shape, self.degree = runs, (runs, batch, layers[0][0].shape[1]), degree

    def step(self, inputs_RxBxI: torch.Tensor, labels_RxB: torch.Tensor) -> torch.Tensor:
        """Trains every run one step and returns the losses [R] before it."""
        gradients, loss_R = self.gradients(self.weights, inputs_RxBxI, labels_RxB)
        for name, weight in self.weights.items():
            weight.add_(gradients[name], alpha=-self.learning_rate)
        return loss_R

    def run_steps_per_second(self, seconds: float, threads: int) -> float:
        torch.set_num_threads(threads)
        train = lambda: self.step(*draw(self.shape, self.degree))  # noqa: E731
        return self.runs * repeat(train, lambda: train()[0].item(), seconds)
