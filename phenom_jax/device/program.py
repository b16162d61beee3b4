"""A program compiled: the only place where one run becomes many.

Lanes lie on one axis, `run`, in device-major order: devices x groups x lanes of a group. Each device works through its
groups one after the other (`lax.map`: activations stay in cache) and advances the lanes of a group side by side
(`vmap`: small models fill the machine). Devices never speak to each other inside a chunk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from phenom_jax.device import processes
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import hp_shapes
from phenom_jax.sweep.grid import NEVER, Grid
from phenom_jax.sweep.recorded import metric_shapes, returns
from phenom_jax.sweep.status import Status

AXIS = "run"
_MARKED = 1009  # a number of lanes that is found again in a program's text


class Layout(NamedTuple):
    """How the lanes of a program lie on the machine."""

    devices: int
    groups: int  # per device, one after the other
    lanes: int  # per group, side by side

    @property
    def total(self) -> int:
        return self.devices * self.groups * self.lanes


class Records(NamedTuple):
    """What one run hands in. P measure steps, K kept steps; NaN where nothing was measured."""

    metrics: Mapping[str, jax.Array]  # float[P, ...] by name
    kept: Any  # leaves [K, ...] of what `experiment.keep` returns
    kept_step: jax.Array  # int32[K], -1 where nothing was kept


class Lane(NamedTuple):
    """One slot of the run axis; stacked over lanes everywhere outside this module."""

    hp: Any
    state: Any
    latest: Any  # metrics of the last step
    step: jax.Array  # int32, steps taken
    point: jax.Array  # int32, index of the next measure step
    kept: jax.Array  # int32, states kept so far
    status: jax.Array  # int32, a Status
    diverged_step: jax.Array  # int32, first step with a non-finite metric, -1 if none
    diverged_metrics: jax.Array  # int32, bit i set where step metric i was not finite there
    records: Records


class CompiledProgram:
    """A program's functions over all its lanes: `empty`, `admit`, `chunk`, `arrange`.

    Args:
      experiment: the science of one run.
      template: hyperparameters of any run of the program (its statics and padded sizes decide the program).
      layout: lanes; `layout.devices` must be the mesh's size.
      grid: measure steps, multiples of the experiment's resolution; its length and the number of kept steps decide
        shapes, its values are arguments.
      mesh: devices on one axis, AXIS.
      retire_diverged: whether a run leaves its lane where a step metric stops being finite; else at its last step.
    """

    def __init__(
        self,
        experiment: Experiment,
        template: Any,
        layout: Layout,
        grid: Grid,
        mesh: Mesh,
        retire_diverged: bool = True,
    ):
        self.layout = layout
        self.mesh = mesh
        self.sharding = NamedSharding(mesh, PartitionSpec(AXIS))
        self._shapes = stacked_shapes(lane_shapes(experiment, template, grid), layout.total)
        self._chunk = self._over_lanes(functools.partial(_chunk_group, experiment, retire_diverged), shared=2)
        self._admit = self._over_lanes(functools.partial(_admit_group, experiment, grid), shared=0, extra=2)
        self._compiled: dict[str, jax.stages.Compiled] = {}
        self._whole = NamedSharding(mesh, PartitionSpec())
        self._grid = processes.to_devices(grid, self._whole)

    def template(self) -> Lane:
        """Returns the shapes, dtypes and shardings of all lanes, for a restore."""
        return jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=self.sharding), self._shapes)

    def empty(self) -> Lane:
        """Returns lanes that hold no run."""
        return jax.jit(
            lambda: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), self._shapes), out_shardings=self.sharding
        )()

    def admit(self, lanes: Lane, hps: Any, fresh: np.ndarray) -> Lane:
        """Returns lanes of which the `fresh` (bool[lanes]) start the run of their row of `hps`; donates `lanes`."""
        return self._call("admit", self._admit, lanes, *processes.to_devices((hps, fresh), self.sharding))

    def put(self, lanes: Lane, states: Lane, fresh: np.ndarray) -> Lane:
        """Returns lanes of which the `fresh` (bool[lanes]) go on as their row of `states` says; donates `lanes`."""
        move = jax.jit(lambda lanes, states, fresh: _select(fresh, states, lanes), donate_argnums=0)
        return move(lanes, *processes.to_devices((states, fresh), self.sharding))

    def chunk(self, lanes: Lane, ticks: int, grid: Grid | None = None) -> Lane:
        """Returns the live lanes `ticks * resolution` steps later, measured on the way; donates `lanes`."""
        grid = self._grid if grid is None else processes.to_devices(grid, self._whole)
        return self._call("chunk", self._chunk, lanes, grid, np.int32(ticks))

    def arrange(self, lanes: Lane, order: np.ndarray) -> Lane:
        """Returns `lanes[order]`: lanes moved so that the live ones lie evenly over devices and densely in groups."""
        return jax.jit(_rows, out_shardings=self.sharding)(lanes, order)

    def handed_in(self, lanes: Lane, chosen: np.ndarray, whole: bool = False) -> Lane:
        """Returns the n `chosen` lanes on the host of every process, without hp, state and latest unless `whole`.

        As many rows as the next power of two are read, so that few programs are compiled for it.
        """
        count = min(1 << (len(chosen) - 1).bit_length(), self.layout.total)
        rows = np.resize(chosen, count).astype(np.int32)
        wanted = lanes if whole else lanes._replace(hp=(), state=(), latest=())
        read = processes.to_host(jax.jit(_rows, out_shardings=self._whole)(wanted, rows))
        return jax.tree.map(lambda x: x[: len(chosen)], read)

    def memory(self) -> Any:
        """Returns XLA's memory statistics of the compiled chunk, per device, or None before it was compiled."""
        compiled = self._compiled.get("chunk")
        return compiled.memory_analysis() if compiled else None

    def text(self) -> str:
        """Returns the compiled chunk as HLO text."""
        return self._compiled["chunk"].as_text() or ""

    def _call(self, name: str, function: Any, *arguments: Any) -> Lane:
        if name not in self._compiled:
            self._compiled[name] = function.lower(*arguments).compile()
        return self._compiled[name](*arguments)

    def _over_lanes(self, group_function: Callable[..., Lane], shared: int, extra: int = 0) -> Any:
        """Returns `group_function(lanes_G, *extra_G, *shared)` over all groups and devices, jitted and donating."""
        layout, run, whole = self.layout, PartitionSpec(AXIS), PartitionSpec()

        def on_device(*arguments: Any) -> Lane:
            split, common = arguments[: 1 + extra], arguments[1 + extra :]
            if layout.groups == 1:
                return group_function(*split, *common)
            grouped = jax.tree.map(lambda x: x.reshape(layout.groups, layout.lanes, *x.shape[1:]), split)
            lanes = jax.lax.map(lambda group: group_function(*group, *common), grouped)
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), lanes)

        mapped = jax.shard_map(
            on_device,
            mesh=self.mesh,
            in_specs=(run,) * (1 + extra) + (whole,) * shared,
            out_specs=run,
            check_vma=False,
        )
        return jax.jit(mapped, donate_argnums=0)


