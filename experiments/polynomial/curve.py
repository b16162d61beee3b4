"""The inputs at which fits are compared, and what their predictions say of bias and variance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.polynomial.legendre import legvander
from numpy.polynomial.polynomial import polyvander
from scipy.special import roots_legendre

# quadrature over U(-1, 1), exact for squares of polynomials of degree 255; beyond the accuracy is that of the nodes
INPUTS, NODES = (np.asarray(values) for values in roots_legendre(256)[:2])
NODES = NODES / NODES.sum()
CURVES = {"sine": lambda x: np.sin(np.pi * x), "wiggle": lambda x: 2 * x + np.cos(25 * x)}


class Decomposition(NamedTuple):
    """Of the mean excess risk over datasets: bias² + variance is the mean excess risk exactly."""

    bias2: float
    variance: float

    @property
    def total(self) -> float:
        return self.bias2 + self.variance


def decompose(predictions_SxQ: np.ndarray, curve: str) -> Decomposition:
    """Returns bias² and variance of the fits to S datasets, averaged over the inputs.

    The variance is that about the mean of these S fits, divided by S - 1, and bias² has what this mean is off by taken
    out again, variance / S: both are unbiased. So bias² may come out below 0 where the variance is large.
    """
    count = len(predictions_SxQ)
    off_Q = predictions_SxQ.mean(0) - CURVES[curve](INPUTS)
    variance = float(NODES @ predictions_SxQ.var(0, ddof=1))
    return Decomposition(float(NODES @ off_Q**2) - variance / count, variance)


def exact(runs: xr.Dataset, functions: int) -> Decomposition:
    """Returns bias² and variance of a fit by so many functions, exact for inputs on the grid.

    The fit is linear in the labels: f(x) = φ(x)' M y with M = V diag(s / (s² + ridge)) U' of the design's singular
    values. So the bias is that of the fit to noiseless labels and the variance is noise² |φ(x)' M|².

    Args:
      runs: that agree in all but the number of functions and the seed.
    """
    count, ridge, noise = (runs[name].values[0] for name in ("samples", "ridge", "noise"))
    x_N = (2 * np.arange(count) + 1) / count - 1
    left, values, right = np.linalg.svd(_design(x_N, runs, functions), full_matrices=False)
    kept = values > np.finfo(float).eps * max(count, functions) * values[0]
    gains = np.where(kept, values / np.where(kept, values**2 + ridge, 1), 0)
    effect_QxN = _design(INPUTS, runs, functions) @ (right.T * gains) @ left.T
    curve = CURVES[str(runs["curve"].values[0])]
    return Decomposition(
        float(NODES @ (effect_QxN @ curve(x_N) - curve(INPUTS)) ** 2), float(noise**2 * NODES @ (effect_QxN**2).sum(1))
    )


def predictions(runs: xr.Dataset) -> np.ndarray:
    """Returns float[S, Q], the predictions of the runs at INPUTS."""
    return runs["predictions"].values[:, 0]


def _design(x: np.ndarray, runs: xr.Dataset, functions: int) -> np.ndarray:
    lowest, basis = int(runs["lowest_degree"].values[0]), str(runs["basis"].values[0])
    vander = legvander if basis == "legendre" else polyvander
    return vander(x, lowest + functions - 1)[:, lowest:]
