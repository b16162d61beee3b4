"""When each run of a silent-alignment sweep turned its kernel and learnt."""

from __future__ import annotations

import numpy as np
import xarray as xr

from phenom_jax.laws.transition import Direction, first_crossing
from phenom_jax.theory.deep_linear import most_alignment

ALIGNED = 0.9  # of the largest alignment: the kernel has aligned
TURNED = 0.1  # of the loss: learning has begun


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with when and how each run turned its kernel and learnt, in units of time; NaN for never.

    Attributes:
      alignment_time: when the alignment is 90 % of its maximum L/√(L² + D - 1), where that is known: a linear network
        with one output on whitened inputs.
      turning_time, half_time: when 10 % and when half of the loss is gone.
      silent_alignment: the alignment when 10 % of the loss is gone.
      mode_times: when each mode has half of its strength.
    """
    steps = results["step"].values * results["learning_rate"].values[:, None]
    relative, aligned = results["relative_loss"].values, results["kernel_alignment"].values
    whitened = (results["model"] == "linear") & (results["spectrum"] == 0) & (results["modes"] == 1)
    most = most_alignment(results["depth"].values, results["inputs"].values)
    level = np.where(whitened.values, ALIGNED * most, np.nan)
    strengths = results["strength"].values[:, None] * results["ratio"].values[:, None] ** np.arange(
        results.sizes["mode"]
    )
    times = np.stack(
        [
            crossed(results["mode_strengths"].values[:, :, k], steps, strengths[:, k] / 2)
            for k in range(strengths.shape[1])
        ],
        1,
    )
    turned = results["turning_alignment"].where(relative < 1 - TURNED).max("step").values  # the same at all later steps
    found = {
        "alignment_time": ("run", crossed(aligned, steps, level), "time at 90 % of the largest alignment"),
        "turning_time": ("run", crossed(relative, steps, 1 - TURNED, "down"), "time when 10 % of the loss is gone"),
        "half_time": ("run", crossed(relative, steps, 0.5, "down"), "time when half of the loss is gone"),
        "silent_alignment": ("run", turned, "alignment when 10 % of the loss is gone"),
        "mode_times": (("run", "mode"), times, "time when the mode has half of its strength"),
    }
    summary = {name: (dims, values, {"long_name": said}) for name, (dims, values, said) in found.items()}
    return results.assign(summary).assign_coords(mode=1 + np.arange(results.sizes["mode"]))


def crossed(
    curves_NxP: np.ndarray, times_NxP: np.ndarray, level: float | np.ndarray, direction: Direction = "up"
) -> np.ndarray:
    """Returns float[N], when each curve first crosses the level: between two measured steps, on a straight line."""
    places = np.arange(curves_NxP.shape[1])
    found = first_crossing(curves_NxP, places, level, direction)
    row, crosses = np.arange(len(curves_NxP)), np.isfinite(found.step)
    late, early = (np.where(crosses, place, 0).astype(int) for place in found)
    low, high = curves_NxP[row, early], curves_NxP[row, late]
    share = np.divide(level - low, high - low, out=np.ones(len(row)), where=high != low)
    between = times_NxP[row, early] + share * (times_NxP[row, late] - times_NxP[row, early])
    return np.where(crosses, between, np.nan)
