"""The states that runs keep for later analysis: one zarr group per bucket, a row per run.

`keep(state)` is saved at log-spaced steps and at the end of every run. A group holds one array per leaf,
`[run, kept, ...]`, named by the leaf's path, beside `run_id[run]` and `step[run, kept]` (-1 where nothing was kept).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from phenom_jax.hparams import InvalidValue
from phenom_jax.results.damage import FORMAT, WHOLE_CHUNKS, damaged_chunks, has_all_files

_CHUNK_BYTES = 1 << 20


class Kept(NamedTuple):
    """What one bucket kept: N runs, K kept steps."""

    run_ids: list[str]
    steps: np.ndarray  # int32[N, K], -1 where nothing was kept
    leaves: dict[str, np.ndarray]  # [N, K, ...] by path


class KeptStates:
    """The kept states of one bucket, written by one process in whole rows; writing a row again changes nothing."""

    def __init__(self, path: Path, run_ids: Sequence[str]):
        new = not (path / "zarr.json").exists()
        with zarr.config.set(WHOLE_CHUNKS):
            self._group = zarr.open_group(path, mode="a", attributes={"format": FORMAT} if new else None)
        known = list(self._group.attrs.get("run_ids", []))  # type: ignore[call-overload]
        present = set(known)
        self._ids = known + [run_id for run_id in run_ids if run_id not in present]
        self._rows = {run_id: row for row, run_id in enumerate(self._ids)}
        for _, array in self._group.arrays():
            array.resize((len(self._ids), *array.shape[1:]))
        self._group.attrs["run_ids"] = self._ids

    def write(self, run_ids: Sequence[str], leaves: Mapping[str, np.ndarray], steps: np.ndarray) -> None:
        """Sets the rows of n runs: every leaf [n, K, ...], and the steps [n, K] they were kept at."""
        rows = np.array([self._rows[run_id] for run_id in run_ids])
        for name, values in {**leaves, "step": steps}.items():
            array = self._array(name, values)
            if array.shape[1] < values.shape[1]:  # the sweep was extended by longer runs
                array.resize((array.shape[0], *values.shape[1:]))
            array.oindex[rows, slice(0, values.shape[1])] = values  # type: ignore[union-attr]

    def _array(self, name: str, values: np.ndarray) -> zarr.Array:
        if name in self._group:
            return self._group[name]  # type: ignore[return-value]
        row_bytes = max(1, values[0].nbytes)
        rows = min(len(self._ids), max(1, _CHUNK_BYTES // row_bytes))
        return self._group.create_array(
            name,
            shape=(len(self._ids), *values.shape[1:]),
            chunks=(rows, *(max(1, n) for n in values.shape[1:])),
            dtype=values.dtype,
            compressors=ZstdCodec(level=1, checksum=True),
            config={"write_empty_chunks": True},
            fill_value=-1 if name == "step" else 0,
        )


def read_kept(path: Path) -> Kept:
    """Returns what one bucket kept.

    Raises:
      FileNotFoundError: nothing was kept there.
      InvalidValue: a file is damaged.
    """
    group = zarr.open_group(path, mode="r")
    arrays = {}
    for name, array in group.arrays():
        for damage in damaged_chunks(array, path / name, np.zeros(array.shape[0], bool)):
            raise InvalidValue(
                f"{damage.file} is damaged, it holds kept states of {len(damage.rows)} runs: remove it, and the "
                "command that made this directory trains them again"
            )
        arrays[name] = np.asarray(array[:])
    return Kept(list(group.attrs["run_ids"]), arrays.pop("step"), arrays)  # type: ignore[arg-type, call-overload]


def lost_runs(path: Path) -> list[str]:
    """Returns the runs of a bucket whose kept states have lost a file, or were never written; none without a store.

    Only looks for files, for the states may be large: a damaged one is found by `read_kept`.
    """
    if not (path / "zarr.json").exists():
        return []
    group = zarr.open_group(path, mode="r")
    if not has_all_files(group):
        return []
    run_ids = list(group.attrs["run_ids"])  # type: ignore[call-overload]
    lost = np.zeros(len(run_ids), bool)
    for name, array in group.arrays():
        for first in range(0, len(run_ids), array.chunks[0]):
            file = (path / name / "c").joinpath(str(first // array.chunks[0]), *["0"] * (array.ndim - 1))
            lost[first : first + array.chunks[0]] |= not file.exists()
    return [run_id for run_id, gone in zip(run_ids, lost) if gone]
