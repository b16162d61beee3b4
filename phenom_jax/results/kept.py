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

_CHUNK_BYTES = 1 << 20


class Kept(NamedTuple):
    """What one bucket kept: N runs, K kept steps."""

    run_ids: list[str]
    steps: np.ndarray  # int32[N, K], -1 where nothing was kept
    leaves: dict[str, np.ndarray]  # [N, K, ...] by path


class KeptStates:
    """The kept states of one bucket, written by one process in whole rows; writing a row again changes nothing."""

    def __init__(self, path: Path, run_ids: Sequence[str]):
        self._group = zarr.open_group(path, mode="a")
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
            fill_value=-1 if name == "step" else 0,
        )


def read_kept(path: Path) -> Kept:
    """Returns what one bucket kept.

    Raises:
      FileNotFoundError: nothing was kept there.
    """
    group = zarr.open_group(path, mode="r")
    arrays = {name: np.asarray(array[:]) for name, array in group.arrays()}
    return Kept(list(group.attrs["run_ids"]), arrays.pop("step"), arrays)  # type: ignore[arg-type, call-overload]