def lane_shapes(experiment: Experiment, template: Any, grid: Grid) -> Lane:
    """Returns the shapes and dtypes of one lane that holds a run of the template's program."""
    return jax.eval_shape(functools.partial(_start, experiment, grid), hp_shapes(template))


def batches_lapack(experiment: Experiment, template: Any) -> bool:
    """Whether LAPACK would be called on a batch of lanes that go side by side on CPU.

    Such a call shares its batch out among the threads that it waits on: several at once, as of two devices, can take
    all threads and wait forever (jaxlib 0.10). A call for one lane at a time does not.
    """
    lanes = stacked_shapes(hp_shapes(template), _MARKED)
    text = jax.jit(jax.vmap(functools.partial(returns, experiment))).lower(lanes).as_text()
    return any("lapack_" in line and f"<{_MARKED}x" in line for line in text.splitlines())


def stacked_shapes(shapes: Any, count: int) -> Any:
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct((count, *s.shape), s.dtype), shapes)


def _start(experiment: Experiment, grid: Grid, hp: Any) -> Lane:
    """Returns the lane of a run that has not stepped yet."""
    state = experiment.init(hp)
    metrics = metric_shapes(experiment, hp)
    kept = experiment.keep(state) if experiment.keep else ()
    points, kept_points = len(grid.steps), int(grid.kept.sum())
    zero = jnp.int32(0)
    return Lane(
        hp=jax.tree.map(jnp.asarray, hp),
        state=state,
        latest=jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, jnp.result_type(float)), metrics.get("step", ())),
        step=zero,
        point=zero,
        kept=zero,
        status=jnp.int32(Status.RUNNING),
        diverged_step=jnp.int32(-1),
        diverged_metrics=zero,
        records=Records(
            metrics={
                name: jnp.full((points, *value.shape), jnp.nan, jnp.result_type(float))
                for returned in metrics.values()
                for name, value in _by_name(returned).items()
            },
            kept=jax.tree.map(lambda x: jnp.zeros((kept_points, *x.shape), x.dtype), kept),
            kept_step=jnp.full(kept_points, -1, jnp.int32),
        ),
    )


