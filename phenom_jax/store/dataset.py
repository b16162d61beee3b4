"""The labelled store of a sweep: one zarr v3 group over (run, step) that `xarray.open_zarr` reads by itself.

Rows are runs in the order of the sweep, with their hyperparameters, `status`, `last_step`, `reason` and `code` as
coordinates.
A batch of rows is written into its indexed region, so writing it again changes nothing. Every chunk file is replaced
atomically and statuses are written after the data: a row marked finished is whole, whenever the process is killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import numpy as np
import xarray as xr
import zarr

from phenom_jax.hparams import Field, InvalidValue
from phenom_jax.store.chunks import WITH_EMPTY, chunk_files, write_rows
from phenom_jax.store.damage import read_labels, read_store, refused
from phenom_jax.store.longer import with_longer
from phenom_jax.store.schema import JSON, beside, create, drop_derived, finish_swap, same_schema, schema, swap
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.recorded import Variable
from phenom_jax.sweep.status import STATUSES

T = TypeVar("T")

_TIME_SHARE = 0.03  # of the wall time that writes by themselves may take


class Results:
    """The store of a running sweep, written by one process. Make it with `Results.open`."""

    def __init__(self, path: str | os.PathLike[str], steps: np.ndarray, code: str) -> None:
        with zarr.config.set(WITH_EMPTY):
            group = zarr.open_group(path, mode="r+")
            arrays: dict[str, Any] = {name: group[name] for name in group.attrs["order"]}  # type: ignore[union-attr]
        self._curves = {name: array for name, array in arrays.items() if array.ndim > 1}
        self._labels = {name: arrays[name] for name in ("last_step", "reason", "code", "status")}
        self._last_step, self._reason, self._code, self._status = (
            np.asarray(array[:]) for array in self._labels.values()
        )
        self._now = code
        self._rows = {str(run_id): row for row, run_id in enumerate(np.asarray(arrays["run_id"][:]))}
        self._steps = np.asarray(steps)
        self._columns = np.searchsorted(np.asarray(arrays["step"][:]), self._steps)
        self._pending: list[_Batch] = []
        self._next_flush = 0.0

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        runs: Sequence[Run],
        fields: Mapping[str, Field],
        steps: np.ndarray,
        variables: Sequence[Variable],
        attributes: Mapping[str, JSON],
        note: Callable[[str], None] = print,
        code: str = "",
        starts: Mapping[str, str] = MappingProxyType({}),
        facts: Mapping[str, xr.Variable] = MappingProxyType({}),
    ) -> Results:
        """Returns the store at `path` with a row for every run, created or extended where needed.

        Rows that are not waiting are kept bit for bit, whether or not they are in `runs`, and at their own steps: the
        step axis is the union of `steps` and those of the kept rows. Only a longer run takes the place of a shorter one
        that is in `runs` no more. Killed in between, the next open finds the old store or the new one. Runs whose
        values are damaged on disk wait again.

        Args:
          path: of the zarr group.
          runs: the sweep, in the order the rows take.
          fields: every hyperparameter, by name.
          steps: int[P], strictly increasing: the measure grid, common to all runs.
          variables: what is recorded; counts and flags are stored as floats, for NaN says "not measured".
          attributes: of the dataset.
          note: told of every damaged file.
          code: that makes the runs which wait now.
          starts: by run id, the shorter run from whose end it goes on: it has begun, and has its curves.
          facts: over the runs, what is known of the states that they start from.
        Raises:
          InvalidValue: what says which run is where, or that a run is over, is damaged.
        """
        path = Path(path)
        finish_swap(path)
        stored, lost = _mended(path, note) if path.exists() else (None, [])
        if stored is not None:
            drop_derived(path)  # they say nothing of what is trained from here on
        held = with_longer(stored, runs, fields, starts) if stored is not None else None
        wanted = schema(runs, fields, np.asarray(steps), variables, attributes, held, facts)
        if stored is None or held is not stored or not same_schema(stored, wanted):
            create(beside(path, "new"), wanted, held)
            swap(path)
        results = cls(path, steps, code)
        results.reset([run_id for run_id in lost if run_id in results._rows])
        return results

    def write(
        self,
        run_ids: Sequence[str],
        records: Mapping[str, np.ndarray],
        status: Sequence[str],
        last_step: np.ndarray,
        reason: Sequence[str],
    ) -> None:
        """Sets whole rows; idempotent. They reach the disk by `flush`, or by themselves within 3 % of the wall time.

        Args:
          run_ids: n runs.
          records: by variable, [n, P, *shape], NaN where a step was not measured. Values after a run's last step are
            dropped. Trailing axes may be shorter than declared, the rest is NaN. A variable left out keeps its values.
          status: n of STATUSES.
          last_step: int[n], the step each run has reached.
          reason: n texts, why a run diverged or failed; else "".
        Raises:
          KeyError: an unknown run or variable.
          ValueError: an unknown status, or a record whose shape does not fit.
        """
        rows = np.array([self._rows[run_id] for run_id in run_ids], int)
        self._check(len(rows), records, status)
        self._code[rows[self._status[rows] == "waiting"]] = self._now
        self._status[rows] = np.asarray(status, self._status.dtype)
        self._last_step[rows] = last_step
        self._reason[rows] = np.asarray(reason, self._reason.dtype)
        self._pending.append(_Batch(rows, records, np.asarray(last_step)))
        if time.monotonic() >= self._next_flush:
            self.flush()

    def flush(self) -> None:
        """Puts every row written so far on disk. Call it before saving a checkpoint that these runs have left."""
        if not self._pending:
            return
        start = time.monotonic()
        for name, array in self._curves.items():
            write_rows(array, *self._gathered(name, array))
        self._pending = []
        self._labels["last_step"][:] = self._last_step
        self._labels["reason"][:] = self._reason
        self._labels["code"][:] = self._code
        self._labels["status"][:] = self._status
        now = time.monotonic()
        self._next_flush = now + (now - start) / _TIME_SHARE

    def statuses(self) -> dict[str, str]:
        """Returns the status of every run, by run id."""
        return {run_id: str(self._status[row]) for run_id, row in self._rows.items()}

    def codes(self) -> dict[str, str]:
        """Returns the code of every run that does not wait, by run id; nothing for one made before codes were kept."""
        return {run_id: str(self._code[row]) for run_id, row in self._rows.items() if self._status[row] != "waiting"}

    def reset(self, run_ids: Sequence[str]) -> None:
        """Empties these rows and sets them back to waiting."""
        if not run_ids:
            return
        self.flush()
        rows = np.sort(np.array([self._rows[run_id] for run_id in run_ids], int))
        self._status[rows], self._last_step[rows], self._reason[rows], self._code[rows] = "waiting", -1, "", ""
        self._labels["status"][:] = self._status
        self._labels["last_step"][:] = self._last_step
        self._labels["reason"][:] = self._reason
        self._labels["code"][:] = self._code
        for array in self._curves.values():
            write_rows(array, rows, np.full((len(rows), *array.shape[1:]), np.nan, array.dtype))

    def _gathered(self, name: str, array: zarr.Array) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows that wait to be written to `array`, ascending, and their values."""
        holding = [batch for batch in self._pending if name in batch.records]
        rows = np.unique(np.concatenate([batch.rows for batch in holding])) if holding else np.zeros(0, int)
        values = np.full((len(rows), *array.shape[1:]), np.nan, array.dtype)
        for batch in holding:
            record = np.asarray(batch.records[name])
            after_end = self._steps[None, :] > batch.last_step[:, None]
            at = np.searchsorted(rows, batch.rows)
            values[at] = np.nan
            values[(at[:, None], self._columns[None, :], *map(slice, record.shape[2:]))] = np.where(
                after_end.reshape(*after_end.shape, *[1] * (record.ndim - 2)), np.nan, record
            )
        return rows, values

    def _check(self, count: int, records: Mapping[str, np.ndarray], status: Sequence[str]) -> None:
        unknown = set(status) - set(STATUSES)
        if unknown:
            raise ValueError(f"status: {', '.join(sorted(unknown))} is not one of {', '.join(STATUSES)}")
        for name, record in records.items():
            shape, whole = np.shape(record), (count, len(self._steps), *self._curves[name].shape[2:])
            if (
                shape[:2] != whole[:2]
                or len(shape) != len(whole)
                or any(a > b for a, b in zip(shape, whole, strict=True))
            ):
                raise ValueError(f"{name}: a record of shape {shape} does not fit {whole}")


