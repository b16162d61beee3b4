"""Derived variables in a store of results: what an experiment's `summarise` adds, for `xarray.open_zarr` alone.

The store's own zarr.json lists them but its `order` does not, so that a training and `open_results` see only what was
measured: derived variables are made anew, never read back, and gone as soon as a training goes on.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import xarray as xr
import zarr

from phenom_jax.store.atomic import write_whole
from phenom_jax.store.damage import read_labels
from phenom_jax.store.schema import ROOT, create_array, drop_derived


def save_derived(path: Path, results: xr.Dataset) -> None:
    """Puts what `results` holds beside what was measured into the store at `path`, in the place of what was derived.

    A reader sees all of it or none. What does not fit the store, of other runs or steps, is left out.

    Args:
      path: of a store that no other process writes.
      results: of that store, summarised.
    Raises:
      InvalidValue: a description or a label of the store is damaged.
    """
    stored = read_labels(path)["run_id"].tolist()
    rows = {run_id: row for row, run_id in enumerate(results["run_id"].values.tolist())}
    drop_derived(path)
    if rows.keys() != set(stored):
        return
    results = results.isel(run=[rows[run_id] for run_id in stored])
    group = zarr.open_group(path, mode="r+")
    root = json.loads((path / ROOT).read_bytes())
    described: dict[str, Any] = root["consolidated_metadata"]["metadata"]
    sizes = dict(pair for each in described.values() for pair in zip(each["dimension_names"], each["shape"]))
    for name, array in results.variables.items():
        if name in described or any(sizes.get(str(dim), n) != n for dim, n in array.sizes.items()):
            continue
        folder = path / str(name)
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        create_array(group, str(name), array)[...] = array.values
        described[str(name)] = json.loads((folder / ROOT).read_bytes())
        if name in results.coords and array.dims != (name,):
            root["attributes"]["coordinates"] += f" {name}"
    write_whole(path / ROOT, json.dumps(root))
