"""The plan of a sweep: which runs share a program, at which padded sizes, and what that costs.

Runs with equal statics can share a program if their sizes are padded to common bounds. Padding costs work in every
step, a program more costs one compilation: the plan minimises the sum of both, in seconds at a nominal rate, so that
the same sweep on the same kind of machine always has the same plan.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from phenom_jax.experiment import Experiment
from phenom_jax.hparams import fields, hp_shapes
from phenom_jax.sizes import Size
from phenom_jax.sweep.axes import Run

MOST_BOUNDS = 24  # distinct size combinations the planner weighs; more are first rounded up to fewer


class Machine(NamedTuple):
    """What the planner assumes of a machine, per device: FLOP/s of small f32 programs, seconds per compilation."""

    flops_per_second: float
    compile_seconds: float


MACHINES = {"cpu": Machine(5e10, 3.0), "gpu": Machine(1e13, 15.0), "tpu": Machine(1e13, 20.0)}

Sizes = tuple[int, ...]  # one count per size field


@dataclasses.dataclass(frozen=True)
class Program:
    """The runs that share one compiled program: equal statics, equal padded sizes.

    Attributes:
      experiment: whose runs they are.
      runs: in the order of the sweep.
      padded: the bound of every size field, by name.
      flops: of all its runs as padded.
      useful_flops: of all its runs at their own sizes.
      step_flops: of one step of one run, as padded.
      run_steps: of all its runs.
    """

    experiment: Experiment
    runs: tuple[Run, ...]
    padded: Mapping[str, int]
    flops: float
    useful_flops: float
    step_flops: float
    run_steps: int

    def hp(self, run: Run) -> Any:
        """Returns the run's hyperparameters with sizes padded to the program's bounds."""
        hp = self.experiment.hp(run.values)
        return dataclasses.replace(hp, **{name: Size(getattr(hp, name).active, to) for name, to in self.padded.items()})

    @functools.cached_property
    def template(self) -> Any:
        """Hyperparameters whose statics and padded sizes are the program's; its swept values are those of one run."""
        return self.hp(self.runs[0])

    @functools.cached_property
    def statics(self) -> dict[str, Any]:
        """The values of the static fields, by name."""
        declared = fields(self.experiment.hparams).values()
        return {field.name: self.runs[0].values[field.name] for field in declared if field.kind == "static"}

    @functools.cached_property
    def id(self) -> str:
        """A hash of statics and padded sizes: the same program in any sweep."""
        return program_id(self.experiment.hparams, self.statics, self.padded)


def program_id(hparams: type, statics: Mapping[str, Any], padded: Mapping[str, int]) -> str:
    """Returns the id of the program of these statics and padded sizes, by name."""
    described = repr((hparams.__name__, sorted(statics.items()), sorted(padded.items())))
    return hashlib.sha256(described.encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The programs of a sweep, in the order they are trained."""

    programs: tuple[Program, ...]
    seconds: float  # compilation and work at the machine's nominal rate

    @property
    def runs(self) -> int:
        return sum(len(program.runs) for program in self.programs)

    @property
    def flops(self) -> float:
        return sum(program.flops for program in self.programs)

    @property
    def run_steps(self) -> int:
        return sum(program.run_steps for program in self.programs)

    @property
    def waste(self) -> float:
        """The share of the work that is padding, between 0 and 1."""
        return 1 - sum(program.useful_flops for program in self.programs) / self.flops if self.flops else 0.0


def make_plan(
    experiment: Experiment,
    runs: Sequence[Run],
    platform: str,
    devices: int,
    bounds: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> Plan:
    """Returns the plan of least nominal time for these runs.

    Args:
      platform: "cpu", "gpu" or "tpu".
      devices: how many of them share the work.
      bounds: the padded sizes, by name, of runs that have no choice, by their ids.
    Raises:
      InvalidValue: a run's hyperparameters are not allowed.
    """
    machine = MACHINES[platform]
    rate = machine.flops_per_second * devices
    programs = []
    for alike in _by_statics(experiment, runs).values():
        costs = _Costs(experiment, experiment.hp(alike[0].values))
        own = {run.id: costs.sizes(run) for run in alike}
        found = {run.id: tuple(bounds[run.id][name] for name in costs.names) for run in alike if run.id in bounds}
        free = [run for run in alike if run.id not in found]
        for chosen, padded in _partition(free, own, costs, rate, machine.compile_seconds):
            found |= {run.id: padded for run in chosen}
        for padded in dict.fromkeys(found.values()):
            chosen = [run for run in alike if found[run.id] == padded]
            programs.append(
                Program(
                    experiment=experiment,
                    runs=tuple(chosen),
                    padded=dict(zip(costs.names, padded)),
                    flops=sum(costs.run(padded, experiment.steps(run.values)) for run in chosen),
                    useful_flops=sum(costs.run(own[run.id], experiment.steps(run.values)) for run in chosen),
                    step_flops=costs.step(padded),
                    run_steps=sum(experiment.steps(run.values) for run in chosen),
                )
            )
    plan = Plan(tuple(programs), 0.0)
    return dataclasses.replace(plan, seconds=plan.flops / rate + len(programs) * machine.compile_seconds)


class Call(NamedTuple):
    """A function `(state, hp)` of one run, and how often a run of so many steps calls it."""

    function: Callable[[Any, Any], Any]
    times: Callable[[int], int]


def calls(experiment: Experiment) -> dict[str, Call]:
    """Returns what a run computes, by name: steps and looks, or the solve that init is where there are no steps."""
    schedule, step = experiment.schedule, experiment.step

    def looks(steps: int) -> int:
        return min(steps, schedule.points) + 1

    if step:
        found = {"step": Call(lambda state, hp: step(state, hp, jax.random.key(0)), lambda steps: steps)}
    else:
        found = {"solve": Call(lambda state, hp: experiment.init(hp), lambda steps: 1)}
    found["measure"] = Call(experiment.measure, looks)
    if experiment.expensive:
        found["expensive"] = Call(
            experiment.expensive, lambda steps: min(looks(steps), max(1, schedule.expensive_points))
        )
    return found


class _Costs:
    """FLOPs of a run at given padded sizes, from JAX's own count on the program before compilation."""

    def __init__(self, experiment: Experiment, template: Any):
        self.experiment = experiment
        self.template = template
        self.names = [field.name for field in fields(experiment.hparams).values() if field.kind == "size"]
        self.calls = calls(experiment)
        self.call = functools.lru_cache(None)(self._call)

    def sizes(self, run: Run) -> Sizes:
        hp = self.experiment.hp(run.values)
        return tuple(int(getattr(hp, name).active) for name in self.names)

    def run(self, padded: Sizes, steps: int) -> float:
        return sum(call.times(steps) * self.call(name, padded) for name, call in self.calls.items())

    def step(self, padded: Sizes) -> float:
        return self.call("step", padded) if "step" in self.calls else 0.0

    def _hp(self, padded: Sizes) -> Any:
        hp = dataclasses.replace(self.template, **{name: Size(n, n) for name, n in zip(self.names, padded)})
        return hp_shapes(hp)

    def _call(self, name: str, padded: Sizes) -> float:
        hp = self._hp(padded)
        state = jax.eval_shape(self.experiment.init, hp)
        counted = jax.jit(self.calls[name].function).lower(state, hp).cost_analysis() or {}
        return float(counted.get("flops", 0.0))


def _by_statics(experiment: Experiment, runs: Sequence[Run]) -> dict[tuple, list[Run]]:
    names = [field.name for field in fields(experiment.hparams).values() if field.kind == "static"]
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(run.values[name] for name in names), []).append(run)
    return groups


