"""The Experiment: a handful of pure functions over one run, and what to show of a sweep of them."""

from __future__ import annotations

import dataclasses
import typing
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import jax

from phenom_jax.hparams import Value, build, fields
from phenom_jax.sizes import Size

if TYPE_CHECKING:
    import xarray as xr

    from phenom_jax.claims import Claim
    from phenom_jax.report.marks import Figure
    from phenom_jax.store.source import SourceRuns

HP = TypeVar("HP")  # the experiment's own `@hparams` class
State = TypeVar("State")  # the experiment's own NamedTuple, a pytree
Metrics = Any  # a NamedTuple of scalars or small arrays
FloatType = Literal["float32", "float64"]

LABELS = ("run", "step", "run_id", "status", "last_step", "reason")  # what the results call their own
ENGINE_FLAGS = (  # which no hyperparameter may be named like, and which a preset may set
    *("out", "plan", "debug", "report", "tensorboard", "tensorboard_runs", "zip", "on_diverge", "retire_done"),
    *("rerun", "accept_changes", "keep_ends", "add"),
    *("float_type", "matmul_precision", "devices", "lanes", "group", "compilation_cache", "checkpoint_seconds"),
    *("resolution", "points", "expensive_points", "kept_points", "accelerator", "accelerators"),
    *("distributed", "coordinator_address", "num_processes", "process_id", "shard", "program"),
    *("cluster", "jobs", "concurrent_jobs", "gpus_per_job", "cpus_per_job", "job_hours", "cluster_option"),
)
COMMAND_FLAGS = ("preset", "help", "helpfull", "flagfile", "undefok")  # nor like these, which a preset may not set,
COMMAND_FLAGS += ("zips", "quiet")  # nor like what else `train` takes


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a field of a Metrics is: `train_loss: Annotated[jax.Array, Quantity("training cross-entropy", "nat")]`."""

    long_name: str
    units: str = "1"
    dims: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SourceSweep:
    """A sweep that a preset trains first, to start from: the module of its experiment, and flag texts."""

    module: str
    flags: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Preset:
    """Flag texts set together; `help` says the runs, the time and the phenomenon, and whether it was run.

    Attributes:
      source: of an experiment with a source, what is trained where --run names none.
      expects: by name of a per-run variable or of a measure at the runs' ends, where its median over runs lies.
    """

    help: str
    flags: Mapping[str, str]
    source: SourceSweep | None = None
    expects: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When a run is looked at: at log-spaced multiples of `resolution`, at step 0 and at the last step."""

    resolution: int = 1
    points: int = 100  # cheap measures
    expensive_points: int = 25  # a subset of the cheap ones
    kept_points: int = 8  # a subset too: what `keep` returns is saved for later analysis


@dataclasses.dataclass(frozen=True)
class Landscape:
    """The train loss as a function of the weights, for measures that look around a kept state. Pure, of one run.

    The loss is the mean of `losses(outputs(weights, examples, hp), examples, hp)` over the active examples.

    Attributes:
      examples: `(hp) -> examples`, the train examples drawn anew from the hyperparameters: a pytree of arrays with
        leading axis `count(hp).padded`.
      count: `(hp) -> Size`, how many there are.
      outputs: `(weights, examples, hp) -> float[B, ...]`; weights are what `keep` returns, examples any B of them.
      losses: `(outputs, examples, hp) -> float[B]`.
    """

    examples: Callable[[Any], Any]
    count: Callable[[Any], Size]
    outputs: Callable[[Any, Any, Any], jax.Array]
    losses: Callable[[jax.Array, Any, Any], jax.Array]


