"""Gradient flow of deep linear networks from small weights: when each mode of the teacher is learnt, and how aligned.

On whitened inputs with loss Σ_c (f_c - y_c)²/2, averaged over examples, each singular mode of the teacher is learnt by
itself. In L balanced layers (W_l W_lᵀ = W_{l+1}ᵀ W_{l+1}) one of strength s has a strength u in the product that obeys

    du/dt = L u^(2 - 2/L) (s - u),

which is Saxe et al. 2013 for L = 2. Atanasov et al. 2021 print it without the factor L, which gradient flow on every
layer has and which is kept here. Time is step x step size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import cumulative_simpson

_FINE = 20001  # points of the numeric solution


def saxe(times: ArrayLike, strength: float, start: float) -> np.ndarray:
    """Returns u(t) = s e^{2st} / (e^{2st} - 1 + s/u0), the strength of one mode in two layers (Saxe et al. 2013).

    Args:
      times: t.
      strength: s, of the mode in the teacher.
      start: u0, its strength in the network at time 0, above 0.
    """
    decay = np.exp(-2 * strength * np.asarray(times, float))
    return strength / (1 + (strength / start - 1) * decay)


def mode(times: ArrayLike, strength: float, start: float, depth: int) -> np.ndarray:
    """Returns u(t) of one mode in a balanced network of any depth L >= 2; `saxe` for L = 2.

    Args: as for `saxe`; start below strength.
    """
    if depth == 2:
        return saxe(times, strength, start)
    levels, passed = _passage(strength, start, depth)
    return np.interp(np.asarray(times, float), passed, levels)


def mode_time(level: float, strength: float, start: float, depth: int) -> float:
    """Returns the time at which a mode of a balanced network has the strength `level`, between start and strength."""
    levels, passed = _passage(strength, start, depth)
    return float(np.interp(level, levels, passed))


def half_loss_time(strength: float, start: float, depth: int) -> float:
    """Returns when half of the loss of a single mode is gone: (s - u)² is half of s²."""
    return mode_time((1 - np.sqrt(0.5)) * strength, strength, start, depth)


def plateau(scale: ArrayLike, strength: float, depth: int) -> np.ndarray:
    """Returns σ^(2-L) / (s (L - 2)), how long L >= 3 balanced layers of strength σ take to learn, to leading order.

    Args:
      scale: σ, small: the network's strength at time 0 is σ^L.
    """
    return np.asarray(scale, float) ** (2 - depth) / (strength * (depth - 2))


def most_alignment(depth: ArrayLike, inputs: ArrayLike) -> np.ndarray:
    """Returns L / √(L² + D - 1), the kernel-target alignment of L layers that have aligned on D whitened inputs.

    Of the kernel's D eigenvalues the one along the labels is then L times each other (Atanasov et al. 2021).
    """
    return np.asarray(depth) / np.sqrt(np.asarray(depth) ** 2 + np.asarray(inputs) - 1)


def _passage(strength: float, start: float, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns strengths from the start to nearly the teacher's, and when the mode has each of them.

    Integrated over z = log(u / (s - u)), in which both ends are far and dt/dz = u^(2/L - 1) / (L s) is smooth.
    """
    z = np.linspace(np.log(start / (strength - start)), 40.0, _FINE)
    levels = strength / (1 + np.exp(-z))
    passed = cumulative_simpson(levels ** (2 / depth - 1) / (depth * strength), x=z, initial=0)
    return levels, passed
