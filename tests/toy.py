"""A regression small enough to train hundreds of runs in a test: one hidden layer, fresh data every step."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from phenom_jax.device.devices import Devices
from phenom_jax.device.program import AXIS
from phenom_jax.device.work import make_work
from phenom_jax.experiment import Experiment, Quantity, Schedule
from phenom_jax.hparams import hparams, size, static, swept
from phenom_jax.sizes import Size, draw_columns, exactly
from phenom_jax.store.config import make_config
from phenom_jax.store.dataset import open_results
from phenom_jax.store.directory import RunDirectory
from phenom_jax.store.ends import earlier_in
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.loop import Outcome, train
from phenom_jax.training.progress import Progress
from phenom_jax.training.stop import Stop

INPUTS = 4


@hparams
class Toy:
    seed: int = swept(0, "initial weights and data")
    steps: int = swept(60, "steps", at_least=0)
    learning_rate: float = swept(0.1, "step size", above=0)
    width: Size = size(8, "hidden units")
    layers: int = static(1, "nothing but another program", at_least=1)


class Weights(NamedTuple):
    hidden: jax.Array
    readout: jax.Array


class State(NamedTuple):
    weights: Weights


class StepMetrics(NamedTuple):
    loss: Annotated[jax.Array, Quantity("loss of the step's batch", "nat")]


class Measures(NamedTuple):
    error: Annotated[jax.Array, Quantity("loss of a fixed batch", "nat")]
    input_norms: Annotated[jax.Array, Quantity("squared weights of each input", dims=("input",))]


class Rare(NamedTuple):
    readout_norm: jax.Array


def init(hp: Toy) -> State:
    key = jax.random.key(hp.seed)
    hidden = draw_columns(key, exactly(INPUTS), hp.width)
    readout = draw_columns(jax.random.fold_in(key, 1), hp.width, exactly(1)) / jnp.sqrt(hp.width.active)
    return State(Weights(hidden, readout))


def step(state: State, hp: Toy, key: jax.Array) -> tuple[State, StepMetrics]:
    loss, gradients = jax.value_and_grad(batch_loss)(state.weights, key)
    return State(jax.tree.map(lambda w, g: w - hp.learning_rate * g, state.weights, gradients)), StepMetrics(loss)


def measure(state: State, hp: Toy) -> Measures:
    return Measures(batch_loss(state.weights, jax.random.key(7)), jnp.square(state.weights.hidden).sum(1))


def expensive(state: State, hp: Toy) -> Rare:
    return Rare(jnp.square(state.weights.readout).sum())


def batch_loss(weights: Weights, key: jax.Array) -> jax.Array:
    inputs_BxI = jax.random.normal(key, (16, INPUTS))
    outputs_B = (jnp.tanh(inputs_BxI @ weights.hidden) @ weights.readout)[:, 0]
    return jnp.square(outputs_B - jnp.sin(inputs_BxI.sum(1))).mean()


toy = Experiment(
    "toy",
    Toy,
    init,
    step,
    measure,
    expensive,
    keep=lambda state: state.weights,
    schedule=Schedule(resolution=5, points=8, expensive_points=3, kept_points=3),
)


def annealed(where: str) -> Experiment:
    """Returns the toy with a schedule over all of its steps, in its `step` or its `init`, inside a jit."""
    share = jax.jit(lambda hp: 1 / hp.steps)
    if where == "step":
        return dataclasses.replace(
            toy, step=lambda state, hp, key: step(state, dataclasses.replace(hp, learning_rate=share(hp)), key)
        )
    return dataclasses.replace(toy, init=lambda hp: jax.tree.map(lambda leaf: leaf * share(hp), init(hp)))


class StopAfter(Stop):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    @property
    def requested(self) -> str | None:
        self.looks -= 1
        return "SIGTERM" if self.looks <= 0 else None


def some_devices(count: int) -> Devices:
    """Returns the first `count` of the test process's devices."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:count]), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    return Devices(mesh, "cpu", "cpu", count)


def train_in(
    path: Path,
    experiment: Experiment = toy,
    stop: Stop | None = None,
    settings: Settings | None = None,
    devices: int = 2,
    **flags: str,
) -> Outcome:
    """Trains the sweep of these flag texts in `path` and returns the outcome."""
    sweep = parse_sweep(experiment.hparams, flags)
    settings = settings or Settings(schedule=experiment.schedule, group=2, lanes=4 * devices)
    settings = dataclasses.replace(settings, float_type=jnp.result_type(float).name)
    earlier = earlier_in(path, experiment)
    work = make_work(experiment, sweep.runs(), settings, some_devices(devices), None, earlier)
    config = make_config(experiment, "a test", sweep, settings, {})
    with RunDirectory(path, config) as directory, Progress(len(sweep)) as progress:
        return train(work, directory, progress, stop or Stop())


def results_of(path: Path) -> xr.Dataset:
    """Returns the results in `path`, rows in the order of their run ids."""
    return open_results(path / "results.zarr").sortby("run_id")


def assert_same_results(one: xr.Dataset, other: xr.Dataset) -> None:
    """Asserts that two results are equal bit for bit, rows matched by run id."""
    assert one.run_id.values.tolist() == other.run_id.values.tolist()
    for name in [*one.data_vars, "status", "last_step", "reason"]:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=str(name))