def _admit_group(experiment: Experiment, grid: Grid, lanes: Lane, hps: Any, fresh: jax.Array) -> Lane:
    def start() -> Lane:
        return _select(fresh, jax.vmap(functools.partial(_start, experiment, grid))(hps), lanes)

    return jax.lax.cond(fresh.any(), start, lambda: lanes)


def _chunk_group(experiment: Experiment, retire_diverged: bool, lanes: Lane, grid: Grid, ticks: jax.Array) -> Lane:
    """Returns the group's lanes after `ticks`, in segments that end where a lane is due to be measured."""

    resolution = experiment.schedule.resolution

    def segment(carry: tuple[Lane, jax.Array]) -> tuple[Lane, jax.Array]:
        lanes, left = carry
        live = lanes.status == Status.RUNNING
        until_due = (grid.steps[lanes.point] - lanes.step) // resolution
        length = jnp.minimum(left, jnp.where(live, until_due, NEVER).min())
        stepped = jax.lax.fori_loop(0, length, lambda _, lanes: _tick(experiment, lanes), _moving(lanes))
        lanes = lanes._replace(**_select(live, stepped, _moving(lanes)))
        if retire_diverged:
            lanes = lanes._replace(status=jnp.where(live & (lanes.diverged_step >= 0), Status.DIVERGED, lanes.status))
        due = live & (grid.steps[lanes.point] == lanes.step)
        lanes = jax.lax.cond(due.any(), lambda: _observe(experiment, lanes, due, grid), lambda: lanes)
        return lanes, left - length

    def working(carry: tuple[Lane, jax.Array]) -> jax.Array:
        lanes, left = carry
        return (left > 0) & (lanes.status == Status.RUNNING).any()

    return jax.lax.while_loop(working, segment, (lanes, ticks))[0]


def _moving(lanes: Lane) -> dict[str, Any]:
    """Returns the parts of a lane that a step changes, and what it reads; the records stay out of the inner loop."""
    names = ("hp", "state", "latest", "step", "diverged_step", "diverged_metrics")
    return {name: getattr(lanes, name) for name in names}


def _tick(experiment: Experiment, moving: dict[str, Any]) -> dict[str, Any]:
    if experiment.step is None:
        return moving
    one = jax.vmap(functools.partial(_step, experiment))
    return jax.lax.scan(lambda moving, _: (one(moving), None), moving, length=experiment.schedule.resolution)[0]


