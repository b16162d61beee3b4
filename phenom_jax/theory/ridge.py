"""What least squares and ridge regression on isotropic Gaussian inputs give on average, exact at every finite size.

The model: y = <x, β> + noise ε with x ~ N(0, I_d), |β| = signal, ε ~ N(0, 1), n samples. The estimate minimises
|y - Xw|²/n + ridge |w|²; at ridge 0 it is the one of least norm. The excess risk is E <x, w - β>² = |w - β|², the
prediction risk without its floor noise². Means are over inputs and noise. Arguments broadcast against each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from phenom_jax.theory.wishart import eigenvalues


class Expected(NamedTuple):
    """Means over training sets, float arrays; infinite where they do not exist.

    Attributes:
      excess_risk: |w - β|².
      train_error: |y - Xw|²/n.
      squared_norm: |w|².
    """

    excess_risk: np.ndarray
    train_error: np.ndarray
    squared_norm: np.ndarray


def ridge_regression(
    samples: ArrayLike,
    dimension: ArrayLike,
    ridge: ArrayLike = 0.0,
    signal: ArrayLike = 1.0,
    noise: ArrayLike = 0.0,
) -> Expected:
    """Returns the exact means at any ridge >= 0, for every n and d.

    With r = signal, s = noise, μ = n ridge and x the min(n, d) eigenvalues of a Wishart matrix, the excess risk is
    r² (1 - n/d)₊ + E Σ [ (r²/d) μ² + s² x ] / (x + μ)², the bias of the directions that no sample shows, and the bias
    and variance of the others. Train error and norm are such sums too. At ridge 0 they have closed forms
    (`ridgeless_regression`), and their means are infinite within one of d = n where there is noise.
    """
    shape = np.broadcast_shapes(*(np.shape(x) for x in (samples, dimension, ridge, signal, noise)))
    arguments = [np.broadcast_to(x, shape).ravel() for x in (samples, dimension, ridge, signal, noise)]
    found = [
        _sums(int(n), int(d), ridge, signal, noise) if ridge > 0 else ridgeless_regression(n, d, signal, noise)
        for n, d, ridge, signal, noise in zip(*arguments)
    ]
    return Expected(*(np.array(values, float).reshape(shape) for values in zip(*found)))


def ridgeless_regression(
    samples: ArrayLike, dimension: ArrayLike, signal: ArrayLike = 1.0, noise: ArrayLike = 0.0
) -> Expected:
    """Returns the exact means of the least squares solution of least norm.

    Excess risk: s² d/(n - d - 1) for d < n - 1, r² (1 - n/d) + s² n/(d - n - 1) for d > n + 1 (Breiman, Freedman 1983;
    Hastie et al. 2022, by the mean of the inverse Wishart). In between it is infinite where there is noise; without
    noise it is r² (1 - n/d)₊ at every d. A single training set's risk has a finite variance only for |d - n| > 3.
    """
    n, d, signal, noise = np.broadcast_arrays(*(np.asarray(x, float) for x in (samples, dimension, signal, noise)))
    seen = np.minimum(n / np.maximum(d, 1), 1)
    gap = np.abs(d - n) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(noise > 0, noise**2 * np.where(gap > 0, np.minimum(n, d) / gap, np.inf), 0)
    return Expected(
        excess_risk=signal**2 * (1 - seen) + spread,
        train_error=noise**2 * np.maximum(1 - d / n, 0),
        squared_norm=signal**2 * seen + spread,
    )


def weak_features(
    samples: ArrayLike,
    features: ArrayLike,
    coordinates: ArrayLike,
    ridge: ArrayLike = 0.0,
    signal: ArrayLike = 1.0,
    noise: ArrayLike = 0.0,
) -> Expected:
    """Returns the exact means where `features` random ones of all `coordinates` are regressed on.

    What the p of D coordinates leave unseen acts as noise of variance r² (1 - p/D). At ridge 0 this is theorem 1 and
    corollary 1 of Belkin, Hsu, Xu 2020 less s²: (1 - p/D + s²)(1 + p/(n-p-1)) for p <= n-2 and
    (p/D)(1 - n/p) + (1 - p/D + s²)(1 + n/(p-n-1)) for p >= n+2 at r = 1. Squared, what is seen is r² p/D on average.
    """
    p, D, signal, noise = (np.asarray(x, float) for x in (features, coordinates, signal, noise))
    unseen = signal**2 * (1 - p / D)
    seen = ridge_regression(samples, features, ridge, signal * np.sqrt(p / D), np.sqrt(noise**2 + unseen))
    return seen._replace(excess_risk=seen.excess_risk + unseen)


def _sums(n: int, d: int, ridge: float, signal: float, noise: float) -> tuple[float, float, float]:
    least, most = min(n, d), max(n, d)
    x, weights = eigenvalues(least, most)
    penalty, per_direction, variance = n * ridge, signal**2 / d, noise**2
    shrunk = weights / (x + penalty) ** 2
    risk = float(shrunk @ (per_direction * penalty**2 + variance * x))
    unfitted = float(shrunk @ (penalty**2 * (per_direction * x + variance)))
    norm = float(shrunk @ (x * (per_direction * x + variance)))
    return risk + per_direction * (d - least), (unfitted + variance * (n - least)) / n, norm