def open_results(path: str | os.PathLike[str]) -> xr.Dataset:
    """Returns the dataset at `path`, in memory: dimensions (run, step), hyperparameters and status as coordinates.

    Raises:
      FileNotFoundError: there is no store.
      InvalidValue: a file of it is damaged.
    """
    found = _settled(Path(path), read_store)
    for name, damage in found.damages:
        raise refused(name, damage)
    return found.results


def read_statuses(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the status of every run of the store at `path`, by run id.

    Raises:
      FileNotFoundError: there is no store.
      InvalidValue: a file is damaged.
    """
    labels = _settled(Path(path), read_labels)
    return dict(zip(labels["run_id"].tolist(), labels["status"].tolist()))


def read_codes(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Returns the status and the code of every run of the store at `path`; no code where it was made before there was.

    Raises:
      FileNotFoundError: there is no store.
      InvalidValue: a file is damaged.
    """
    labels = _settled(Path(path), read_labels)
    status = labels["status"].tolist()
    return list(zip(status, labels["code"].tolist() if "code" in labels else [""] * len(status)))


def _settled(path: Path, read: Callable[[Path], T]) -> T:
    """Returns what `read` finds in the store, again if an extended one took its place meanwhile."""
    while True:
        place = next((place for place in (path, beside(path, "old"), path) if place.exists()), None)
        if place is None:
            raise FileNotFoundError(f"no results at {path}")
        before = _identity(place)
        try:
            found = read(place)
        except InvalidValue:
            if _identity(place) == before and (place == path or not path.exists()):
                raise
        else:
            if _identity(place) == before and (place == path or not path.exists()):
                return found


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a store from the one that takes its place."""
    try:
        stat = (path / "zarr.json").stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def _mended(path: Path, note: Callable[[str], None]) -> tuple[xr.Dataset, list[str]]:
    """Returns the dataset stored at `path`, its damaged chunks emptied, and the runs that lost values thereby.

    These wait again; a run under way has its values in its checkpoint too.
    """
    found = read_store(path)
    if not found.damages:
        return found.results, []
    status = found.results["status"].values.astype(object)
    lost, under_way = np.zeros((2, len(status)), bool)
    for _, damage in found.damages:
        rows = np.array(damage.rows)
        lost[rows] |= np.isin(status[rows], ("finished", "done", "diverged"))
        under_way[rows] |= status[rows] == "running"
    for _, damage in found.damages:
        again, on = lost[damage.rows].sum(), under_way[damage.rows].sum()
        note(
            f"WARNING: {damage.file} is damaged or gone: {again} runs are trained again"
            + (f", {on} go on from their checkpoint" if on else "")
        )
    status[lost] = "waiting"
    with zarr.config.set(WITH_EMPTY):
        group = zarr.open_group(path, mode="r+")
    group["status"][:] = status  # type: ignore[index]  # before the files go: a kill in between leaves none that seem whole
    for name, damage in found.damages:
        array: Any = group[name]
        region = dict(chunk_files(array))[damage.file]
        damage.file.unlink(missing_ok=True)
        array[region] = array.fill_value
    results = found.results.assign_coords(status=found.results["status"].copy(data=status.astype(str)))
    return results, [str(run_id) for run_id in results["run_id"].values[lost]]


class _Batch(NamedTuple):
    rows: np.ndarray
    records: Mapping[str, np.ndarray]
    last_step: np.ndarray