def _step(experiment: Experiment, lane: dict[str, Any]) -> dict[str, Any]:
    assert experiment.step is not None
    hp = lane["hp"]
    state, latest = experiment.step(lane["state"], hp, step_key(hp, lane["step"]))
    latest = jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(float)), latest)
    step = lane["step"] + 1
    broken = [~jnp.isfinite(value).all() for value in jax.tree.leaves(latest)]
    bits = sum((jnp.int32(1 << i) * flag for i, flag in enumerate(broken)), jnp.int32(0))
    first = (bits > 0) & (lane["diverged_step"] < 0)
    return {
        "hp": hp,
        "state": state,
        "latest": latest,
        "step": step,
        "diverged_step": jnp.where(first, step, lane["diverged_step"]),
        "diverged_metrics": jnp.where(first, bits, lane["diverged_metrics"]),
    }


def _observe(experiment: Experiment, lanes: Lane, due: jax.Array, grid: Grid) -> Lane:
    """Returns the lanes with the `due` ones measured, kept where scheduled, and retired where their run ends."""
    measured = jax.vmap(experiment.measure)(lanes.state, lanes.hp)
    over = lanes.step >= getattr(lanes.hp, "steps", 0)
    done = jax.vmap(experiment.done)(measured) if experiment.done else jnp.zeros_like(over)
    healthy = lanes.status == Status.RUNNING
    ended = jnp.where(lanes.diverged_step >= 0, Status.DIVERGED, jnp.where(over, Status.FINISHED, Status.DONE))
    status = jnp.where(over | done, ended, Status.RUNNING)
    lanes = lanes._replace(status=jnp.where(due & healthy, status, lanes.status))
    ending = due & (lanes.status != Status.RUNNING)

    metrics = dict(lanes.records.metrics)
    write = jax.vmap(_write)
    for name, value in (_by_name(measured) | _by_name(lanes.latest)).items():
        metrics[name] = write(metrics[name], lanes.point, value, due)
    if expensive := experiment.expensive:
        rare = due & (grid.expensive[lanes.point] | ending)
        names = [name for name in metrics if name not in _by_name(measured) | _by_name(lanes.latest)]
        metrics |= jax.lax.cond(
            rare.any(),
            lambda: {
                name: write(metrics[name], lanes.point, value, rare)
                for name, value in _by_name(jax.vmap(expensive)(lanes.state, lanes.hp)).items()
            },
            lambda: {name: metrics[name] for name in names},
        )
    records = lanes.records._replace(metrics=metrics)
    kept = lanes.kept
    if experiment.keep:
        keeping = due & (grid.kept[lanes.point] | ending)
        values = jax.vmap(experiment.keep)(lanes.state)
        records = records._replace(
            kept=jax.tree.map(lambda buffer, value: write(buffer, kept, value, keeping), records.kept, values),
            kept_step=write(records.kept_step, kept, lanes.step, keeping),
        )
        kept = kept + keeping
    point = jnp.minimum(lanes.point + due, len(grid.steps) - 1)
    return lanes._replace(point=point, kept=kept, records=records)


def _write(buffer: jax.Array, index: jax.Array, value: jax.Array, wanted: jax.Array) -> jax.Array:
    """Returns `buffer` with `value` at `index` where wanted."""
    return buffer.at[index].set(jnp.where(wanted, value, buffer[index]).astype(buffer.dtype))


def _rows(tree: Any, rows: jax.Array) -> Any:
    return jax.tree.map(lambda x: x[rows], tree)


def _select(mask: jax.Array, chosen: Any, other: Any) -> Any:
    """Returns, lane by lane, `chosen` where mask else `other`."""
    return jax.tree.map(lambda a, b: jnp.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b), chosen, other)


def step_key(hp: Any, step: jax.Array | int) -> jax.Array:
    """Returns the key of one step of one run: a stream of its own, apart from what `init` draws from the seed."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(hp.seed), 0x57E9), step)


def _by_name(metrics: Any) -> dict[str, jax.Array]:
    return metrics._asdict() if hasattr(metrics, "_asdict") else {}
