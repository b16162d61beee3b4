"""Epoch-wise double descent in closed form: gradient descent on a linear model whose features have scales.

The model (Heckel, Yilmaz 2021, linear regression): y = Σ_j x_j θ_j + noise z, feature j of variance g_j². Gradient
descent from zero on |y - Xθ|²/2n with a step size η_j for each feature. Features of one scale share g, η and the
signal: m of them, each with θ_j = θ/√m, add up to one term. The closed form is the mean over z for inputs whose n
samples are exactly uncorrelated, X'X/n = diag(g²); for random ones it is off by about the share d/n of features.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

_FLAT = 1e-9  # relative differences below it are rounding


class Contributions(NamedTuple):
    """What each scale adds to the excess risk after each step, float[steps, scales]."""

    bias: np.ndarray  # squared: of the signal, what is not learnt yet
    variance: np.ndarray  # of the noise, what is learnt already

    @property
    def of_scale(self) -> np.ndarray:
        return self.bias + self.variance

    @property
    def total(self) -> np.ndarray:
        """The excess risk, float[steps]."""
        return self.of_scale.sum(1)


def excess_risk(
    steps: ArrayLike,
    scales: ArrayLike,
    signal: ArrayLike,
    samples: float,
    noise: float,
    step_sizes: ArrayLike,
    features: float = 1,
) -> Contributions:
    """Returns the mean excess risk, Σ g² (1 - ηg²)^2k θ² + m (s²/n) (1 - (1 - ηg²)^k)², term by term.

    Args:
      steps: numbers of steps k, [steps].
      scales: standard deviation g of the features, [scales].
      signal: norm θ of the coefficients of each scale, [scales].
      samples: n.
      noise: standard deviation s of the label noise.
      step_sizes: η of each scale, or one for all.
      features: m, of each scale.
    """
    k = np.asarray(steps, float)[:, None]
    g2 = np.asarray(scales, float) ** 2
    remaining = (1 - np.asarray(step_sizes, float) * g2) ** k
    bias = g2 * (np.asarray(signal, float) * remaining) ** 2
    return Contributions(bias, features * noise**2 / samples * (1 - remaining) ** 2)


def aligned_step_sizes(
    scales: ArrayLike,
    signal: ArrayLike,
    samples: int | jax.Array,
    noise: float | jax.Array,
    learning_rate: float | jax.Array,
    features: int | jax.Array = 1,
) -> jax.Array:
    """Returns step sizes with which every scale's risk is lowest at the same step, so that the sum has one minimum.

    The risk of one scale is lowest where (1 - ηg²)^k is v / (g²θ² + v), v = m s²/n. The first scale keeps the learning
    rate, which gives k; the others get the η that meets theirs there (after Heckel, Yilmaz 2021).

    Args: as for `excess_risk`; noise and signals positive, learning_rate * (first scale)² below 1.
    """
    g2 = jnp.square(jnp.asarray(scales))
    variance = features * jnp.square(noise) / samples
    log_target = jnp.log(variance) - jnp.log(g2 * jnp.square(jnp.asarray(signal)) + variance)
    log_factor = log_target * (jnp.log1p(-learning_rate * g2[0]) / log_target[0])
    return -jnp.expm1(log_factor) / g2


def turning_points(risk: np.ndarray) -> np.ndarray:
    """Returns the indices of the minima and maxima inside a curve, in order; flat stretches and rounding are none."""
    places = np.concatenate([[0], 1 + np.flatnonzero(np.abs(np.diff(risk)) > _FLAT * np.abs(risk[1:]))])
    falls = np.diff(risk[places]) < 0
    return places[1:-1][falls[1:] != falls[:-1]]
