"""Reading a store of results with every file of it checked: descriptions, labels, curves.

zarr holds the description of every array twice, which tells an altered one. Labels (`run_id`, `status`, ...) say which
run is where and which is over: without one of them nothing can be mended. Damaged curves cost the runs in their chunk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr

from phenom_jax.hparams import InvalidValue
from phenom_jax.store.chunks import Damage, read_array

FORMAT = 2  # of stores, an attribute of theirs; raise it when what is on disk changes its meaning
STARTED = ("running", "finished", "done", "diverged")  # statuses of runs of which values were written


class Found(NamedTuple):
    """What a store holds.

    Attributes:
      results: dimensions (run, step), in memory; curves in damaged chunks are NaN.
      damages: the damaged chunks, by variable.
    """

    results: xr.Dataset
    damages: list[tuple[str, Damage]]


def read_store(path: Path) -> Found:
    """Returns what the store at `path` holds, also while it is written: rows of runs that are over are whole.

    Raises:
      InvalidValue: a description or a label is damaged, or the store is of a later version.
    """
    group = _described(path)
    labels = _labels(path, group)
    status = labels["status"]
    written = np.isin(status, STARTED) & has_all_files(group)
    variables: dict[str, tuple] = {}
    damages = []
    for name in _order(group):
        array: Any = group[name]
        values = labels.get(name)
        if values is None:
            values, found = read_array(array, written)
            damages += [(name, damage) for damage in found]
        variables[name] = (array.metadata.dimension_names, values, dict(array.attrs))
    # a run whose status changed meanwhile shows the one in which fewer values are promised
    now = np.where(_is_over(status), _label(path, group, "status"), status)
    variables["status"] = (variables["status"][0], now, variables["status"][2])
    attributes = {name: value for name, value in group.attrs.items() if name != "coordinates"}
    try:
        results = xr.Dataset(
            {name: variable for name, variable in variables.items() if name not in labels},
            {name: variable for name, variable in variables.items() if name in labels},
            attributes,
        )
    except ValueError:
        raise _refused(path, path / "zarr.json") from None
    return Found(results, damages)


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Returns the one-dimensional arrays of the store at `path`: the hyperparameters and statuses of its runs.

    Raises:
      InvalidValue: one of them, or a description, is damaged, or the store is of a later version.
    """
    return _labels(path, _described(path))


def has_all_files(group: zarr.Group) -> bool:
    """Whether every chunk of the store that was ever written has a file; not so before format 2."""
    return int(group.attrs.get("format", 1)) >= 2  # type: ignore[call-overload]


def refused(name: str, damage: Damage) -> InvalidValue:
    """Returns what is said to those who cannot mend the damage of a variable."""
    return InvalidValue(
        f"{damage.file} is damaged or gone, it holds {name.replace('_', ' ')} of {len(damage.rows)} runs: "
        "the command that made this directory trains them again"
    )


def _described(path: Path) -> zarr.Group:
    """Returns the store after a check of its descriptions."""
    file = path / "zarr.json"
    stored = _json(path, file)
    try:
        metadata = stored["consolidated_metadata"]["metadata"]
        order, written = stored["attributes"]["order"], stored["attributes"].get("format", 1)
        unknown = set(order) - set(metadata)
    except (TypeError, KeyError, AttributeError):
        raise _refused(path, file) from None
    if unknown or type(written) is not int or not {"run_id", "status", "last_step", "reason", "step"} <= set(order):
        raise _refused(path, file)
    if written > FORMAT:
        raise InvalidValue(
            f"{path} is of format {written}, written by a later version; this one reads formats up to {FORMAT}"
        )
    for name in order:
        file = path / name / "zarr.json"
        if _json(path, file) != metadata[name]:
            raise _refused(path, file, "is damaged: it differs from what the store's own zarr.json says")
    try:
        return zarr.open_group(path, mode="r")
    except Exception:  # whatever descriptions make zarr raise that agree and yet are none
        raise _refused(path, path / "zarr.json") from None


def _labels(path: Path, group: zarr.Group) -> dict[str, np.ndarray]:
    names = [name for name in _order(group) if group[name].ndim == 1]  # type: ignore[union-attr]
    status = _label(path, group, "status")  # first, for it is written last
    return {"status": status} | {name: _label(path, group, name) for name in names if name != "status"}


def _label(path: Path, group: zarr.Group, name: str) -> np.ndarray:
    array: Any = group[name]
    values, damages = read_array(array, np.full(array.shape, has_all_files(group)))
    for damage in damages:
        raise _refused(path, damage.file)
    return np.array(values.tolist(), str) if values.dtype.kind == "T" else values


def _order(group: zarr.Group) -> list[str]:
    return list(group.attrs["order"])  # type: ignore[call-overload]


def _is_over(status: np.ndarray) -> np.ndarray:
    return ~np.isin(status, ("waiting", "running"))


def _json(path: Path, file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise _refused(path, file) from None
    except OSError as error:
        raise InvalidValue(f"{file} cannot be read: {error.strerror or error}") from None


def _refused(path: Path, file: Path, how: str = "is damaged or gone") -> InvalidValue:
    return InvalidValue(f"{file} {how}: restore this file from a copy, or move {path} away to train its runs again")
