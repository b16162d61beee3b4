"""The states that runs keep for later analysis: one zarr group per program, a row per run.

`keep(state)` is saved at log-spaced steps and at the end of every run. A group holds one array per leaf,
`[run, kept, ...]`, named by the leaf's path, beside `step[run, kept]` (-1 where nothing was kept). Its attributes say
which run has which row (`run_ids`) and which arrays there are (`leaves`).

States may be gigabytes. A resume therefore reads the steps only and looks whether every file is there; what is inside
is checked by `read_kept`, which names the file that is to be removed for its runs to be trained again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from phenom_jax.hparams import InvalidValue
from phenom_jax.store.chunks import WITH_EMPTY, gone, read_array, write_rows
from phenom_jax.store.damage import FORMAT, has_all_files

_CHUNK_BYTES = 1 << 20
_SHOWN = 3
_AGAIN = "the command that made this directory trains them again"


class Kept(NamedTuple):
    """What one program kept: N runs, K kept steps."""

    run_ids: list[str]
    steps: np.ndarray  # int32[N, K], -1 where nothing was kept
    leaves: dict[str, np.ndarray]  # [N, K, ...] by path


class KeptStates:
    """The kept states of one program, written by one process in whole rows; writing a row again changes nothing."""

    def __init__(self, path: Path, run_ids: Sequence[str], attributes: Mapping[str, Any] = MappingProxyType({})):
        """Makes or opens the group at `path`, with rows for these runs and those it has; a new one has the attributes.

        Raises:
          OSError: the disk refused.
          InvalidValue: a description is damaged.
        """
        new = _is_new(path)
        known = [] if new else _run_ids(path, _opened(path))
        self._group = zarr.open_group(path, mode="a", attributes={"format": FORMAT, **attributes} if new else None)
        present, wanted = set(known), set(run_ids)
        new_ids = [run_id for run_id in run_ids if run_id not in present]
        empty = [run_id for run_id, steps in kept_steps(path).items() if not len(steps) and run_id not in wanted]
        reused = dict(zip(empty, new_ids))  # rows of runs that gave way to longer ones
        self._ids = [reused.get(run_id, run_id) for run_id in known] + new_ids[len(reused) :]
        self._rows = {run_id: row for row, run_id in enumerate(self._ids)}
        for _, array in self._group.arrays():
            array.resize((len(self._ids), *array.shape[1:]))
        if "step" in self._group and not (known == self._ids and _lists_leaves(self._group)):
            _complete(_array(self._group, "step"))
        self._describe()

    def write(self, run_ids: Sequence[str], leaves: Mapping[str, np.ndarray], steps: np.ndarray) -> None:
        """Sets the rows of n runs: every leaf [n, K, ...], and the steps [n, K] they were kept at.

        Raises:
          OSError: the disk refused; some of it may be written, and the same call completes it.
          InvalidValue: a file that holds other rows as well is damaged.
        """
        rows = np.array([self._rows[run_id] for run_id in run_ids], int)
        order = np.argsort(rows)
        arrays = {name: self._array(name, values) for name, values in {**leaves, "step": steps}.items()}
        self._describe()
        for name, values in {**leaves, "step": steps}.items():  # the steps last: they say that the states are there
            array = arrays[name]
            if array.shape[1] < values.shape[1]:  # the sweep was extended by longer runs
                array.resize((array.shape[0], *values.shape[1:]))
                if name == "step":
                    _complete(array)
            write_rows(array, rows[order], values[order])

    def _array(self, name: str, values: np.ndarray) -> zarr.Array:
        if name in self._group:
            return _array(self._group, name)
        row_bytes = max(1, values[0].nbytes)
        rows = min(len(self._ids), max(1, _CHUNK_BYTES // row_bytes))
        array = self._group.create_array(
            name,
            shape=(len(self._ids), *values.shape[1:]),
            chunks=(rows, *(max(1, n) for n in values.shape[1:])),
            dtype=values.dtype,
            compressors=ZstdCodec(level=1, checksum=True),
            config={"write_empty_chunks": True},
            fill_value=-1 if name == "step" else 0,
        )
        if name == "step":
            _complete(array)
        return array

    def _describe(self) -> None:
        """Notes which run has which row and which arrays there are, one that was lost still among them."""
        leaves = sorted({name for name, _ in self._group.arrays()} | set(_leaves(self._group)))
        described = {"run_ids": self._ids, "leaves": leaves, "checksum": _checksum(self._ids)}
        if any(self._group.attrs.get(name) != value for name, value in described.items()):
            self._group.attrs.update(described)  # type: ignore[arg-type]


def read_kept(path: Path) -> Kept:
    """Returns what one program kept, also while it is written: states are there where a step is.

    Raises:
      FileNotFoundError: nothing was kept there.
      InvalidValue: a file is damaged.
    """
    if _is_new(path):
        raise FileNotFoundError(f"no kept states at {path}")
    group = _opened(path)
    run_ids, names = _run_ids(path, group), _leaves(group)
    if not names:
        raise FileNotFoundError(f"no kept states at {path} yet")
    for name in names:
        if name not in group:
            raise InvalidValue(f"{path / name} is gone, it holds kept states of all runs: {_AGAIN}")
    steps, damages = read_array(_array(group, "step"), _all_steps(group))
    leaves = {}
    for name in names:
        if name != "step":
            array = _array(group, name)
            leaves[name], found = read_array(array, (steps >= 0) & has_all_files(group))
            damages += found
            if any(n < least for n, least in zip(array.shape, (len(run_ids), steps.shape[1]))):
                raise _refused(path, path / name / "zarr.json")
    for damage in damages:
        held = run_ids[damage.rows.start : damage.rows.stop]
        more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
        raise InvalidValue(
            f"{damage.file} is damaged or gone, it holds kept states of runs {', '.join(held[:_SHOWN])}{more}: "
            f"remove what is there of it; {_AGAIN}"
        )
    count, points = len(run_ids), steps.shape[1]  # leaves are ahead of the steps while the group is extended
    return Kept(run_ids, steps[:count], {name: leaf[:count, :points] for name, leaf in leaves.items()})


def kept_steps(path: Path) -> dict[str, np.ndarray]:
    """Returns, by run id, the steps at which one program kept states; none of a run that has lost a file.

    Raises:
      InvalidValue: a description is damaged.
    """
    if _is_new(path) or "step" not in (group := _opened(path)):
        return {}
    steps, _ = read_array(_array(group, "step"), np.zeros(1, bool))
    found = {run_id: row[row >= 0] for run_id, row in zip(_run_ids(path, group), steps)}
    return found | {run_id: np.zeros(0, int) for run_id in lost_runs(path)}


def kept_rows(path: Path, run_ids: Sequence[str], names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Returns what these runs of one program kept, [n, K, ...] by path, and reads no more.

    Args:
      names: of arrays, or none for all of them.
    Raises:
      InvalidValue: a file is damaged.
    """
    group = _opened(path)
    places = {run_id: row for row, run_id in enumerate(_run_ids(path, group))}
    rows, leaves = np.array([places[run_id] for run_id in run_ids], int), {}
    for name in names or _leaves(group):
        try:
            array = _array(group, name)
            wanted = np.zeros(array.shape[:1], bool)
            wanted[rows] = True
            if damages := gone(array, wanted):
                raise FileNotFoundError(damages[0].file)
            leaves[name] = np.asarray(array.oindex[rows])
        except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:  # what zarr makes of damaged bytes
            raise InvalidValue(f"{path / name} is damaged or cannot be read: {error}") from None
    return leaves


