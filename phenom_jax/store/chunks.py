"""Arrays of a zarr store, a chunk at a time: written one after the other, and checked for damage while they are read.

Every chunk carries a checksum, and every chunk that was ever written has a file, even if all of it is empty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr

from phenom_jax.hparams import InvalidValue

WITH_EMPTY = {"array.write_empty_chunks": True}  # of zarr's config, wherever an array is opened to write


class Damage(NamedTuple):
    """A chunk file that is gone or holds something else than what was written."""

    file: Path
    rows: range  # of the array's first axis


def read_array(array: zarr.Array, written: np.ndarray) -> tuple[np.ndarray, list[Damage]]:
    """Returns the values of an array, empty in damaged chunks, and these chunks.

    Args:
      written: bool, over the array's first axes; a chunk is gone if it has no file and any of it was written.
    Raises:
      InvalidValue: a file may not be read, which says nothing about what is in it.
    """
    values = np.full(array.shape, array.fill_value, array.dtype)
    damages = []
    for file, region in chunk_files(array):
        try:
            if file.is_file():
                values[region] = array[region]
            elif written[region[: written.ndim]].any():
                raise FileNotFoundError(file)
        except (FileNotFoundError, RuntimeError, ValueError, TypeError):  # what zarr makes of damaged bytes
            damages.append(Damage(file, range(*region[0].indices(array.shape[0]))))
        except OSError as error:
            raise InvalidValue(f"{file} cannot be read: {error.strerror or error}") from None
    return values, damages


def write_rows(array: zarr.Array, rows: np.ndarray, values: np.ndarray) -> None:
    """Sets rows of an array, as many entries of its second axis as `values` has.

    Chunk after chunk: those of one assignment zarr writes side by side and, where one fails, leaves the others under
    way, to overtake a second attempt and undo it.

    Args:
      rows: int[n], ascending.
      values: [n, ...].
    Raises:
      OSError: the disk refused; some of the rows may be written.
      InvalidValue: a chunk that holds other rows as well is damaged.
    """
    edges = np.searchsorted(rows, np.arange(0, array.shape[0] + array.chunks[0], array.chunks[0]))
    widths = [range(0, values.shape[1], array.chunks[1])] if array.ndim > 1 else []
    for first, last in itertools.pairwise(edges):
        if first == last:
            continue
        for starts in itertools.product(*widths):
            columns = tuple(slice(start, min(start + array.chunks[1], values.shape[1])) for start in starts)
            part = values[(slice(first, last), *columns)]
            try:
                if rows[last - 1] - rows[first] + 1 == last - first:
                    array[(slice(rows[first], rows[last - 1] + 1), *columns)] = part
                else:
                    array.oindex[(rows[first:last], *columns)] = part
            except RuntimeError as error:  # of the decompression
                index = (int(rows[first]) // array.chunks[0], *(start // array.chunks[1] for start in starts))
                raise InvalidValue(
                    f"{_file(array, index)} is damaged, other rows cannot be added to it: {error}"
                ) from None


def gone(array: zarr.Array, written: np.ndarray) -> list[Damage]:
    """Returns the chunks without a file of which any was written, see `read_array`; nothing is read."""
    return [
        Damage(file, range(*region[0].indices(array.shape[0])))
        for file, region in chunk_files(array)
        if written[region[: written.ndim]].any() and not file.is_file()
    ]


def chunk_files(array: zarr.Array) -> Iterator[tuple[Path, tuple[slice, ...]]]:
    """Yields the file of every chunk of an array and the region it holds."""
    for index in np.ndindex(*(math.ceil(n / chunk) for n, chunk in zip(array.shape, array.chunks))):
        yield _file(array, index), tuple(slice(i * size, (i + 1) * size) for i, size in zip(index, array.chunks))


def _file(array: zarr.Array, index: tuple[int, ...]) -> Path:
    folder = Path(array.store.root, array.path)  # type: ignore[attr-defined]
    return folder.joinpath("c", *map(str, index), *["0"] * (array.ndim - len(index)))
