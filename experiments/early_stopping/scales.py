"""The scales of the input features, and the excess risk they give in closed form."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

from phenom_jax.theory.epochwise import Contributions, aligned_step_sizes, excess_risk


class Scales(NamedTuple):
    """Of each scale the features' standard deviation g and the norm θ of the true coefficients, the fastest first."""

    deviation: tuple[float, ...]
    signal: tuple[float, ...]


SCALES = {
    "one": Scales((1.0,), (1.0,)),
    "two": Scales((1.0, 0.15), (0.45, 3.0)),  # Heckel, Yilmaz 2021
    "three": Scales((1.0, 0.15, 0.02), (0.45, 3.0, 20.0)),
}


def step_sizes(
    scales: str,
    schedule: str,
    learning_rate: float | jax.Array,
    samples: int | jax.Array,
    noise: float | jax.Array,
    features: int | jax.Array,
) -> jax.Array:
    """Returns the step size of each scale, float[scales]: equal ones, or those whose risks are lowest together."""
    deviation, signal = SCALES[scales]
    if schedule == "aligned":
        return aligned_step_sizes(deviation, signal, samples, noise, learning_rate, features)
    return jax.numpy.full(len(deviation), learning_rate)


def closed_form(runs: xr.Dataset, steps: np.ndarray) -> Contributions:
    """Returns the excess risk after each step of runs that differ in their seeds alone; NaN for a network."""
    scales, model, schedule = (str(runs[name].values[0]) for name in ("scales", "model", "step_sizes"))
    rate, noise = (float(runs[name].values[0]) for name in ("learning_rate", "noise"))
    samples, features = (int(runs[name].values[0]) for name in ("samples", "features"))
    sizes = np.asarray(step_sizes(scales, schedule, rate, samples, noise, features), float)
    found = excess_risk(steps, *SCALES[scales], samples, noise, sizes, features)
    return found if model == "linear" else Contributions(found.bias * np.nan, found.variance * np.nan)
