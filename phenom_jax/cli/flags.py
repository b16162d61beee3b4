"""The flags of an experiment: one per hyperparameter, taking a value or an axis, and those of the engine."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from absl import flags as absl_flags

from phenom_jax.cli.cluster import Cluster
from phenom_jax.cli.source import FLAGS, First, flags_of, has_source, open_source, selected
from phenom_jax.device.devices import MOST_PER_CORE, cores
from phenom_jax.device.forecast import ACCELERATORS, named_accelerator
from phenom_jax.device.processes import Group
from phenom_jax.experiment import Experiment, FloatType, Preset, Schedule
from phenom_jax.hparams import Bounds, Field, InvalidValue, Value, build
from phenom_jax.sweep.axes import Sweep, nearest, parse_sweep
from phenom_jax.sweep.grammar import allowed, parse_axis
from phenom_jax.sweep.parts import Part, parse_part
from phenom_jax.sweep.settings import DECIDING, Settings

KINDS = {
    "swept": "Hyperparameters, traced: runs of one program may differ in them",
    "size": "Sizes: runs of one program may differ in them, padded to the largest",
    "static": "Compiled in: every value is a program of its own",
}
SWITCHES = {
    "plan": (False, "print the plan and exit; nothing is trained or written"),
    "debug": (False, "compute the first run alone and uncompiled, for breakpoints and NaNs; nothing is written"),
    "report": (True, "write the figures and report.html"),
    "tensorboard": (True, "write tensorboard/: quantiles over runs, counts, hyperparameters"),
    "distributed": (False, "one of several processes that train together, as SLURM, Open MPI, Kubernetes or TPU say"),
    "accept_changes": (False, "keep what other code made in the directory beside what this code makes, marked as such"),
    "keep_ends": (False, "keep runs whole as they end, so that a command with more --steps trains them on"),
    "retire_done": (True, "a run that meets the experiment's `done` leaves before its last step"),
}
LISTS = {
    "zip": "names of axes that advance together, as in --zip=width,learning_rate; may be repeated",
    "add": 'runs beside the product, of its other axes, as in --add="weight_decay=3 width=128"; may be repeated',
    "cluster_option": "a parameter of submitit, as in --cluster_option=slurm_partition=long; may be repeated",
    "tensorboard_runs": "ids of runs whose curves tensorboard/ shows in full",
}
CHANGING = ("zip", *DECIDING, *Schedule.__dataclass_fields__, "on_diverge", "program", "shard")  # what results are
CLUSTERS = ("none", "local", "slurm")
ON_DIVERGE = ("retire", "continue", "stop")
RERUN = ("failed", "diverged", "changed", "all")
GRAMMAR = """\
A hyperparameter takes one value or an axis, and axes make a product unless zipped:
  --weight_decay=0,0.3,1   --seed=0:16   --seed=0:16:2   --learning_rate=log:1e-4:1e-1:7   --FIELD=lin:0.1:0.9:5"""


class Command(NamedTuple):
    """What a command line asks for.

    Attributes:
      experiment: bound to its source, where it has one.
      first: the source that is to be trained before, or None; the rest is parsed again when it is.
      out: of the run directory.
      plan: print it and exit.
      debug: compute one run plainly and exit.
      forecast: for which accelerator and how many of them the plan is made, or None for the devices at hand.
      report, tensorboard: whether to write them.
      tensorboard_runs: run ids shown there in full.
      compilation_cache: its directory, or None for the usual one.
      group: the processes that train together, or None for this one alone.
      part: of the sweep that this process trains, or None for all of it.
      cluster: where to submit the parts as jobs, or None to train here.
      expects: of the preset, where no flag changes its results.
    """

    experiment: Experiment
    first: First | None
    sweep: Sweep
    settings: Settings
    out: Path
    plan: bool
    debug: bool
    forecast: tuple[str, int] | None
    report: bool
    tensorboard: bool
    tensorboard_runs: tuple[str, ...]
    compilation_cache: Path | None
    group: Group | None
    part: Part | None
    cluster: Cluster | None
    expects: Mapping[str, tuple[float, float]]


def parse(experiment: Experiment, arguments: Sequence[str], trained: bool = False) -> Command:
    """Returns what the arguments ask for: defaults, under the preset, under explicit flags.

    Args:
      trained: whether the source that a preset trains first has been trained.
    Raises:
      InvalidValue: an unknown flag or preset, a stray word, or a value that its flag does not allow.
    """
    given = _define(experiment)
    words = _absl_parse(given, arguments)
    if words:
        raise InvalidValue(f"{words[0]}: a stray word, allowed are flags --name=value")
    asked = [field.name for field in flags_of(experiment) if given[field.name].present]
    preset = _preset(experiment.presets, given.preset or "")
    changed = bool(asked) or any(given[name].present for name in CHANGING)
    flags, out, first = preset.flags, None, None
    if has_source(experiment) and not experiment.source:
        experiment, flags, out, first = open_source(experiment, given, preset, trained)
    for name, text in flags.items():
        if not given[name].present:
            given[name].parse(text)
    sweep = _sweep(experiment, given)
    _check_effect(experiment, sweep, asked)
    option: dict[str, Any] = {field.name: _option(field, getattr(given, field.name)) for field in _options(experiment)}
    _check_precision(experiment, sweep, option["float_type"])
    return Command(
        experiment=experiment,
        first=first,
        sweep=sweep,
        settings=Settings(
            float_type=option["float_type"],
            schedule=Schedule(**{name: option[name] for name in Schedule.__dataclass_fields__}),
            retire_done=given.retire_done,
            devices=option["devices"] or None,
            lanes=option["lanes"] or None,
            group=option["group"] or None,
            on_diverge=option["on_diverge"],
            rerun=None if option["rerun"] == "none" else option["rerun"],
            accept_changes=given.accept_changes,
            keep_ends=_keep_ends(experiment, given),
            matmul_precision=option["matmul_precision"],
            checkpoint_seconds=option["checkpoint_seconds"],
        ),
        out=out or Path(option["out"] or "runs/" + "-".join(filter(None, [experiment.name, given.preset]))),
        plan=given.plan,
        debug=given.debug,
        forecast=_forecast(given, option),
        report=given.report,
        tensorboard=given.tensorboard,
        tensorboard_runs=_chosen(sweep, given.tensorboard_runs),
        compilation_cache=Path(option["compilation_cache"]) if option["compilation_cache"] else None,
        group=_group(given.distributed, option),
        part=parse_part(str(option["program"]), str(option["shard"])),
        cluster=_cluster(given, option),
        expects={} if changed else preset.expects,
    )


def help_text(experiment: Experiment) -> str:
    """Returns what --help prints: the experiment, every flag with what the default job has, and the presets."""
    declared, default_job = flags_of(experiment), _preset(experiment.presets, "").flags
    sections = [(sys.modules[experiment.hparams.__module__].__doc__ or experiment.name).strip(), GRAMMAR]
    for kind, title in KINDS.items():
        rows = [_row(field, default_job) for field in declared if field.kind == kind]
        sections += [_section(title, rows)] if rows else []
    engine = [_row(field, default_job) for field in _options(experiment)]
    engine += [(f"--[no]{name}", f"{text} (default {str(on).lower()})") for name, (on, text) in SWITCHES.items()]
    engine += [(f"--{name}=", text) for name, text in LISTS.items()]
    sections.append(_section("The engine", engine))
    presets = []
    for name, preset in experiment.presets.items():
        expected = ", ".join(f"{what} {low:g} to {high:g}" for what, (low, high) in preset.expects.items())
        said = preset.help + (f" Expected medians: {expected}." if expected else "")
        presets.append((f"--preset={name}" if name else "no preset", said))
    sections += [_section("Presets, which explicit flags override", presets)] if presets else []
    return "\n\n".join(sections)


def _options(experiment: Experiment) -> Iterator[Field]:
    """Yields the engine's flags that take one value."""
    schedule = experiment.schedule
    yield _field("out", "", "the run directory, where the same command resumes; runs/NAME[-PRESET] if not given")
    yield _field("on_diverge", "retire", "a run that diverged leaves, goes on or stops the sweep", choices=ON_DIVERGE)
    yield _field("rerun", "none", "train these runs of the directory again", choices=("none", *RERUN))
    yield _field("float_type", experiment.float_type, "of what is computed", choices=get_args(FloatType))
    yield _field("matmul_precision", "highest", "of float32 products", choices=("highest", "high", "default"))
    most = MOST_PER_CORE * cores()
    yield _field("devices", 0, "CPU devices, 0 for one per core", at_least=0, at_most=most)
    yield _field("lanes", 0, "runs side by side in a program, 0 for what fits and is fastest", at_least=0)
    yield _field("group", 0, "lanes of one vmap, groups one after the other, 0 for the measured best", at_least=0)
    yield _field("coordinator_address", "", "HOST:PORT of the first process, with --distributed without a scheduler")
    yield _field("num_processes", 0, "of --distributed, where no scheduler says it", at_least=0)
    yield _field("process_id", -1, "of this process, from 0, where no scheduler says it", at_least=-1)
    yield _field("accelerator", "", f"with --plan: what the sweep would take on {', '.join(ACCELERATORS)}")
    yield _field("accelerators", 1, "how many of them", at_least=1)
    yield _field("shard", "", "train only runs of shard i of n, as in 0/8; each has a place of its own in --out")
    yield _field("program", "", "train only runs of this program, an id as --plan shows it")
    yield _field("cluster", "none", "submit a job per program and shard through submitit", choices=CLUSTERS)
    yield _field("jobs", 1, "of --cluster, shared out among programs by their cost", at_least=1)
    yield _field("concurrent_jobs", 0, "of --cluster at once, 0 for no limit", at_least=0)
    yield _field("gpus_per_job", 0, "of --cluster; a local job sees no other GPU", at_least=0)
    yield _field("cpus_per_job", 0, "of --cluster, 0 for the scheduler's default", at_least=0)
    yield _field("job_hours", 24.0, "of --cluster, after which a job saves and is queued again", above=0)
    yield _field("resolution", schedule.resolution, "steps between two possible looks at a run", at_least=1)
    yield _field("points", schedule.points, "looks with cheap measures, log-spaced", at_least=1)
    yield _field("expensive_points", schedule.expensive_points, "of them with expensive measures", at_least=0)
    yield _field("kept_points", schedule.kept_points, "of them kept whole for later analysis", at_least=0)
    yield _field("checkpoint_seconds", 60.0, "between two checkpoints", at_least=0)
    for name, help in FLAGS.items() if has_source(experiment) else ():
        yield _field(name, "", help)
    yield _field("compilation_cache", "", "where compiled programs are kept; in the user's cache if not given")