def leaves_by_name(tree: Any) -> dict[str, Any]:
    """Returns the leaves of what `keep` returns by the name of the array that holds each."""
    return {leaf_name(path): leaf for path, leaf in jax.tree.leaves_with_path(tree)}


def leaf_name(path: tuple[Any, ...]) -> str:
    """Returns the name of the array that holds this leaf of what `keep` returns, which may be one array."""
    return jax.tree_util.keystr(path, simple=True, separator=".") or "kept"


def lost_runs(path: Path) -> list[str]:
    """Returns the runs of a program whose kept states have lost a file; none where nothing was kept.

    Raises:
      InvalidValue: a description is damaged.
    """
    if _is_new(path):
        return []
    group = _opened(path)
    run_ids, names = _run_ids(path, group), _leaves(group)
    if not has_all_files(group) or not names:
        return []
    if "step" not in group:
        return run_ids
    steps, damages = read_array(_array(group, "step"), _all_steps(group))
    lost = np.zeros(len(steps), bool)
    for name in names:
        if name not in group:
            lost |= (steps >= 0).any(1)
        elif name != "step":
            damages += gone(_array(group, name), steps >= 0)
    for damage in damages:
        lost[damage.rows] = True
    return [run_id for run_id, is_lost in zip(run_ids, lost) if is_lost]


