"""The run directory: who writes in it, what it was made from, and whether a command may go on in it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import phenom_jax
from phenom_jax.engine.changes import Others
from phenom_jax.engine.code import Code, code_of, digest
from phenom_jax.engine.provenance import Environment, Start, environment, read_environment, read_start
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import InvalidValue
from phenom_jax.store.atomic import write_whole
from phenom_jax.store.united import PARTS
from phenom_jax.sweep.axes import Sweep

MatmulPrecision = Literal["highest", "high", "default"]

# Of run directories, an entry of their config.json; the first had none. Raise it when something in a directory comes to
# mean something else or moves. A new setting is no reason: a directory without it takes its default, which must
# therefore be what was done before there was the setting.
FORMAT = 2
CONFIG = "config.json"
LOCK = "lock"
DECIDING = ("float_type", "matmul_precision", "retire_done")  # the settings that decide results, beside the schedule


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sweep is trained, beside the hyperparameters.

    Attributes:
      float_type, matmul_precision, schedule, retire_done: decide the results; a directory has one of each.
      devices: how many CPU devices, or None for one per core.
      lanes: runs side by side in a program, or None for what memory and a probe allow.
      group: lanes that one vmap holds, the groups one after the other; None for the measured best.
      on_diverge: what a run does that diverged: it leaves its lane, goes on to its last step, or stops the sweep.
      checkpoint_seconds: the cadence of checkpoints.
      rerun: runs of this status are trained again, those of other code, or all.
      accept_changes: runs of other code are kept beside those of this one.
    """

    float_type: Literal["float32", "float64"] = "float32"
    matmul_precision: MatmulPrecision = "highest"
    schedule: Schedule = Schedule()
    retire_done: bool = True
    devices: int | None = None
    lanes: int | None = None
    group: int | None = None
    on_diverge: Literal["retire", "continue", "stop"] = "retire"
    checkpoint_seconds: float = 60.0
    rerun: Literal["failed", "diverged", "changed", "all"] | None = None
    accept_changes: bool = False


@dataclasses.dataclass(frozen=True)
class Config:
    """What a run directory was made from; `config.json` holds it field by field.

    Attributes:
      command, environment, started, plan: of the latest start.
      created: when the directory was; later starts leave it.
      part: which part of the sweep the directory holds, how it is split into parts, or nothing where it holds all.
      format: of the directory. Settings that an older one lacks take their defaults.
      starts: all of them, the latest last; of a sweep in parts, those that brought something new.
      codes: by digest, of the starts.
    """

    experiment: str
    command: str
    sweep: Sweep
    settings: Settings
    environment: Environment
    plan: Mapping[str, Any]
    created: str
    started: str
    part: str = ""
    format: int = FORMAT
    starts: tuple[Start, ...] = ()
    codes: Mapping[str, Code] = dataclasses.field(default_factory=dict)

    @property
    def code(self) -> str:
        """The digest of the latest start's code, nothing where none was kept."""
        return self.starts[-1].code if self.starts else ""


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

    def describe_program(self, bucket_id: str, facts: Mapping[str, Any]) -> None:
        """Adds what is known of a program once it runs (its lanes) to the plan in the config."""
        for bucket in self.config.plan.get("buckets", []):
            if bucket["id"] == bucket_id:
                bucket.update(facts)
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
    differences = list(_differences(earlier, config))
    if differences:
        lines = "\n".join(f"  {line}" for line in differences)
        raise InvalidValue(
            f"out: {path} was made by another command, allowed is the same or more runs, or another --out:\n{lines}"
        )
    return earlier


def agrees(path: Path, config: Config) -> bool:
    """Whether there is a directory in which a command goes on. Changes nothing.

    Raises:
      InvalidValue: it is not ours or disagrees, see RunDirectory.
    """
    path = Path(path).expanduser().absolute()
    earlier = check(path, config)
    _gone_on(path, earlier, config)
    return earlier is not None


