"""The swept axes of a sweep's results: which hyperparameters vary, and the results with them as dimensions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import xarray as xr

from phenom_jax.hparams import Value
from phenom_jax.laws.transition import last_place

_ABSENT = {"run_id": "", "status": "absent", "last_step": -1, "reason": "", "code": ""}


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
    per_run = results.drop_vars([*constant, *zipped]).reset_coords([name for name in _ABSENT if name in results.coords])
    if not axes:
        return per_run.squeeze("run", drop=True).assign_coords(constant)
    if len(axes) == 1:
        placed = per_run.swap_dims(run=next(iter(axes)))
    else:
        floats = {str(name): np.nan for name in results.data_vars}
        placed = per_run.set_index(run=list(axes)).unstack("run", fill_value=floats | _ABSENT)
    return placed.sortby(list(axes)).assign_coords(constant | zipped)


def final_values(results: xr.Dataset) -> xr.Dataset:
    """Returns the last measured value of every scalar measure, by run, after the per-run variables."""
    per_run = {name: array for name, array in results.data_vars.items() if array.dims == ("run",)}
    scalars = {name: array for name, array in results.data_vars.items() if array.dims == ("run", "step")}
    places = {name: xr.DataArray(last_place(~np.isnan(array.values)), dims="run") for name, array in scalars.items()}
    last = {name: array.isel(step=places[name]).drop_vars("step") for name, array in scalars.items()}
    return xr.Dataset(per_run | last, attrs=results.attrs)


def carried_forward(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with runs that left early, `done`, at their last measured value in every later step.

    So figures show them, and so a mean over runs at a step has all of them: before it they are NaN from their end on.
    Diverged runs stay NaN, and steps that were not measured before a run's end.

    Args:
      results: over (run, step), as `open_run` or `open_sweep` give them: before `on_axes`.
    """
    done = np.flatnonzero(results["status"].values == "done")
    after_RxP = results["step"].values > results["last_step"].values[done, None]
    carried = {}
    for name, array in results.data_vars.items():
        if array.dims[:2] == ("run", "step") and array.dtype.kind == "f":
            values, curves = array.values.copy(), array.values[done]
            measured_RxP = np.any(~np.isnan(curves), axis=tuple(range(2, curves.ndim)))
            last = curves[np.arange(len(done)), last_place(measured_RxP)]
            after = after_RxP.reshape(*after_RxP.shape, *[1] * (curves.ndim - 2))
            values[done] = np.where(after, last[:, None], curves)
            carried[name] = array.copy(data=values)
    return results.assign(carried)


def hyperparameters(results: xr.Dataset) -> list[str]:
    """Returns the names of the coordinates that are hyperparameters, in the order of their definition."""
    named = results.attrs.get("order", list(results.coords))
    return [name for name in named if name in results.coords and "hyperparameter" in results[name].attrs]


def cell_axes(results: xr.Dataset) -> list[str]:
    """Returns the swept axes except seeds: runs that agree in them are one cell, repeated over seeds."""
    return [axis for axis, names in swept_axes(results).items() if not any(map(_is_seed, names))]


def strata(results: xr.Dataset, *without: str) -> np.ndarray:
    """Returns int[run]: runs alike in every swept axis but seeds and `without` have the same number, in their order."""
    axes = [axis for axis in cell_axes(results) if axis not in without]
    ranks = [np.unique(results[axis].values, return_inverse=True)[1] for axis in axes]
    table = np.stack([np.zeros(results.sizes["run"], int), *ranks], 1)
    return np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)


def settings(runs: xr.Dataset, *without: str) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the runs that are alike in all that is swept but `without`, each after its setting in words."""
    axes = [axis for axis in cell_axes(runs) if axis not in without]
    if axes:
        yield from groups(runs, axes)
    elif runs.sizes["run"]:
        yield "", runs


def groups(results: xr.Dataset, names: Sequence[str]) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the runs that agree in `names`, in the order of their values, after the varying ones in words.

    Args:
      results: of a sweep.
      names: coordinates over runs.
    """
    if not results.sizes["run"]:
        return
    codes = np.stack([np.unique(results[name].values, return_inverse=True)[1] for name in names])
    group = np.unique(codes, axis=1, return_inverse=True)[1].reshape(-1)
    varying = [name for name, code in zip(names, codes, strict=True) if code.max() > 0]
    for number in range(group.max() + 1):
        runs = results.isel(run=group == number)
        yield ", ".join(f"{words(name)} {show(runs[name].values[0].item())}" for name in varying) or "all runs", runs


def hold(
    results: xr.Dataset, shown: Collection[str | None], at: Mapping[str, Callable[[list], Value]]
) -> tuple[xr.Dataset, list[str]]:
    """Returns the runs at one value of every cell axis that is not shown, and what was held, in words.

    Args:
      results: of a sweep.
      shown: hyperparameters that keep all their values.
      at: by axis, which of its sorted values to hold it at (`max`, say); else the middle one.
    """
    notes = []
    for axis, names in swept_axes(results).items():
        if axis not in cell_axes(results) or set(names) & set(shown):
            continue
        values = np.unique(results[axis].values).tolist()
        value = at[axis](values) if axis in at else values[(len(values) - 1) // 2]
        results = results.isel(run=(results[axis] == value).values)
        notes.append(f"{words(axis)} {show(value)} of {len(values)} values")
    return results, notes


def words(name: str) -> str:
    """Returns a hyperparameter's or variable's name as it reads in a sentence."""
    return name.replace("_", " ")


def show(value: Value) -> str:
    """Returns a hyperparameter's value as it reads on an axis."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_seed(name: str) -> bool:
    return name == "seed" or name.endswith("_seed")


def _codes(values: np.ndarray) -> np.ndarray:
    """Returns int[n]: equal values get equal codes, numbered by their first appearance."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _by_value(results: xr.Dataset, axis: str, name: str) -> np.ndarray:
    _, first = np.unique(results[axis].values, return_index=True)
    return results[name].values[first]