def _field(name: str, default: Value, help: str, choices: tuple[Value, ...] = (), **bounds: float) -> Field:
    return Field(name, "static", type(default), default, help, Bounds(**bounds), choices)


def _define(experiment: Experiment) -> absl_flags.FlagValues:
    values = absl_flags.FlagValues()
    for field in (*flags_of(experiment), *_options(experiment)):
        absl_flags.DEFINE_string(field.name, None, field.help, flag_values=values)
    for name, (on, text) in SWITCHES.items():
        absl_flags.DEFINE_boolean(name, on, text, flag_values=values)
    for name, text in LISTS.items():
        absl_flags.DEFINE_multi_string(name, [], text, flag_values=values)
    absl_flags.DEFINE_string("preset", None, "flags set together", flag_values=values)
    return values


def _absl_parse(values: absl_flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Parses the arguments into `values` and returns the words that are no flags."""
    for word in arguments:
        if re.fullmatch(r"--?undefok(=.*)?", word):
            raise InvalidValue("--undefok: no such flag")
        if re.fullmatch(r"--?flagfile=\s*", word):
            raise InvalidValue("flagfile: names no file, allowed is one of flags, --name=value a line")
    try:
        words = values(["", *arguments])[1:]
    except absl_flags.UnrecognizedFlagError as error:
        known = nearest(error.flagname, values).replace("mean ", "mean --")
        raise InvalidValue(f"--{error.flagname}: no such flag{known}") from None
    except absl_flags.Error as error:
        illegal = re.match(r"flag --(\w+)=(.*?): ", str(error))  # only switches are parsed by absl
        if illegal is None:
            raise InvalidValue(str(error)) from None
        raise InvalidValue(f"{illegal[1]}: {illegal[2]!r} is not true or false") from None
    except UnicodeDecodeError:
        raise InvalidValue("flagfile: it is no file of flags, allowed is one --name=value a line") from None
    except ValueError as error:  # absl's word on --noname=value
        name = str(error).partition("=")[0].lstrip("-")
        raise InvalidValue(f"{name}: takes no value, allowed are --{name} and --{name.removeprefix('no')}") from None
    for name in values:
        if values[name].present > 1 and name not in LISTS:
            raise InvalidValue(f"{name}: is given {values[name].present} times, allowed is once")
    return words


def _preset(presets: Mapping[str, Preset], name: str) -> Preset:
    if name and name not in presets:
        names = [known for known in presets if known]
        raise InvalidValue(f"preset: {name!r} is not one of {', '.join(names) or 'none'}{nearest(name, names)}")
    return presets.get(name, Preset("", {}))


def _option(field: Field, text: str | None) -> Value:
    if text is None:
        return field.default
    values = parse_axis(field, text) if text or field.default != "" else ("",)
    if len(values) != 1:
        raise InvalidValue(f"{field.name}: {text!r} is several values, allowed is one")
    field.validate(values[0])
    return values[0]


def _forecast(given: absl_flags.FlagValues, option: Mapping[str, Any]) -> tuple[str, int] | None:
    for name, other in {"accelerator": "plan", "accelerators": "accelerator"}.items():
        if given[name].present and not given[other].present:
            raise InvalidValue(f"{name}: has no effect without --{other}")
    if not option["accelerator"]:
        return None
    named_accelerator(option["accelerator"])
    return option["accelerator"], option["accelerators"]


def _cluster(given: absl_flags.FlagValues, option: Mapping[str, Any]) -> Cluster | None:
    own = ("jobs", "concurrent_jobs", "gpus_per_job", "cpus_per_job", "job_hours")
    pairs = [text.partition("=") for text in given.cluster_option]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise InvalidValue(f"cluster_option: {name + equals + value!r} is not NAME=VALUE")
    if option["cluster"] != "none":
        for name in ("program", "shard"):
            if option[name]:
                raise InvalidValue(f"{name}: has no effect with --cluster, which trains every part")
        return Cluster(
            option["cluster"], **{name: option[name] for name in own}, options={n: value for n, _, value in pairs}
        )
    for name in (*own, "cluster_option"):
        if given[name].present and not given["cluster"].present:  # a job says none in so many words
            raise InvalidValue(f"{name}: has no effect without --cluster")
    return None


def _group(distributed: bool, option: Mapping[str, Any]) -> Group | None:
    said = {"coordinator_address": "", "num_processes": 0, "process_id": -1}
    given = {name: None if option[name] == unsaid else option[name] for name, unsaid in said.items()}
    if distributed:
        return Group(**given)
    for name, value in given.items():
        if value is not None:
            raise InvalidValue(f"{name}: has no effect without --distributed")
    return None


def _keep_ends(experiment: Experiment, given: absl_flags.FlagValues) -> bool:
    if given.keep_ends and experiment.step is None:
        raise InvalidValue(f"keep_ends: has no effect, for runs of {experiment.name} have no steps")
    for name, none in {"shard": "", "program": "", "cluster": "none"}.items():
        if given.keep_ends and (given[name].value or none) != none:
            raise InvalidValue(f"keep_ends: has no effect with --{name}, for parts are not trained longer")
    return given.keep_ends


def _sweep(experiment: Experiment, given: absl_flags.FlagValues) -> Sweep:
    texts = {field.name: getattr(given, field.name) for field in flags_of(experiment)}
    zips = [text for text in given.zip if text]
    kept = selected(experiment.source, given) if experiment.source else {}
    texts, zips = texts | kept, [*zips, *([",".join(kept)] if kept else [])]
    texts = {name: text for name, text in texts.items() if text is not None}
    sweep = parse_sweep(experiment.hparams, texts, zips, given.add)
    if bound := {name for axes in sweep.added for name in axes} & kept.keys():
        raise InvalidValue(f"add: {min(bound)}, allowed are hyperparameters that do not say where a run starts")
    return sweep


def _check_effect(experiment: Experiment, sweep: Sweep, asked: Sequence[str]) -> None:
    """Raises InvalidValue if a flag that was given has no effect on any run: none is silently ignored."""
    if not asked or not hasattr(experiment.hparams, "unused"):
        return
    idle, unused = set(asked), {}
    for run in sweep.runs():
        unused = build(experiment.hparams, run.values).unused()  # type: ignore[attr-defined]
        idle &= unused.keys()
        if not idle:
            return
    name = min(idle)
    raise InvalidValue(f"{name}: has no effect with {unused[name]} in any run of this sweep")


def _check_precision(experiment: Experiment, sweep: Sweep, float_type: FloatType) -> None:
    """Raises InvalidValue if a run needs other floats; the experiment's own serve all its runs."""
    if experiment.check_precision is None or float_type == experiment.float_type:
        return
    for run in sweep.runs():
        experiment.check_precision(build(experiment.hparams, run.values), float_type)


def _chosen(sweep: Sweep, texts: Sequence[str]) -> tuple[str, ...]:
    """Returns the run ids that the texts list."""
    chosen = tuple(run_id for text in texts for run_id in text.split(",") if run_id)
    known = {run.id for run in sweep.runs()} if chosen else set()
    for run_id in chosen:
        if run_id not in known:
            raise InvalidValue(f"tensorboard_runs: {run_id!r} is no run of this sweep, allowed are ids as in runs.csv")
    return chosen


def _row(field: Field, default_job: Mapping[str, str]) -> tuple[str, str]:
    free = field.type is str and not field.choices
    return (
        f"--{field.name}={default_job.get(field.name, field.default)}",
        field.help if free else f"{field.help} ({allowed(field)})",
    )


def _section(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = min(shutil.get_terminal_size().columns, 120)
    column = min(34, max(len(name) for name, _ in rows) + 4)
    lines = [title]
    for name, text in rows:
        first = f"  {name}".ljust(column)
        if len(first) > column:
            lines.append(first)
            first = " " * column
        lines.append(textwrap.fill(text, width, initial_indent=first, subsequent_indent=" " * column))
    return "\n".join(lines)
