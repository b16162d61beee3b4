"""The exact means that belong to runs."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phenom_jax.theory.ridge import Expected, ridge_regression, weak_features


def expected(runs: xr.Dataset, x: str, values: np.ndarray) -> Expected:
    """Returns the exact means for runs that are alike but for `x`, at these values of it; NaN for an ablation."""
    of = {name: runs[name].values[0] for name in ("samples", "dimension", "ridge", "signal", "noise")} | {x: values}
    if runs["ablation"].values[0] != "none":
        return Expected(*[np.full(np.shape(values), np.nan)] * 3)
    if runs["model"].values[0] == "isotropic":
        return ridge_regression(**of)
    coordinates = runs["coordinates"].values[0]
    return weak_features(of["samples"], of["dimension"], coordinates, of["ridge"], of["signal"], of["noise"])
