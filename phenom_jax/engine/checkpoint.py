"""Checkpoints of a bucket's lanes: Orbax, asynchronous and atomic, with a checksum per leaf."""

from __future__ import annotations

import contextlib
import copy
import errno
import gc
import logging
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from phenom_jax.engine import processes

TRASH = "_trash"
TRIAL_BYTES = 4096
LOGGERS = (logging.getLogger("absl"), logging.getLogger("asyncio"))
ODD_MULTIPLIERS = (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35)


class Mismatch(Exception):
    """A whole checkpoint does not fit what is to go on from it: other steps, another version."""


class SaveFailed(Exception):
    """A checkpoint could not be written; the text says why."""


class Restored(NamedTuple):
    """A checkpoint read back: the chunk it was taken after, the tree, and the JSON saved beside it."""

    chunk: int
    tree: Any
    meta: dict[str, Any]


class Checkpoints:
    """The two newest checkpoints of one bucket, in a directory of its own. Use it as a context manager.

    A process that leaves without closing Orbax's manager loses its last asynchronous save, so `close` is not optional.
    With several processes all of them save and restore together.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._opened: ocp.CheckpointManager | None = None
        self._saving: int | None = None
        self._litter = False  # of a failure, see `_collect`
        self._hook = sys.unraisablehook

    def __enter__(self) -> Checkpoints:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unless_of_a_failure
        for logger in LOGGERS:
            logger.addFilter(_not_of_orbax)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._collect()
        sys.unraisablehook = self._hook
        for logger in LOGGERS:
            logger.removeFilter(_not_of_orbax)

    def save(self, chunk: int, tree: Any, meta: Mapping[str, Any]) -> None:
        """Starts to save `tree` (arrays) and `meta` (JSON) as of `chunk`; both may be changed or donated afterwards.

        Raises:
          SaveFailed: it could not be begun, or the one before it failed in the background.
        """
        leaves = _named_leaves(tree)
        self._check_room(sum(leaf.nbytes for leaf in leaves.values()))
        state = ocp.args.StandardSave(leaves)
        described = ocp.args.JsonSave(copy.deepcopy({**meta, "sums": _sums(leaves)}))  # it is written in the background
        try:
            saved = self._manager.save(chunk, args=ocp.args.Composite(state=state, meta=described))
        except Exception as error:  # whatever the disk makes Orbax raise
            raise self._failed(error) from None
        if not saved:
            raise SaveFailed(f"Orbax refused checkpoint {chunk}, the newest is {self.latest}")
        self._saving = chunk

    def check(self) -> None:
        """Raises SaveFailed if the last save has failed in the background by now."""
        if self._saving is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Returns when the last save is on disk.

        Raises:
          SaveFailed: it never will be.
        """
        if self._saving is None:
            return
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failed(error) from None
        self._saving = None
        self._empty_trash()

    @property
    def latest(self) -> int:
        """The chunk of the newest checkpoint, 0 where there is none; the next save must be above it."""
        return max(self._manager.all_steps(), default=0)

    def restore(self, template: Callable[[dict[str, Any]], Any], note: Callable[[str], None]) -> Restored | None:
        """Returns the newest whole checkpoint, or None where there is none or it does not fit.

        Args:
          template: `(meta) -> tree` that was saved with this meta: ShapeDtypeStructs with shardings, or NumPy arrays
            where the leaf is wanted on the host; raises Mismatch where it does not fit.
          note: told of every checkpoint that had to be passed over.
        """
        for chunk in sorted(self._manager.all_steps(), reverse=True):
            try:
                return self._read(chunk, template)
            except Mismatch as error:
                note(f"checkpoint {chunk} in {self._directory} does not fit: {error}; its unfinished runs begin anew")
                return None
            except jax.errors.JaxRuntimeError:
                raise
            except Exception as error:  # whatever a damaged directory makes Orbax raise
                note(f"checkpoint {chunk} in {self._directory} is damaged ({_first_line(error)}): using the one before")
                self._litter = True
                self._manager.delete(chunk)
                self._empty_trash()  # its number will be used again
        return None

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._opened is None:
            self._empty_trash()  # of steps whose deletion was interrupted
            self._opened = ocp.CheckpointManager(
                self._directory.resolve(),
                item_names=("state", "meta"),
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=policies.LatestN(2),
                    cleanup_tmp_directories=True,
                    todelete_subdir=TRASH,
                ),
            )
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            with contextlib.suppress(Exception):  # who needs the last save has waited for it
                self._opened.close()
            self._opened = None
            self._empty_trash()

    def _failed(self, error: Exception) -> SaveFailed:
        """Returns the failure after giving up the manager, which would go on to list the failed step as its latest."""
        self._saving, self._litter = None, True
        manager, self._opened = self._opened, None
        with contextlib.suppress(Exception):  # the same failure once more
            if manager is not None:
                manager.close()
        return SaveFailed(_first_line(error))

    def _check_room(self, needed: int) -> None:
        """Raises SaveFailed where nothing can be written, which Orbax's threads would say in many tracebacks."""
        refused = ""
        if processes.first():
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                trial = self._directory.parent / f".{self._directory.name}.trial"
                trial.write_bytes(bytes(TRIAL_BYTES))
                trial.unlink()
                if shutil.disk_usage(self._directory).free < needed:
                    raise OSError(errno.ENOSPC, f"no room for {needed} bytes in", str(self._directory))
            except OSError as error:
                refused = str(error)
        if processes.agreed(bool(refused)):
            raise SaveFailed(refused or "the first process cannot write")

    def _unless_of_a_failure(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Shows an error that nobody can catch, unless it comes late to a failure of Orbax, which is said already."""
        code = getattr(unraisable.object, "cr_code", None)  # of a coroutine
        late = str(unraisable.exc_value) == "Event loop is closed" or "orbax" in getattr(code, "co_filename", "")
        if not late:
            self._hook(unraisable)

    def _collect(self) -> None:
        """Collects the tasks that Orbax leaves behind of a failure, now that what they say of it can be left out."""
        if self._litter:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # reads beside a failing one are never awaited
                gc.collect()

    def _empty_trash(self) -> None:
        if processes.first():
            shutil.rmtree(self._directory / TRASH, ignore_errors=True)

    def _read(self, chunk: int, template: Callable[[dict[str, Any]], Any]) -> Restored:
        meta = self._manager.restore(chunk, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        if "sums" not in meta:
            raise Mismatch("an older version wrote it")
        wanted = template(meta)
        leaves = _named_leaves(wanted)
        state = ocp.args.StandardRestore(leaves)
        found = self._manager.restore(chunk, args=ocp.args.Composite(state=state))["state"]
        wrong = [name for name, total in _sums(found).items() if meta["sums"].get(name) != total]
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


def _sums(leaves: Mapping[str, Any]) -> dict[str, int]:
    """Returns a checksum per leaf: a flipped bit on disk would restore silently wrong."""
    rows = processes.to_host(row_sums(dict(leaves)))
    return {name: int(sums.astype(np.uint64).sum() % 2**32) for name, sums in rows.items()}


@jax.jit
def row_sums(leaves: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Returns uint32[rows] of each leaf, the sum over a row of its words, each times an odd number of its place.

    Computed where the leaf lies, and the same on any number of devices. A flipped bit always changes the sum over all
    rows modulo 2^32, for odd numbers have inverses there. The rows are added up on the host: on the CPU, programs with
    collectives that are under way at the same time can wait for each other forever.
    """
    return {name: _row_sums(leaf) for name, leaf in leaves.items()}


def _row_sums(leaf: jax.Array) -> jax.Array:
    words = leaf.astype(jnp.uint8) if leaf.dtype == bool else _words(leaf)
    place = jnp.zeros(words.shape, jnp.uint32)
    for axis in range(words.ndim):
        place = (place + jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)) * jnp.uint32(ODD_MULTIPLIERS[0])
    place = (place ^ (place >> 15)) * jnp.uint32(ODD_MULTIPLIERS[1])
    place = (place ^ (place >> 13)) * jnp.uint32(ODD_MULTIPLIERS[2])
    return (words.astype(jnp.uint32) * (place | jnp.uint32(1))).sum(tuple(range(1, words.ndim)), dtype=jnp.uint32)


def _words(leaf: jax.Array) -> jax.Array:
    bits = min(32, 8 * leaf.dtype.itemsize)
    return jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{bits}"))


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Whether a log record is not about a save or restore that failed, which is said here in one line."""
    return "orbax" not in record.pathname and "orbax" not in record.getMessage()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
