"""One dataset over a whole sweep, whether it was trained in one directory or in parts, also while they train."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import xarray as xr

from phenom_jax.hparams import InvalidValue
from phenom_jax.store.config import read_config
from phenom_jax.store.dataset import open_results, read_codes, read_statuses
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.parts import PARTS

T = TypeVar("T")

STORE = "results.zarr"


def open_sweep(directory: str | Path) -> xr.Dataset:
    """Returns the results of a run directory, in memory; of a sweep in parts all of them, in the order of the sweep.

    Runs of a part that has not begun are there too, waiting.

    Raises:
      FileNotFoundError: nothing has results yet.
      InvalidValue: a file is damaged.
    """
    directory = Path(directory)
    if not (directory / PARTS).is_dir():
        return open_results(directory / STORE)
    found = _of_parts(directory, open_results)
    if not found:
        raise FileNotFoundError(f"no results in {directory / PARTS}")
    found = [each.assign_coords(code=each.get("code", ("run", [""] * each.sizes["run"]))) for each in found]
    united = xr.concat(found, "run", join="outer", data_vars="all", coords="different", compat="equals")
    united.attrs = found[0].attrs
    runs = read_config(directory).sweep.runs()
    missing = [run for run in runs if run.id not in set(united["run_id"].values.tolist())]
    if missing:
        united = xr.concat(
            [united, _waiting(united, missing)], "run", data_vars="all", coords="different", compat="equals"
        )
    rows = {run_id: row for row, run_id in enumerate(united["run_id"].values.tolist())}
    return united.isel(run=[rows[run.id] for run in runs])


def count_statuses(directory: str | Path) -> Counter[str]:
    """Returns how many runs of a sweep in parts have which status, without those of parts that have not begun."""
    return Counter(status for found in _of_parts(Path(directory), read_statuses) for status in found.values())


def codes_in(directory: str | Path) -> Counter[tuple[str, str]]:
    """Returns how many runs of a run directory, or of all parts of a sweep, have which status and code.

    Raises:
      InvalidValue: a file that says so is damaged. A damaged part is left out: it is its own job that says so.
    """
    directory = Path(directory)
    if not (directory / PARTS).is_dir():
        try:
            return Counter(read_codes(directory / STORE))
        except FileNotFoundError:
            return Counter()
    found = Counter()
    for part in _parts(directory):
        with contextlib.suppress(FileNotFoundError, InvalidValue):
            found.update(read_codes(part / STORE))
    return found


def kept_stores(directory: str | Path) -> list[Path]:
    """Returns where the kept states of a run directory lie, one place per program and part: see `kept.read_kept`."""
    directory = Path(directory)
    folders = list(_parts(directory)) if (directory / PARTS).is_dir() else [directory]
    return [path for folder in folders for path in sorted((folder / "kept.zarr").glob("*")) if path.is_dir()]


def _parts(directory: Path) -> Iterator[Path]:
    yield from sorted(path for path in (directory / PARTS).glob("*") if path.is_dir())


def _of_parts(directory: Path, read: Callable[[Path], T]) -> list[T]:
    """Returns what `read` finds in the results of every part that has begun."""
    found = []
    for part in _parts(directory):
        with contextlib.suppress(FileNotFoundError):
            found.append(read(part / STORE))
    return found


def _waiting(like: xr.Dataset, runs: list[Run]) -> xr.Dataset:
    """Returns rows of runs that have not begun."""
    rows = like.isel(run=np.zeros(len(runs), int))
    rows = rows.map(lambda array: xr.full_like(array, np.nan))
    labels: dict[str, list] = {
        "run_id": [run.id for run in runs],
        "status": ["waiting"] * len(runs),
        "last_step": [-1] * len(runs),
        "reason": [""] * len(runs),
        "code": [""] * len(runs),
    }
    labels |= {name: [run.values[name] for run in runs] for name in runs[0].values if name in like.coords}
    for name, known in like.coords.items():
        if name not in labels and known.dims == ("run",) and known.dtype.kind == "f":
            labels[str(name)] = [np.nan] * len(runs)  # what their own part knows of a source
    return rows.assign_coords({name: ("run", np.array(values), like[name].attrs) for name, values in labels.items()})
