"""Checkpoints of a bucket's lanes: Orbax, asynchronous and atomic, with a checksum per leaf."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

TRASH = "_trash"


class Mismatch(Exception):
    """A whole checkpoint does not fit what is to go on from it: other steps, other devices."""


class Restored(NamedTuple):
    """A checkpoint read back: the chunk it was taken after, the tree, and the JSON saved beside it."""

    chunk: int
    tree: Any
    meta: dict[str, Any]


class Checkpoints:
    """The two newest checkpoints of one bucket, in a directory of its own. Use it as a context manager.

    A process that leaves without closing Orbax's manager loses its last asynchronous save, so `close` is not optional.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        shutil.rmtree(directory / TRASH, ignore_errors=True)  # steps whose deletion was interrupted
        self._manager = ocp.CheckpointManager(
            directory.resolve(),
            item_names=("state", "meta"),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policies.LatestN(2),
                cleanup_tmp_directories=True,
                todelete_subdir=TRASH,
            ),
        )

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()
        shutil.rmtree(self._directory / TRASH, ignore_errors=True)

    def save(self, chunk: int, tree: Any, meta: Mapping[str, Any]) -> None:
        """Starts to save `tree` (arrays) and `meta` (JSON) as of `chunk`; the arrays may be donated afterwards.

        Raises:
          RuntimeError: Orbax refused the save, or the one before it failed in the background.
        """
        leaves = _named_leaves(tree)
        state = ocp.args.StandardSave(leaves)
        described = ocp.args.JsonSave({**meta, "checksums": _checksums(leaves)})
        if not self._manager.save(chunk, args=ocp.args.Composite(state=state, meta=described)):
            raise RuntimeError(f"checkpoint {chunk} was not saved in {self._directory}")

    def wait(self) -> None:
        """Returns when the last save is on disk; raises what stopped it."""
        self._manager.wait_until_finished()

    @property
    def latest(self) -> int:
        """The chunk of the newest checkpoint, 0 where there is none; the next save must be above it."""
        return max(self._manager.all_steps(), default=0)

    def restore(self, template: Callable[[dict[str, Any]], Any], note: Callable[[str], None]) -> Restored | None:
        """Returns the newest whole checkpoint, or None where there is none or it does not fit.

        Args:
          template: `(meta) -> ShapeDtypeStructs with shardings` of the tree that was saved with this meta; raises
            Mismatch where it does not fit.
          note: told of every checkpoint that had to be passed over.
        """
        for chunk in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(chunk, template)
            except Mismatch as error:
                note(f"checkpoint {chunk} in {self._directory} does not fit: {error}; its unfinished runs begin anew")
                return None
            except Exception as error:  # whatever a damaged directory makes Orbax raise
                note(f"checkpoint {chunk} in {self._directory} is damaged ({_first_line(error)}): using the one before")
                self._manager.delete(chunk)
                shutil.rmtree(self._directory / TRASH, ignore_errors=True)  # its number will be used again
        return None

    def _read(self, chunk: int, template: Callable[[dict[str, Any]], Any]) -> Restored:
        meta = self._manager.restore(chunk, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        wanted = template(meta)
        leaves = _named_leaves(wanted)
        state = ocp.args.StandardRestore(leaves)
        found = self._manager.restore(chunk, args=ocp.args.Composite(state=state))["state"]
        wrong = [name for name, checksum in _checksums(found).items() if meta["checksums"].get(name) != checksum]
        if wrong:
            raise ValueError(f"checksum of {wrong[0]}")
        paths, structure = jax.tree.flatten_with_path(wanted)
        tree = [found.get(jax.tree_util.keystr(path)) for path, _ in paths]
        filled = [np.zeros(s.shape, s.dtype) if leaf is None else leaf for leaf, (_, s) in zip(tree, paths)]
        return Restored(chunk, jax.tree.unflatten(structure, filled), meta)


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Returns the leaves by path, without those of size zero, which Orbax does not take."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if np.prod(leaf.shape, dtype=int)}


def _checksums(leaves: Mapping[str, Any]) -> dict[str, int]:
    """Returns a crc32 per leaf: a flipped bit on disk would restore silently wrong."""
    return {name: zlib.crc32(np.ascontiguousarray(jax.device_get(leaf)).data) for name, leaf in leaves.items()}


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