def forget(path: Path, run_ids: Sequence[str]) -> None:
    """Notes that nothing is kept of these runs, and mends a damaged file of steps.

    Raises:
      OSError: the disk refused.
    """
    group = zarr.open_group(path, mode="r+")
    if "step" in group:
        rows = {run_id: row for row, run_id in enumerate(_run_ids(path, group))}
        _complete(_array(group, "step"), [rows[run_id] for run_id in run_ids])


def _is_new(path: Path) -> bool:
    """Whether nothing was ever kept at `path`."""
    return not (path / "zarr.json").exists() and not any(path.glob("*/c"))


def _opened(path: Path) -> zarr.Group:
    for file in [path / "zarr.json", *(folder.parent / "zarr.json" for folder in path.glob("*/c"))]:
        try:
            json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            raise _refused(path, file) from None
        except OSError as error:
            raise InvalidValue(f"{file} cannot be read: {error.strerror or error}") from None
        try:
            zarr.open(file.parent, mode="r")
        except Exception:  # whatever a description makes zarr raise that is none
            raise _refused(path, file) from None
    return zarr.open_group(path, mode="r")


def _run_ids(path: Path, group: zarr.Group) -> list[str]:
    """Returns the runs in the order of their rows."""
    run_ids: Any = group.attrs.get("run_ids", [])
    if group.attrs.get("checksum", _checksum(run_ids)) != _checksum(run_ids):
        raise _refused(path, path / "zarr.json")
    return list(run_ids)


def _checksum(run_ids: Sequence[str]) -> int:
    return zlib.crc32(json.dumps(run_ids).encode())


def _leaves(group: zarr.Group) -> list[str]:
    """Returns the arrays that were made, `step` among them."""
    listed: Any = group.attrs.get("leaves") or [name for name, _ in group.arrays()]
    return list(listed)


def _lists_leaves(group: zarr.Group) -> bool:
    """Whether the group names its arrays, and so has a file for every chunk of its steps; not so at first."""
    return "leaves" in group.attrs


def _all_steps(group: zarr.Group) -> np.ndarray:
    """Returns bool[N], True where a file of steps must be."""
    return np.full(_array(group, "step").shape[:1], _lists_leaves(group) and has_all_files(group))


def _complete(steps: zarr.Array, forgotten: Sequence[int] = ()) -> None:
    """Writes all of the steps, so that every chunk has a file; none for the rows `forgotten`."""
    values, damages = read_array(steps, np.zeros(steps.shape[0], bool))
    for damage in damages:
        damage.file.unlink(missing_ok=True)
    values[list(forgotten)] = -1
    write_rows(steps, np.arange(len(values)), values)


def _array(group: zarr.Group, name: str) -> zarr.Array:
    with zarr.config.set(WITH_EMPTY):  # it counts where an array is opened, not its group
        return group[name]  # type: ignore[return-value]


def _refused(path: Path, file: Path) -> InvalidValue:
    return InvalidValue(
        f"{file} is damaged or gone: restore this file from a copy, or move {path} away and do without what was kept"
    )
