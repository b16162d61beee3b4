"""What the store of a sweep looks like on disk, and how an extended one takes the place of the old."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec
from zarr.errors import ZarrUserWarning

from phenom_jax.hparams import Field
from phenom_jax.store.atomic import write_whole
from phenom_jax.store.damage import FORMAT
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.recorded import Variable
from phenom_jax.sweep.status import MEANINGS

JSON = str | int | float | bool | None | Sequence["JSON"] | Mapping[str, "JSON"]

ROOT = "zarr.json"  # what describes a store, and lists its arrays
_CHUNK_BYTES = 1 << 20  # ~2600 rows of 100 float32: few files, for the file system costs more than the bytes


def schema(
    runs: Sequence[Run],
    fields: Mapping[str, Field],
    steps: np.ndarray,
    variables: Sequence[Variable],
    attributes: Mapping[str, JSON],
    stored: xr.Dataset | None,
    facts: Mapping[str, xr.Variable] = MappingProxyType({}),
) -> xr.Dataset:
    """Returns the dataset as it should be, curves NaN, with the rows and steps that `stored` holds beyond the sweep."""
    kept = None if stored is None else stored.isel(run=(stored["status"] != "waiting").values)
    values = {run.id: dict(run.values) for run in runs}
    if kept is not None and kept.sizes["run"]:
        steps = np.union1d(steps, kept["step"].values)
        variables = _united(variables, kept)
        for row, run_id in enumerate(kept["run_id"].values.tolist()):
            held = {name: kept[name].values[row].item() for name in fields if name in kept}
            values.setdefault(run_id, {name: field.default for name, field in fields.items()} | held)
    count = len(values)
    coordinates = {
        "run_id": ("run", np.array(list(values), str), {"long_name": "hash of the run's hyperparameters"}),
        "status": ("run", np.full(count, "waiting", object), {"long_name": "status", "meanings": json.dumps(MEANINGS)}),
        "last_step": (
            "run",
            np.full(count, -1, np.int64),
            {"long_name": "last step the run reached", "units": "steps"},
        ),
        "reason": ("run", np.full(count, "", object), {"long_name": "why the run diverged or failed"}),
        "code": ("run", np.full(count, "", object), {"long_name": "code that made the run, as in config.json"}),
        "step": ("step", steps.astype(np.int64), {"long_name": "training step", "units": "steps"}),
    }
    for name, field in fields.items():
        column = np.array([run[name] for run in values.values()], field.type)
        coordinates[name] = ("run", column, {"long_name": field.help, "hyperparameter": field.kind})
    for name, known in facts.items():  # rows beyond the sweep have theirs stored
        column = np.append(known.values, np.full(count - len(runs), np.nan))
        coordinates[name] = ("run", column, known.attrs)
    curves = {}
    for variable in variables:
        dtype = np.dtype(variable.dtype)
        dtype = dtype if dtype.kind == "f" else np.dtype("f4" if dtype.kind == "b" else "f8")
        empty = np.broadcast_to(np.array(np.nan, dtype), (count, len(steps), *variable.shape))
        described = {"long_name": variable.long_name, "units": variable.units}
        curves[variable.name] = (("run", "step", *variable.dims), empty, described)
    order = [*coordinates, *curves]
    return xr.Dataset(curves, coordinates, json.loads(json.dumps({**attributes, "order": order, "format": FORMAT})))


def same_schema(stored: xr.Dataset, wanted: xr.Dataset) -> bool:
    """Whether the store at hand has the rows, steps, variables and attributes wanted."""
    return (
        np.array_equal(stored["run_id"].values, wanted["run_id"].values)
        and np.array_equal(stored["step"].values, wanted["step"].values)
        and {n: (a.dims, a.shape, a.dtype) for n, a in stored.data_vars.items()}
        == {n: (a.dims, a.shape, a.dtype) for n, a in wanted.data_vars.items()}
        and stored.attrs == wanted.attrs
    )


def create(path: Path, wanted: xr.Dataset, stored: xr.Dataset | None) -> None:
    """Writes the store `wanted` at `path`, with the rows of `stored` that are not waiting."""
    shutil.rmtree(path, ignore_errors=True)
    coordinates = " ".join(str(name) for name in wanted.coords if name != "step")
    group = zarr.create_group(path, zarr_format=3, attributes=wanted.attrs | {"coordinates": coordinates})
    for name, array in wanted.variables.items():
        made = create_array(group, str(name), array)
        values = _with_stored(str(name), wanted, stored)
        if values is not None:
            made[...] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # zarr v3 calls consolidated metadata provisional
        zarr.consolidate_metadata(path)


def create_array(group: zarr.Group, name: str, array: xr.Variable) -> zarr.Array:
    """Returns a new array of the store, described as `array` is and empty."""
    text = array.dtype.kind in "OUT"
    return group.create_array(
        name,
        shape=array.shape,
        dtype=str if text else array.dtype,
        chunks=(_rows_per_chunk(array), *array.shape[1:]),
        compressors=ZstdCodec(level=1, checksum=True),
        fill_value="" if text else array.dtype.type(np.nan if array.dtype.kind == "f" else 0),
        dimension_names=[str(dim) for dim in array.dims],
        attributes=dict(array.attrs),
        config={"write_empty_chunks": True},
    )


def drop_derived(path: Path) -> None:
    """Takes out of the store at `path` what was not measured."""
    root = json.loads((path / ROOT).read_bytes())
    found, order = root["consolidated_metadata"]["metadata"], root["attributes"]["order"]
    derived = found.keys() - set(order)
    if derived:
        coordinates = root["attributes"]["coordinates"].split()
        root["attributes"]["coordinates"] = " ".join(name for name in coordinates if name not in derived)
        root["consolidated_metadata"]["metadata"] = {name: found[name] for name in order}
        write_whole(path / ROOT, json.dumps(root))
    for name in derived:
        shutil.rmtree(path / name, ignore_errors=True)


def beside(path: Path, suffix: str) -> Path:
    """Returns the hidden place next to `path` where a store waits to be swapped in ("new") or removed ("old")."""
    return path.with_name(f".{path.name}.{suffix}")


def swap(path: Path) -> None:
    """Puts the whole new store in the place of the old one."""
    shutil.rmtree(beside(path, "old"), ignore_errors=True)
    if path.exists():
        path.rename(beside(path, "old"))
    beside(path, "new").rename(path)
    shutil.rmtree(beside(path, "old"), ignore_errors=True)


def finish_swap(path: Path) -> None:
    """Ends a `swap` that was killed: the new store was whole before the old one moved."""
    if beside(path, "old").exists() and not path.exists():
        beside(path, "new").rename(path)
    shutil.rmtree(beside(path, "old"), ignore_errors=True)


def _united(variables: Sequence[Variable], kept: xr.Dataset) -> list[Variable]:
    """Returns the variables declared and those kept, each axis as long as the longer of the two."""
    described = {str(n): (a.attrs.get("long_name", ""), a.attrs.get("units", "1")) for n, a in kept.data_vars.items()}
    declared = {
        name: Variable(name, array.shape[2:], array.dtype, tuple(map(str, array.dims[2:])), *described[name])
        for name, array in {str(n): a for n, a in kept.data_vars.items()}.items()
    } | {variable.name: variable for variable in variables}
    longest = dict(kept.sizes)
    for variable in variables:
        for dim, length in zip(variable.dims, variable.shape, strict=True):
            longest[dim] = max(length, longest.get(dim, 0))
    order = [*(variable.name for variable in variables), *declared]
    return [declared[n]._replace(shape=tuple(longest[d] for d in declared[n].dims)) for n in dict.fromkeys(order)]


def _rows_per_chunk(array: xr.Variable) -> int:
    if array.ndim == 1:
        return max(1, len(array))
    return max(1, min(len(array), _CHUNK_BYTES // max(1, array.dtype.itemsize * int(np.prod(array.shape[1:])))))


def _with_stored(name: str, wanted: xr.Dataset, stored: xr.Dataset | None) -> np.ndarray | None:
    """Returns the values of one array with the stored rows in their places; None for curves where nothing is stored."""
    array, per_run = wanted[name], "hyperparameter" not in wanted[name].attrs and name not in ("run_id", "step")
    if stored is None and array.ndim > 1:
        return None
    if stored is None or name not in stored or not per_run or array.ndim != stored[name].ndim:
        return array.values
    held = np.flatnonzero(stored["status"].values != "waiting")
    places = {run_id: row for row, run_id in enumerate(wanted["run_id"].values.tolist())}
    rows = np.array([places[run_id] for run_id in stored["run_id"].values[held].tolist()], int)
    values, old = array.values.copy(), stored[name].values[held]
    if array.ndim == 1:
        values[rows] = old
    else:
        columns = np.searchsorted(wanted["step"].values, stored["step"].values)
        values[(rows[:, None], columns[None, :], *map(slice, old.shape[2:]))] = old
    return values
