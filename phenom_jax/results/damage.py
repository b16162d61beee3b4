"""Damage in a zarr store: chunk files that are cut off, altered or gone, and whose rows lie in them.

Every chunk carries a checksum, and every chunk that was ever written has a file, even if all of it is empty. In stores
of format 1, before that was so, a file that is gone cannot be told from an empty chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr

from phenom_jax.hparams import InvalidValue

FORMAT = 2  # of stores, an attribute of theirs; raise it when what is on disk changes its meaning
WHOLE_CHUNKS = {"array.write_empty_chunks": True}  # of zarr's config, wherever a store is written


class Damage(NamedTuple):
    """A chunk file that cannot be read."""

    file: Path
    rows: range  # of the array's first axis


def has_all_files(group: zarr.Group) -> bool:
    """Whether every chunk of the store that was ever written has a file."""
    return int(group.attrs.get("format", 1)) >= FORMAT  # type: ignore[call-overload]


def damaged_chunks(array: zarr.Array, folder: Path, written: np.ndarray) -> Iterator[Damage]:
    """Yields the damaged chunks of an array.

    Args:
      folder: of the array.
      written: bool[rows]; a chunk without a file is damaged if one of its rows was written.
    """
    for index in np.ndindex(*(math.ceil(n / chunk) for n, chunk in zip(array.shape, array.chunks))):
        region = tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, array.chunks))
        rows = range(*region[0].indices(len(written)))
        file = folder.joinpath("c", *map(str, index))
        if (written[rows].any() and not file.exists()) or not _reads(array, region):
            yield Damage(file, rows)


def checked_labels(path: Path) -> dict[str, np.ndarray]:
    """Returns the one-dimensional arrays of the store at `path`.

    Raises:
      InvalidValue: one of them, or the description of the store, is damaged.
    """
    file = path / "zarr.json"
    labels = {}
    try:
        group = zarr.open_group(path, mode="r")
        for name, array in group.arrays():
            if array.ndim == 1:
                file = path / name / "c" / "0"
                if has_all_files(group) and array.shape[0] and not file.exists():
                    raise FileNotFoundError
                labels[name] = as_str(np.asarray(array[:]))
    except Exception:  # whatever a damaged file makes zarr raise
        raise InvalidValue(
            f"{file} is damaged or gone, allowed is a whole store: restore this file from a copy, or move {path} away "
            "to train its runs again"
        ) from None
    return labels


def check_curves(path: Path) -> None:
    """Raises InvalidValue, naming the file and how many runs it holds, where a chunk of the store is damaged."""
    written = has_curves(checked_labels(path)["status"])
    group = zarr.open_group(path, mode="r")
    for name, array in group.arrays():
        if array.ndim > 1:
            for damage in damaged_chunks(array, path / name, written & has_all_files(group)):
                raise InvalidValue(
                    f"{damage.file} is damaged or gone, it holds {name.replace('_', ' ')} of {len(damage.rows)} runs: "
                    "the command that made this directory trains them again"
                )


def has_curves(status: np.ndarray) -> np.ndarray:
    """Returns bool[runs], whether values of a run with this status were written."""
    return ~np.isin(status, ("waiting", "failed"))


def as_str(values: np.ndarray) -> np.ndarray:
    """Returns variable-length texts as NumPy's own, everything else as it is."""
    return np.array(values.tolist(), str) if values.dtype.kind == "T" else values


def _reads(array: zarr.Array, region: tuple[slice, ...]) -> bool:
    try:
        array[region]
    except Exception:  # whatever a damaged file makes zarr raise
        return False
    return True
