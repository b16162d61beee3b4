"""Checkpoints of a program's lanes: Orbax, asynchronous and atomic, with a checksum per leaf."""

from __future__ import annotations

import contextlib
import copy
import errno
import gc
import json
import logging
import os
import shutil
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from phenom_jax.device import processes
from phenom_jax.training.checksums import leaf_sums

TRASH = "_trash"
TRIAL_BYTES = 4096
READ_ATTEMPTS = 4
RETRY_SECONDS = 1.0  # between two of them
READ_BYTES = 2**20
LOGGERS = (logging.getLogger("absl"), logging.getLogger("asyncio"))


class Mismatch(Exception):
    """A whole checkpoint does not fit what is to go on from it: other steps, another version."""


class SaveFailed(Exception):
    """A checkpoint could not be written; the text says why."""


class Damaged(Exception):
    """A checkpoint was read and found wrong; the text says how."""


class Unreadable(Exception):
    """The disk does not hand over a checkpoint, which may be whole; the text says why."""


class Restored(NamedTuple):
    """A checkpoint read back: the chunk it was taken after, the tree, and the JSON saved beside it."""

    chunk: int
    tree: Any
    meta: dict[str, Any]


class Checkpoints:
    """The two newest checkpoints of one program, in a directory of its own. Use it as a context manager.

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
        known = copy.deepcopy({**meta, "sums": leaf_sums(leaves)})  # it is written in the background
        described = ocp.args.JsonSave({**known, "sum": _sum_of_meta(known)})
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
        Raises:
          Unreadable: the disk refuses, so that nothing is known of a checkpoint; none was removed.
        """
        found, damaged = None, []
        for chunk in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self._read(chunk, template)
                break
            except Mismatch as error:
                note(f"checkpoint {chunk} in {self._directory} does not fit: {error}; its unfinished runs begin anew")
                break
            except Damaged as error:
                note(f"checkpoint {chunk} in {self._directory} is damaged ({error}): using the one before")
                damaged.append(chunk)
        self._remove(damaged)
        return found

    @property
    def _manager(self) -> ocp.CheckpointManager:
        if self._opened is None:
            self._empty_trash()  # of steps whose deletion was interrupted
            options = ocp.CheckpointManagerOptions(
                preservation_policy=policies.LatestN(2), cleanup_tmp_directories=True, todelete_subdir=TRASH
            )
            try:
                where = self._directory.resolve()
                self._opened = ocp.CheckpointManager(where, item_names=("state", "meta"), options=options)
            except OSError as error:
                raise Unreadable(f"no checkpoint can be read: {error}") from None
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
        meta = self._item(chunk, "meta", ocp.args.JsonRestore())
        if "sums" not in meta:
            raise Mismatch("an older version wrote it")
        if meta.pop("sum", None) not in (None, _sum_of_meta(meta)):  # not every version wrote it
            raise Damaged("checksum of what describes it")
        wanted = template(meta)
        leaves = _named_leaves(wanted)
        found = self._item(chunk, "state", ocp.args.StandardRestore(leaves))
        wrong = [name for name, total in leaf_sums(found).items() if meta["sums"].get(name) != total]
        if processes.anywhere(bool(wrong)):
            raise Damaged(f"checksum of {wrong[0] if wrong else 'a leaf elsewhere'}")
        paths, structure = jax.tree.flatten_with_path(wanted)
        tree = [found.get(jax.tree_util.keystr(path)) for path, _ in paths]
        filled = [np.zeros(s.shape, s.dtype) if leaf is None else leaf for leaf, (_, s) in zip(tree, paths)]
        return Restored(chunk, jax.tree.unflatten(structure, filled), meta)

    def _item(self, chunk: int, name: str, how: Any) -> Any:
        """Returns what a checkpoint holds under a name, with patience where the disk refuses.

        Raises:
          Damaged: twice it could not be made out although every file was there to be read.
          Unreadable: the disk refused to the end.
        """
        refusal, seen = "", 0
        for attempt in range(READ_ATTEMPTS):
            time.sleep(RETRY_SECONDS if attempt else 0)
            found, failure = None, None
            try:
                found = self._manager.restore(chunk, args=ocp.args.Composite(**{name: how}))[name]
            except (jax.errors.JaxRuntimeError, Unreadable):
                raise
            except Exception as error:  # whatever a damaged directory or a failing disk makes Orbax raise
                failure, self._litter = error, True
            refusal = self._refusal(chunk, failure) if failure else ""
            failed, refused = processes.anywhere([failure is not None, bool(refusal)])
            if not failed:
                return found
            seen += not refused
            if seen == 2:
                raise Damaged(_first_line(failure) if failure else "as another process says")
        raise Unreadable(f"checkpoint {chunk} in {self._directory} cannot be read: {refusal or 'by another process'}")

    def _refusal(self, chunk: int, failure: Exception) -> str:
        """Returns why the disk does not hand over a checkpoint, nothing where its files can be read or are gone.

        Orbax and tensorstore wrap what the disk says, so that its files are read once more without them.
        """
        if isinstance(failure, OSError) and not isinstance(failure, FileNotFoundError):
            return str(failure)
        refusals: list[OSError] = []
        for folder, _, names in os.walk(self._directory / str(chunk), onerror=refusals.append):
            for name in names:
                try:
                    with open(Path(folder, name), "rb") as file:
                        while file.read(READ_BYTES):
                            pass
                except OSError as error:
                    refusals.append(error)
        return next((str(error) for error in refusals if not isinstance(error, FileNotFoundError)), "")

    def _remove(self, chunks: Sequence[int]) -> None:
        """Removes checkpoints whose numbers will be used again."""
        for chunk in chunks:
            try:
                self._manager.delete(chunk)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise Unreadable(f"damaged checkpoint {chunk} cannot be removed: {error}") from None
        if chunks:
            self._empty_trash()


def _named_leaves(tree: Any) -> dict[str, Any]:
    """Returns the leaves by path, without those of size zero, which Orbax does not take."""
    leaves = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if np.prod(leaf.shape, dtype=int)}


def _sum_of_meta(meta: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(meta, sort_keys=True).encode())


def _not_of_orbax(record: logging.LogRecord) -> bool:
    """Whether a log record is not about a save or restore that failed, which is said here in one line."""
    return "orbax" not in record.pathname and "orbax" not in record.getMessage()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
