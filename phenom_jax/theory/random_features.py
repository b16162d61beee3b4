"""The asymptotic risk of ridge regression on random features (Mei, Montanari 2022).

The model: x uniform on the sphere of radius √d in d dimensions, y = <β, x> + noise ε with |β| = signal, features
σ(<θ_j, x>/√d) with θ_j uniform on the same sphere, j = 1 ... N. The estimate minimises, over n samples,
|y - Φa|²/n + ridge (N/d) |a|². The excess risk is E (f(x) - <β, x>)². All of N, n, d grow in proportion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SMALLEST_RIDGE = 1e-13  # stands for ridge 0; what it leaves of the limit is about its square root


class Activation(NamedTuple):
    """What the theory knows of an activation σ at a standard Gaussian G.

    Attributes:
      mean: E σ(G).
      linear: E G σ(G), how much of a linear target one feature shows.
      rest: the standard deviation of σ(G) about mean + linear G.
    """

    mean: float
    linear: float
    rest: float


RELU = Activation(1 / np.sqrt(2 * np.pi), 0.5, np.sqrt(0.25 - 0.5 / np.pi))


def fourier(frequency: float) -> Activation:
    """Returns the numbers of σ(u) = cos(k u) + sin(k u), k the frequency."""
    damped = np.exp(-(frequency**2) / 2)
    return Activation(damped, frequency * damped, np.sqrt(1 - (1 + frequency**2) * damped**2))


def moments(activation: Callable[[np.ndarray], np.ndarray], nodes: int = 200) -> Activation:
    """Returns the numbers of any smooth activation by Gauss-Hermite quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    values = activation(points)
    mean, linear = weights @ values, weights @ (points * values)
    return Activation(mean, linear, np.sqrt(weights @ values**2 - mean**2 - linear**2))


def risk(
    features: np.ndarray | float,
    samples: np.ndarray | float,
    dimension: np.ndarray | float,
    ridge: np.ndarray | float,
    activation: Activation,
    signal: np.ndarray | float = 1.0,
    noise: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Returns the limit of the excess risk, theorem 2 of the paper; arguments broadcast.

    With ψ1 = N/d, ψ2 = n/d, ζ = linear/rest and χ = ν1 ν2 from the fixed point of definition 1, it is
    signal² B(χ) + noise² V(χ), B and V ratios of polynomials in χ, ζ and ψ. At ridge 0 the limit from above is
    taken; it is infinite at N = n, and large values next to it are those of a tiny ridge.
    """
    n1, n2, d, ridge, signal, noise = np.broadcast_arrays(
        *(np.asarray(x, float) for x in (features, samples, dimension, ridge, signal, noise))
    )
    psi1, psi2 = n1 / d, n2 / d
    zeta2 = (activation.linear / activation.rest) ** 2
    scaled = np.maximum(ridge, _SMALLEST_RIDGE) / activation.rest**2
    chi = _fixed_point(psi1, psi2, zeta2, np.sqrt(psi1 * psi2 * scaled))
    bias, variance = _bias_and_variance(chi, psi1, psi2, zeta2)
    return signal**2 * bias + noise**2 * variance


def _fixed_point(psi1: np.ndarray, psi2: np.ndarray, zeta2: float, xi: np.ndarray) -> np.ndarray:
    """Returns χ < 0 at the imaginary argument iξ.

    There ν1 = ia and ν2 = ib, and with p = ab = -χ the two equations become a ξ + g = ψ1, b ξ + g = ψ2,
    g(p) = p + ζ² p / (1 + ζ² p): one equation p ξ² = (ψ1 - g)(ψ2 - g), whose sides rise and fall for g < min(ψ).
    """
    least = np.minimum(psi1, psi2)
    linear = 1 + zeta2 - least * zeta2
    high = 2 * least / (linear + np.sqrt(linear**2 + 4 * zeta2 * least))  # where g = min(ψ)
    low = np.zeros_like(high)
    for _ in range(200):
        p = (low + high) / 2
        g = p + zeta2 * p / (1 + zeta2 * p)
        below = (psi1 - g) * (psi2 - g) > p * xi**2
        low, high = np.where(below, p, low), np.where(below, high, p)
    return -(low + high) / 2


def _bias_and_variance(
    chi: np.ndarray, psi1: np.ndarray, psi2: np.ndarray, zeta2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns E1/E0 and E2/E0 of definition 1."""
    z2, z4, z6 = zeta2, zeta2**2, zeta2**3
    both, total = psi1 * psi2, psi1 + psi2
    whole = (
        -(chi**5) * z6
        + 3 * chi**4 * z4
        + (both - total + 1) * chi**3 * z6
        - 2 * chi**3 * z4
        - 3 * chi**3 * z2
        + (total - 3 * both + 1) * chi**2 * z4
        + 2 * chi**2 * z2
        + chi**2
        + 3 * both * chi * z2
        - both
    )
    bias = psi2 * chi**3 * z4 - psi2 * chi**2 * z2 + both * chi * z2 - both
    variance = (
        chi**5 * z6
        - 3 * chi**4 * z4
        + (psi1 - 1) * chi**3 * z6
        + 2 * chi**3 * z4
        + 3 * chi**3 * z2
        - (psi1 + 1) * chi**2 * z4
        - 2 * chi**2 * z2
        - chi**2
    )
    return bias / whole, variance / whole
