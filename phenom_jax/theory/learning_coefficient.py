"""Exact learning coefficients, to hold sampled ones against.

The learning coefficient lambda of a loss L at a minimum says how fast the posterior exp(-n beta L) narrows there
(Watanabe 2009): n beta E[L - min L] -> lambda for large n beta. The values of deep linear networks are those of Aoyagi,
the others are what a sampler should find at its own n beta, localisation and step size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

_GRID = 1500  # points of a quadrature, per weight
_FAR = 12.0  # standard deviations of the localisation that it spans


class Coefficient(NamedTuple):
    """A learning coefficient and its multiplicity m: the free energy is lambda log n - (m - 1) log log n."""

    value: float
    multiplicity: int


def deep_linear(widths: Sequence[int], rank: int) -> Coefficient:
    """Returns the coefficient of half the squared error of a deep linear network at a teacher of this rank.

    The largest volume of weights with that product decides, which balanced weights are in (Aoyagi 2024, theorem 1).

    Args:
      widths: H_0 ... H_L, inputs first.
      rank: of the teacher, at most the smallest width.
    """
    if len(widths) < 2 or not 0 <= rank <= min(widths):
        raise ValueError(
            f"rank: {rank} of widths {tuple(widths)}, allowed are two widths or more and 0 to the smallest"
        )
    excess = sorted(width - rank for width in widths)
    narrow = next(excess[:size] for size in range(2, len(excess) + 1) if _narrow(excess[:size], excess[size:]))
    layers, total = len(narrow) - 1, sum(narrow)
    whole = -(-total // layers)
    spare = total - (whole - 1) * layers
    pairs = (total**2 - sum(units**2 for units in narrow)) / 2
    value = (
        (-(rank**2) + rank * (widths[0] + widths[-1])) / 2
        + spare * (layers - spare) / (4 * layers)
        - layers * (layers - 1) / 4 * (total / layers) ** 2
        + pairs / 2
    )
    return Coefficient(value, spare * (layers - spare) + 1)


def _narrow(narrow: Sequence[int], rest: Sequence[int]) -> bool:
    """Returns whether these are the layers that decide, both ascending."""
    layers, total, beyond = len(narrow) - 1, sum(narrow), min(rest, default=math.inf)
    return narrow[-1] < beyond and layers * narrow[-1] <= total < layers * beyond


def reduced_rank(inputs: int, hidden: int, outputs: int, rank: int) -> Coefficient:
    """Returns the coefficient of reduced rank regression, two matrices (Aoyagi, Watanabe 2005)."""
    m, h, n, r = inputs, hidden, outputs, rank
    if m + h < n + r:
        return Coefficient((h * m - h * r + n * r) / 2, 1)
    if n + h < m + r:
        return Coefficient((h * n - h * r + m * r) / 2, 1)
    if m + n < h + r:
        return Coefficient(m * n / 2, 1)
    value = (-((h + r) ** 2) - m**2 - n**2 + 2 * (h + r) * m + 2 * (h + r) * n + 2 * m * n) / 8
    odd = (m + h + n + r) % 2
    return Coefficient(value + odd / 8, 1 + odd)


def half_jacobian_rank(outputs: Callable[[Any], jax.Array], weights: Any) -> float:
    """Returns half the rank of the Jacobian of the outputs on all examples: the coefficient at a regular minimum.

    Args:
      outputs: `(weights) -> float[...]`.
      weights: pytree of float arrays.
    """
    flat, unflatten = ravel_pytree(weights)
    jacobian = jax.jacobian(lambda values: outputs(unflatten(values)).reshape(-1))(flat)
    return int(np.linalg.matrix_rank(np.asarray(jacobian))) / 2


def quadratic(curvatures: np.ndarray, n_beta: float, localisation: float, step_size: float = 0.0) -> float:
    """Returns the value at a quadratic minimum, L = sum h_i w_i² / 2.

    Args:
      curvatures: h_i.
      n_beta: inverse temperature times examples.
      localisation: gamma.
      step_size: epsilon of SGLD, whose stationary distribution is wider than the posterior; 0 for the posterior.
    """
    energies = n_beta * np.asarray(curvatures) + localisation
    return float(np.sum(n_beta * np.asarray(curvatures) / (energies * (1 - step_size * energies / 4))) / 2)


def normal_crossing(powers: tuple[int, int], n_beta: float, localisation: float) -> float:
    """Returns n beta E[L] of L = w_1^(2 a) w_2^(2 b) by quadrature; for large n beta it tends to 1 / (2 max(a, b)).

    Args:
      powers: a and b.
      n_beta: inverse temperature times examples.
      localisation: gamma, above 0.
    """
    # both weights are integrated on a grid that is fine near zero, where the ridges of the posterior are
    stretched = np.linspace(0, math.asinh(1e4), _GRID)
    weights = np.sinh(stretched) * _FAR / math.sqrt(localisation) / 1e4
    measure = np.cosh(stretched)
    first, second = weights[:, None], weights[None, :]
    loss = first ** (2 * powers[0]) * second ** (2 * powers[1])
    density = np.exp(-n_beta * loss - localisation * (first**2 + second**2) / 2) * measure[:, None] * measure[None, :]
    density[0, :] /= 2
    density[:, 0] /= 2
    return float(n_beta * np.sum(loss * density) / np.sum(density))
