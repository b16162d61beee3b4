"""The run directory: who writes in it, and whether a command may go on there."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from phenom_jax.hparams import InvalidValue
from phenom_jax.store.atomic import write_whole
from phenom_jax.store.changes import Others
from phenom_jax.store.config import CONFIG, Config, differences, left_out, read_config
from phenom_jax.store.dataset import read_statuses
from phenom_jax.store.ends import kept_ends
from phenom_jax.store.provenance import Start
from phenom_jax.store.united import STORE
from phenom_jax.sweep.parts import PARTS

LOCK = "lock"
Where = str | os.PathLike[str]


class RunDirectory:
    """A directory this process alone writes in; a context manager that gives it back.

    Attributes:
      path: absolute.
      config: as written in it.
      remarks: what must be said of runs in it.
    """

    def __init__(self, path: str | Path, config: Config, writes: bool = True):
        """Makes or opens the directory and writes its config.

        Args:
          writes: False where another process of the same training does so.
        Raises:
          InvalidValue: it cannot be written, is in use by another process, holds what is not a run directory, or
            was made by another experiment, other settings, other code or runs that `config` leaves out. Nothing is
            changed then.
        """
        self.path = Path(path).expanduser().absolute()
        self.config = config
        self.remarks: tuple[str, ...] = ()
        self._writes = writes
        if writes:
            self._take()

    def _take(self) -> None:
        config = self.config
        check(self.path, config)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / LOCK).open("a+")
            self._take_lock()
        except OSError as error:
            raise InvalidValue(f"out: cannot write in {self.path}: {error.strerror}") from None
        try:
            self.config, self.remarks = _gone_on(self.path, check(self.path, config), config)
            self._write()
        except OSError as error:
            self.close()
            raise InvalidValue(f"out: cannot write in {self.path}: {error.strerror}") from None
        except InvalidValue:
            self.close()
            raise

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets other processes write here."""
        if self._writes:
            self._lock.close()

    def describe_program(self, program_id: str, facts: Mapping[str, Any]) -> None:
        """Adds what is known of a program once it runs (its lanes) to the plan in the config."""
        for program in self.config.plan.get("programs", []):
            if program["id"] == program_id:
                program.update(facts)
        if self._writes:
            with contextlib.suppress(OSError):  # a full disk stops no training; the report lacks these facts
                self._write()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(self._lock) or "a process that just started"
            self._lock.close()
            raise InvalidValue(f"out: {self.path} is in use by {holder}, allowed is one process at a time") from None

    def _write(self) -> None:
        self._lock.truncate(0)
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        self._lock.flush()
        temporary = self.path / f"{CONFIG}.new"
        with temporary.open("w") as file:
            json.dump(dataclasses.asdict(self.config), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path / CONFIG)


@contextlib.contextmanager
def place(out: Where | None) -> Iterator[Path]:
    """Yields where a run directory is to be: as asked for, or a temporary place that is removed afterwards."""
    if out is not None:
        yield Path(out).expanduser().absolute()
        return
    with tempfile.TemporaryDirectory(prefix="phenom_jax-") as made:
        yield Path(made)


@contextlib.contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Whether no process trains in a directory: then none begins for as long as this is entered."""
    with (path / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def check(path: Path, config: Config) -> Config | None:
    """Returns the directory's config, or None where it is new or empty.

    Raises:
      InvalidValue: the directory is not ours or disagrees with `config`; one line per field that differs.
    """
    try:
        entries = {entry.name for entry in path.iterdir()} if path.exists() else set()
        if CONFIG not in entries:
            if {name for name in entries if CONFIG not in name} - {LOCK, PARTS, "jobs"}:
                raise InvalidValue(
                    f"out: {path} holds other files and no {CONFIG}, allowed is a new or empty directory"
                )
            return None
        earlier = read_config(path)
    except OSError as error:
        raise InvalidValue(f"out: cannot read {path}: {error.strerror}") from None
    disagreeing = list(differences(earlier, config))
    if disagreeing:
        lines = "\n".join(f"  {line}" for line in disagreeing)
        raise InvalidValue(
            f"out: {path} was made by another command, allowed is the same or more runs, or another --out:\n{lines}"
        )
    _check_ends(path, earlier, config)
    return earlier


def _check_ends(path: Path, earlier: Config, config: Config) -> None:
    """Raises InvalidValue if a run would give way to a longer one that cannot go on from its end."""
    gone = {run.id for run in left_out(earlier, config)}
    if not gone or not (path / STORE).exists():
        return
    begun = {run_id: status for run_id, status in read_statuses(path / STORE).items() if status != "waiting"}
    what = "allowed for more steps is"
    for name in gone & begun.keys():
        if begun[name] not in ("finished", "done", "diverged"):
            raise InvalidValue(f"steps: run {name} in {path} is {begun[name]}, {what} to end it first")
    if lacking := (gone & begun.keys()) - kept_ends(path):
        raise InvalidValue(
            f"steps: the ends of {len(lacking)} runs in {path} were not kept (--keep_ends), {what} another --out"
        )


def agrees(path: Path, config: Config) -> bool:
    """Whether there is a directory in which a command goes on. Changes nothing.

    Raises:
      InvalidValue: it is not ours or disagrees, see RunDirectory.
    """
    path = Path(path).expanduser().absolute()
    earlier = check(path, config)
    _gone_on(path, earlier, config)
    return earlier is not None


def share_out(path: Path, config: Config, split: str, writes: bool = True) -> None:
    """Makes or opens the directory of a sweep in parts; many jobs may do so at once.

    Args:
      config: of the whole sweep.
      split: how it is split, or one of the ways in which an existing directory is.
      writes: False where it is only asked whether this can be done.
    Raises:
      InvalidValue: it cannot be written or disagrees, see `check`.
    """
    path = Path(path).expanduser().absolute()
    try:
        if (path / CONFIG).exists() and split in (known := read_config(path).part).split():
            split = known
        config = dataclasses.replace(config, part=split)
        earlier = check(path, config)
        if not writes:
            _gone_on(path, earlier, config)
            return
        path.mkdir(parents=True, exist_ok=True)
        with (path / LOCK).open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            earlier = check(path, config)
            config, _ = _gone_on(path, earlier, config)
            *before, start = config.starts or (None,)
            if start and any(dataclasses.replace(start, started=s.started, command=s.command) == s for s in before):
                config = dataclasses.replace(config, starts=tuple(before))  # each part has its own
            write_whole(path / CONFIG, json.dumps(dataclasses.asdict(config), indent=1))
    except OSError as error:
        raise InvalidValue(f"out: cannot write in {path}: {error.strerror}") from None


def _gone_on(path: Path, earlier: Config | None, config: Config) -> tuple[Config, tuple[str, ...]]:
    """Returns the config of a start in a directory with its earlier starts before it, and what must be said of runs.

    Raises:
      InvalidValue: other code made runs that the directory holds, and the command does not say what to do with them.
    """
    if earlier is None:
        return config, ()
    starts = earlier.starts or (Start(earlier.started, earlier.command, earlier.environment),)
    codes = {**earlier.codes, **config.codes}
    others = Others(path, config.code, codes, config.settings.rerun)
    own = tuple(others.counts.keys() - {""}) if config.settings.accept_changes else ()
    others.refuse(path, {*own, *(code for start in starts if start.code == config.code for code in start.accepted)})
    new = tuple(dataclasses.replace(start, accepted=tuple(sorted(own))) for start in config.starts)
    config = dataclasses.replace(config, created=earlier.created, starts=(*starts, *new), codes=codes)
    return config, tuple(others.remarks())


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()