def read_config(path: str | Path) -> Config:
    """Returns the config of a run directory. Settings that it lacks take their defaults.

    Raises:
      InvalidValue: its `config.json` is not one of ours, of a later format, or says what is unknown here.
    """
    unknown = InvalidValue(f"out: {path}/{CONFIG} is not one that this version wrote")
    try:
        found = json.loads((Path(path) / CONFIG).read_text())
        written = found.get("format", 1)
    except (ValueError, AttributeError):
        raise unknown from None
    if type(written) is not int or written < 1:
        raise unknown
    if written > FORMAT:
        raise InvalidValue(
            f"out: {path}/{CONFIG} is of format {written}, written by {_version(found)}, allowed are formats up to "
            f"{FORMAT}, for this is phenom_jax {phenom_jax.__version__}"
        )
    try:
        settings, schedule = found["settings"], found["settings"]["schedule"]
        foreign = [*_foreign(found, Config), *_foreign(settings, Settings), *_foreign(schedule, Schedule)]
        if foreign:
            raise InvalidValue(
                f"out: {path}/{CONFIG}, written by {_version(found)}, says what phenom_jax {phenom_jax.__version__} "
                f"knows nothing of: {', '.join(foreign)}"
            )
        axes = {name: tuple(values) for name, values in found["sweep"]["axes"].items()}
        return Config(
            **found
            | {
                "sweep": Sweep(axes, tuple(map(tuple, found["sweep"]["zips"]))),
                "settings": Settings(**settings | {"schedule": Schedule(**schedule)}),
                "environment": read_environment(found["environment"]),
                "starts": tuple(map(read_start, found.get("starts", ()))),
                "format": FORMAT,
            }
        )
    except InvalidValue:
        raise
    except (ValueError, TypeError, KeyError, AttributeError):
        raise unknown from None


def _foreign(found: Mapping[str, Any], known: type) -> list[str]:
    """Returns the entries of `found` that are no field of the dataclass, with their values."""
    names = {field.name for field in dataclasses.fields(known)}
    return [f"{name} = {json.dumps(value)}" for name, value in found.items() if name not in names]


def _version(found: Mapping[str, Any]) -> str:
    """Returns which version of this package wrote a config, as far as it says so."""
    environment = found.get("environment")
    said = environment if isinstance(environment, dict) else {}
    versions, commit = said.get("versions"), said.get("commit")
    version = versions.get("phenom_jax", "") if isinstance(versions, dict) else ""
    return " ".join(["phenom_jax", *([version] if version else []), *([f"at commit {commit}"] if commit else [])])


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


def make_config(
    experiment: Experiment, command: str, sweep: Sweep, settings: Settings, plan: Mapping[str, Any]
) -> Config:
    """Returns the config of a sweep about to start here and now; starts JAX."""
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    code, here = code_of(experiment), environment()
    start = Start(now, command, here, digest(code))
    return Config(
        experiment=experiment.name,
        command=command,
        sweep=sweep,
        settings=settings,
        environment=here,
        plan=plan,
        created=now,
        started=now,
        starts=(start,),
        codes={digest(code): code},
    )


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


def _differences(earlier: Config, config: Config) -> Iterator[str]:
    """Yields a line per field in which the command disagrees with the directory."""
    if earlier.experiment != config.experiment:
        yield _disagreement("experiment", earlier.experiment, config.experiment)
        return
    before, now = _deciding(earlier.settings), _deciding(config.settings)
    yield from (_disagreement(name, before[name], now[name]) for name in before if before[name] != now[name])
    if earlier.part != config.part:
        yield _disagreement("parts", earlier.part or "none", config.part or "none")
    if {run.id for run in config.sweep.runs()} >= {run.id for run in earlier.sweep.runs()}:
        return
    axes, offered = dict(earlier.sweep.axes), dict(config.sweep.axes)
    axes |= {name: () for name in offered if name not in axes}
    lacking = [name for name, values in axes.items() if not values or set(values) - set(offered.get(name, ()))]
    for name in lacking:
        on_one_side = "" if axes[name] and name in offered else "; runs with it are other runs than those without"
        yield _disagreement(name, _listed(axes[name]), _listed(offered.get(name, ()))) + on_one_side
    if not lacking:
        zips = (" ".join(map(",".join, sweep.zips)) or "none" for sweep in (earlier.sweep, config.sweep))
        yield _disagreement("zip", *zips)


def _deciding(settings: Settings) -> dict[str, object]:
    """Returns the settings that decide results, by flag."""
    return {name: getattr(settings, name) for name in DECIDING} | dataclasses.asdict(settings.schedule)


def _disagreement(name: str, before: object, now: object) -> str:
    return f"{name}: directory has {before}, command has {now}"


def _listed(values: tuple) -> str:
    shown = [str(value) for value in values]
    return ",".join(shown if len(shown) <= 12 else [*shown[:5], "...", *shown[-2:]]) or "no such field"


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()
