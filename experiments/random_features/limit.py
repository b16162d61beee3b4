"""The asymptotic risk of the runs of a sweep, where there is one."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phenom_jax.theory.random_features import RELU, Activation, fourier, risk


def limit(runs: xr.Dataset, features: np.ndarray | None = None, samples: np.ndarray | None = None) -> np.ndarray:
    """Returns the limit of the excess risk; NaN for inputs on the line, where there is none.

    Args:
      runs: with one value of `activation` and `frequency`.
      features, samples: of other runs that agree with the first of `runs` in all else; None for those of `runs`.
    """
    one = runs.isel(run=slice(0, 1)) if features is not None or samples is not None else runs
    if (one["inputs"] == "line").any():
        shape = one["ridge"].shape if features is None else np.shape(features)
        return np.full(shape if samples is None else np.shape(samples), np.nan)
    return risk(
        one["features"].values if features is None else features,
        one["samples"].values if samples is None else samples,
        one["dimension"].values,
        one["ridge"].values,
        activation(one),
        noise=one["noise"].values,
    )


def activation(runs: xr.Dataset) -> Activation:
    """Returns what the theory knows of the activation of these runs."""
    return RELU if runs["activation"].values[0] == "relu" else fourier(float(runs["frequency"].values[0]))