@dataclasses.dataclass(frozen=True)
class Experiment(Generic[HP, State]):
    """One phenomenon. Every function is pure and sees one run: no run axis, no flags, no files.

    Attributes:
      name: of the launcher and the run directory.
      hparams: the `@hparams` class; `seed` is required, `steps` (swept int) says how long a run trains; none: a solve.
      init: `(hp) -> state`.
      step: `(state, hp, key) -> (state, metrics)`; metrics hold what a step computes anyway (loss, gradient norm), are
        recorded beside the measures, and a non-finite one means the run diverged.
      measure: `(state, hp) -> metrics`, the cheap schedule.
      expensive: `(state, hp) -> metrics`, the sparse schedule.
      done: `(measured metrics) -> bool[]`; True ends the run before its last step.
      keep: `(state) -> pytree` saved at the kept steps for later analysis.
      check_precision: `(hp, float_type)`, raises InvalidValue for a run that these floats cannot compute.
      landscape: of the train loss around what `keep` returns, where the experiment has one.
      summarise: `(results) -> results` with per-run variables added (a memorisation step, say).
      presets: by name; `""` is what no `--preset` runs.
      source: what runs start from, of an experiment whose hyperparameters are `FromSource`; bound to it by the command.
    """

    name: str
    hparams: type[HP]
    init: Callable[[HP], State]
    step: Callable[[State, HP, jax.Array], tuple[State, Metrics]] | None
    measure: Callable[[State, HP], Metrics]
    expensive: Callable[[State, HP], Metrics] | None = None
    done: Callable[[Metrics], jax.Array] | None = None
    keep: Callable[[State], Any] | None = None
    landscape: Landscape | None = None
    summarise: Callable[[xr.Dataset], xr.Dataset] = lambda results: results
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    claims: tuple[Claim, ...] = ()
    schedule: Schedule = Schedule()
    float_type: FloatType = "float32"  # unless --float_type says otherwise
    check_precision: Callable[[HP, FloatType], None] | None = None
    source: SourceRuns | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, one sentence, where the definition cannot be trained or names what does not exist."""
        for mistake in _mistakes(self):
            raise ValueError(f"experiment {self.name!r}: {mistake}")

    def hp(self, values: Mapping[str, Value]) -> Any:
        """Returns the hyperparameters of one run after every check, sizes unpadded, with its start if it has a source.

        Raises:
          InvalidValue: a value is not allowed, or not with this start.
        """
        return build(self.hparams, values, self.source.start(values) if self.source else None)

    def steps(self, values: Mapping[str, Value]) -> int:
        """Returns how many steps the run with these hyperparameter values trains."""
        steps = fields(self.hparams).get("steps")
        return int(values.get("steps", steps.default)) if steps else 0


def _mistakes(experiment: Experiment) -> Iterator[str]:
    """Yields what is wrong with the definition: the field, and what is allowed."""
    if not dataclasses.is_dataclass(experiment.hparams):
        yield f"hparams: {experiment.hparams!r} is not a class made by @hparams"
        return
    declared = fields(experiment.hparams)
    for name, what in {"seed": "what the engine draws from", "steps": "how long a run trains"}.items():
        if name not in declared and (name == "seed" or experiment.step):
            yield f"hparams: {experiment.hparams.__name__} lacks `{name}: int = swept(...)`, which says {what}"
        elif name in declared and (declared[name].kind, declared[name].type) != ("swept", int):
            found = f"{declared[name].kind} {declared[name].type.__name__}"
            yield f"hparams: {name} is a {found}, allowed is a swept int, for it says {what}"
    for name in declared:
        if name in (*ENGINE_FLAGS, *COMMAND_FLAGS):
            yield f"hparams: {name} is a flag of the engine, allowed are other names"
        if name in LABELS:
            yield f"hparams: {name} is a label of the results, allowed are other names"
    for preset, chosen in experiment.presets.items():
        for name in chosen.flags:
            if name not in declared and name not in ENGINE_FLAGS:
                yield f"presets: {preset!r} sets {name}, allowed are hyperparameters and flags of the engine"
    for name, count in Counter(figure.name for figure in experiment.figures).items():
        if count > 1:
            yield f"figures: {count} are named {name!r}, allowed is each name once"
    figures = [figure.name for figure in experiment.figures]
    for claim in experiment.claims:
        if claim.figure and claim.figure not in figures:
            yield f"claims: {claim.statement!r} names the figure {claim.figure!r}, allowed are {', '.join(figures)}"
        for preset in claim.presets:
            if preset and preset not in experiment.presets:
                names = ", ".join(map(repr, experiment.presets))
                yield f"claims: {claim.statement!r} names the preset {preset!r}, allowed are {names or 'none'}"


def quantities(metrics: type) -> dict[str, Quantity]:
    """Returns the Quantity of each field of a Metrics class, by name; unannotated fields are named after themselves."""
    hints = typing.get_type_hints(metrics, include_extras=True)
    return {
        name: next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Quantity)), Quantity(name))
        for name, hint in hints.items()
    }
