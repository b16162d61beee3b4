"""The config of a run directory: what it was made from, as `config.json` holds it, and its only reading."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import phenom_jax
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import InvalidValue
from phenom_jax.store.code import Code, called, code_of, digest, home
from phenom_jax.store.provenance import Environment, Start, environment, read_environment, read_start
from phenom_jax.sweep.axes import Run, Sweep
from phenom_jax.sweep.longer import superseded
from phenom_jax.sweep.settings import DECIDING, Settings

# Of run directories, an entry of their config.json; the first had none. Raise it when something in a directory comes to
# mean something else or moves. A new setting is no reason: a directory without it takes its default, which must
# therefore be what was done before there was the setting.
FORMAT = 2
CONFIG = "config.json"


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
      module: where the experiment can be imported from, nothing where that is not known.
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
    module: str = ""

    @property
    def code(self) -> str:
        """The digest of the latest start's code, nothing where none was kept."""
        return self.starts[-1].code if self.starts else ""


def read_config(path: str | Path, flag: str = "out") -> Config:
    """Returns the config of a run directory. Settings that it lacks take their defaults.

    Args:
      flag: that names the directory, for what is raised.
    Raises:
      InvalidValue: there is no `config.json`, or it is not one of ours, of a later format, or says what is unknown.
      OSError: it cannot be read.
    """
    unknown = InvalidValue(f"{flag}: {path}/{CONFIG} is not one that this version wrote")
    try:
        found = json.loads((Path(path) / CONFIG).read_text())
        written = found.get("format", 1)
    except (FileNotFoundError, NotADirectoryError):
        raise InvalidValue(f"{flag}: {path} is no run directory, allowed is the --out of a sweep") from None
    except (ValueError, AttributeError):
        raise unknown from None
    if type(written) is not int or written < 1:
        raise unknown
    if written > FORMAT:
        raise InvalidValue(
            f"{flag}: {path}/{CONFIG} is of format {written}, written by {_version(found)}, allowed are formats up to "
            f"{FORMAT}, for this is phenom_jax {phenom_jax.__version__}"
        )
    try:
        settings, schedule = found["settings"], found["settings"]["schedule"]
        foreign = [*_foreign(found, Config), *_foreign(settings, Settings), *_foreign(schedule, Schedule)]
        if foreign:
            raise InvalidValue(
                f"{flag}: {path}/{CONFIG}, written by {_version(found)}, says what phenom_jax {phenom_jax.__version__} "
                f"knows nothing of: {', '.join(foreign)}"
            )
        products = found["sweep"]["axes"], *found["sweep"].get("added", ())  # older ones have none
        axes, *added = ({name: tuple(values) for name, values in each.items()} for each in products)
        return Config(
            **found
            | {
                "sweep": Sweep(axes, tuple(map(tuple, found["sweep"]["zips"])), tuple(added)),
                "settings": Settings(**settings | {"schedule": Schedule(**schedule)}),
                "environment": read_environment(found["environment"]),
                "starts": tuple(map(read_start, found.get("starts", ()))),
                "plan": _read_plan(found["plan"]),
                "format": FORMAT,
            }
        )
    except InvalidValue:
        raise
    except (ValueError, TypeError, KeyError, AttributeError):
        raise unknown from None


def experiment_of(directory: str | Path, flag: str = "directory") -> Experiment:
    """Returns the experiment of a run directory, imported.

    Raises:
      InvalidValue: it is no run directory, or its experiment cannot be imported here.
    """
    config = read_config(directory, flag)
    module = config.module or f"experiments.{config.experiment}"
    wanted = f"{flag}: {directory} is of {config.experiment!r}, which"
    try:
        found = _named(config.experiment, importlib.import_module(module))
    except ImportError as error:
        raise InvalidValue(f"{wanted} cannot be imported: {error}") from None
    if found is None:
        raise InvalidValue(f"{wanted} {module} does not hold")
    return found


def _module_of(experiment: Experiment) -> str:
    """Returns the innermost module around the science that holds the experiment, nothing where none does."""
    name = home(experiment.init)
    while name and not (name in sys.modules and _named(experiment.name, sys.modules[name])):
        name = name.rpartition(".")[0]
    return called(name) if name else ""


def _named(name: str, module: ModuleType) -> Experiment | None:
    """Returns the experiment of this name that a module holds."""
    return next((it for it in vars(module).values() if isinstance(it, Experiment) and it.name == name), None)


def _read_plan(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a plan as JSON has it; format 2 called programs buckets at first."""
    return {"programs" if name == "buckets" else name: value for name, value in found.items()}


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
        module=_module_of(experiment),
    )


def differences(earlier: Config, config: Config) -> Iterator[str]:
    """Yields a line per field in which the command disagrees with the directory. Runs may give way to longer ones."""
    if earlier.experiment != config.experiment:
        yield _disagreement("experiment", earlier.experiment, config.experiment)
        return
    before, now = _deciding(earlier.settings), _deciding(config.settings)
    yield from (_disagreement(name, before[name], now[name]) for name in before if before[name] != now[name])
    if earlier.part != config.part:
        yield _disagreement("parts", earlier.part or "none", config.part or "none")
    gone = left_out(earlier, config)
    if len(superseded(gone, config.sweep.runs())) == len(gone) and not (gone and earlier.part):
        return
    axes, offered = dict(earlier.sweep.axes), dict(config.sweep.axes)
    axes |= {name: () for name in offered if name not in axes}
    lacking = [name for name, values in axes.items() if not values or set(values) - set(offered.get(name, ()))]
    for name in lacking:
        on_one_side = "" if axes[name] and name in offered else "; runs with it are other runs than those without"
        yield _disagreement(name, _listed(axes[name]), _listed(offered.get(name, ()))) + on_one_side
    if not lacking:
        sweeps = earlier.sweep, config.sweep
        zips = [" ".join(map(",".join, sweep.zips)) or "none" for sweep in sweeps]
        added = [" and ".join(map(_written, sweep.added)) or "none" for sweep in sweeps]
        yield _disagreement("zip", *zips) if added[0] == added[1] else _disagreement("add", *added)


def left_out(earlier: Config, config: Config) -> list[Run]:
    """Returns the runs of the directory that the command leaves out."""
    offered = {run.id for run in config.sweep.runs()}
    return [run for run in earlier.sweep.runs() if run.id not in offered]


def _deciding(settings: Settings) -> dict[str, object]:
    """Returns the settings that decide results, by flag."""
    return {name: getattr(settings, name) for name in DECIDING} | dataclasses.asdict(settings.schedule)


def _disagreement(name: str, before: object, now: object) -> str:
    return f"{name}: directory has {before}, command has {now}"


def _written(axes: Mapping[str, tuple]) -> str:
    """Returns axes as `add` takes them."""
    return repr(" ".join(f"{name}={_listed(values)}" for name, values in axes.items()))


def _listed(values: tuple) -> str:
    shown = [str(value) for value in values]
    return ",".join(shown if len(shown) <= 12 else [*shown[:5], "...", *shown[-2:]]) or "no such field"
