"""The swept axes of a sweep's results: which hyperparameters vary, and the results with them as dimensions."""

from __future__ import annotations

import numpy as np
import xarray as xr

_ABSENT = {"run_id": "", "status": "absent", "last_step": -1, "reason": ""}


def swept_axes(results: xr.Dataset) -> dict[str, list[str]]:
    """Returns the axes that vary between the runs, each with all hyperparameters that vary along it (zipped)."""
    axes: dict[str, list[str]] = {}
    codes: dict[str, np.ndarray] = {}
    for name in hyperparameters(results):
        code = _codes(results[name].values)
        if code.max(initial=0) == 0:
            continue
        together = next((axis for axis, other in codes.items() if np.array_equal(other, code)), None)
        if together is None:
            axes[name], codes[name] = [name], code
        else:
            axes[together].append(name)
    return axes


def on_axes(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the swept axes as dimensions in place of `run`; points that no run took are NaN.

    Of hyperparameters that vary together (zipped) the first is the dimension and the others are coordinates on it.

    Raises:
      ValueError: the runs are far from a product: it would have more than four times as many points.
    """
    axes = swept_axes(results)
    points = int(np.prod([len(np.unique(results[axis])) for axis in axes]))
    if points > max(4 * results.sizes["run"], 16):
        raise ValueError(f"{results.sizes['run']} runs are not a product of {', '.join(axes)} ({points} points)")
    varying = {name for names in axes.values() for name in names}
    constant = {name: results[name][0].item() for name in hyperparameters(results) if name not in varying}
    zipped = {name: (axis, _by_value(results, axis, name)) for axis, names in axes.items() for name in names[1:]}
    per_run = results.drop_vars([*constant, *zipped]).reset_coords(list(_ABSENT))
    if not axes:
        return per_run.squeeze("run", drop=True).assign_coords(constant)
    if len(axes) == 1:
        placed = per_run.swap_dims(run=next(iter(axes)))
    else:
        floats = {str(name): np.nan for name in results.data_vars}
        placed = per_run.set_index(run=list(axes)).unstack("run", fill_value=floats | _ABSENT)
    return placed.sortby(list(axes)).assign_coords(constant | zipped)


def hyperparameters(results: xr.Dataset) -> list[str]:
    """Returns the names of the coordinates that are hyperparameters, in the order of their definition."""
    named = results.attrs.get("order", list(results.coords))
    return [name for name in named if name in results.coords and "hyperparameter" in results[name].attrs]


def _codes(values: np.ndarray) -> np.ndarray:
    """Returns int[n]: equal values get equal codes, numbered by their first appearance."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _by_value(results: xr.Dataset, axis: str, name: str) -> np.ndarray:
    _, first = np.unique(results[axis].values, return_index=True)
    return results[name].values[first]
