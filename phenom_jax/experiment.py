"""The Experiment: a handful of pure functions over one run, and what to show of a sweep of them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import jax

from phenom_jax.hparams import Value, fields
from phenom_jax.sizes import Size

if TYPE_CHECKING:
    import xarray as xr

    from phenom_jax.claims import Claim
    from phenom_jax.report.marks import Figure

State = Any  # the experiment's own NamedTuple, a pytree
Metrics = Any  # a NamedTuple of scalars or small arrays
FloatType = Literal["float32", "float64"]


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What a field of a Metrics is: `train_loss: Annotated[jax.Array, Quantity("training cross-entropy", "nat")]`."""

    long_name: str
    units: str = "1"
    dims: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Preset:
    """Flag texts set together; `help` says the runs, the time and the expected result, and whether it was run."""

    help: str
    flags: Mapping[str, str]


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
class Experiment:
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
    """

    name: str
    hparams: type
    init: Callable[[Any], State]
    step: Callable[[State, Any, jax.Array], tuple[State, Metrics]] | None
    measure: Callable[[State, Any], Metrics]
    expensive: Callable[[State, Any], Metrics] | None = None
    done: Callable[[Metrics], jax.Array] | None = None
    keep: Callable[[State], Any] | None = None
    landscape: Landscape | None = None
    summarise: Callable[[xr.Dataset], xr.Dataset] = lambda results: results
    presets: Mapping[str, Preset] = dataclasses.field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    claims: tuple[Claim, ...] = ()
    schedule: Schedule = Schedule()
    float_type: FloatType = "float32"  # unless --float_type says otherwise
    check_precision: Callable[[Any, FloatType], None] | None = None

    def steps(self, values: Mapping[str, Value]) -> int:
        """Returns how many steps the run with these hyperparameter values trains."""
        steps = fields(self.hparams).get("steps")
        return int(values.get("steps", steps.default)) if steps else 0


def quantities(metrics: type) -> dict[str, Quantity]:
    """Returns the Quantity of each field of a Metrics class, by name; unannotated fields are named after themselves."""
    hints = typing.get_type_hints(metrics, include_extras=True)
    return {
        name: next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Quantity)), Quantity(name))
        for name, hint in hints.items()
    }