def _partition(
    runs: Sequence[Run], own: Mapping[str, Sizes], costs: _Costs, rate: float, compile_seconds: float
) -> list[tuple[list[Run], Sizes]]:
    """Returns groups of runs with their bounds: the cheapest cut of the sizes in order of cost into intervals.

    With one size that varies this is the optimum over all partitions; with several, over intervals of that order.
    Intervals that come to equal bounds are one group: they share their program.
    """
    present = {own[run.id] for run in runs}
    bounds = {sizes: _rounded_up(sizes, present) for sizes in present}
    distinct = sorted(set(bounds.values()), key=lambda sizes: (costs.step(sizes), costs.run(sizes, 0), sizes))
    lengths = {sizes: collections.Counter[int]() for sizes in distinct}
    for run in runs:
        lengths[bounds[own[run.id]]][costs.experiment.steps(run.values)] += 1

    def common(start: int, end: int) -> Sizes:
        return tuple(map(max, zip(*distinct[start:end])))

    def seconds(start: int, end: int) -> float:
        padded = common(start, end)
        count = sum((lengths[sizes] for sizes in distinct[start:end]), collections.Counter[int]())
        return compile_seconds + sum(n * costs.run(padded, steps) for steps, n in count.items()) / rate

    best: list[tuple[float, list[tuple[int, int]]]] = [(0.0, [])]
    for end in range(1, len(distinct) + 1):
        options = ((best[start][0] + seconds(start, end), best[start][1] + [(start, end)]) for start in range(end))
        best.append(min(options, key=lambda option: option[0]))
    inside: dict[Sizes, set[Sizes]] = {}
    for start, end in best[-1][1]:
        inside.setdefault(common(start, end), set()).update(distinct[start:end])
    return [([run for run in runs if bounds[own[run.id]] in sizes], padded) for padded, sizes in inside.items()]


def _rounded_up(sizes: Sizes, present: Collection[Sizes]) -> Sizes:
    """Returns the sizes rounded up to few enough distinct values per field that the planner can weigh every cut."""
    values = [sorted(set(column)) for column in zip(*present)]
    varying = sum(len(column) > 1 for column in values)
    most = max(1, math.floor(MOST_BOUNDS ** (1 / max(1, varying))))
    rounded = []
    for own, column in zip(sizes, values):
        stride = math.ceil(len(column) / most)
        kept = column[::-1][::stride]
        rounded.append(min(value for value in kept if value >= own))
    return tuple(rounded)


def describe(plan: Plan) -> dict[str, Any]:
    """Returns the plan as JSON; of the static fields every program has those in which the programs differ."""
    first = plan.programs[0].statics
    alike = {name for name in first if all(program.statics[name] == first[name] for program in plan.programs)}
    return {
        "runs": plan.runs,
        "run_steps": plan.run_steps,
        "flops": plan.flops,
        "padding_waste": plan.waste,
        "programs": [
            {
                "id": program.id,
                "runs": len(program.runs),
                "run_steps": program.run_steps,
                "padded": dict(program.padded),
                "flops": program.flops,
            }
            | {name: value for name, value in program.statics.items() if name not in alike}
            for program in plan.programs
        ],
    }
