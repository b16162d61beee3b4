"""The debugging of one run: plainly in Python, so that breakpoints stop in it and a NaN says where it came from."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.device.program import step_key
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.sweep.axes import Sweep
from phenom_jax.sweep.grid import measure_grid


def debug(experiment: Experiment, sweep: Sweep, schedule: Schedule) -> None:
    """Computes the first run of a sweep without compilation and prints what it measures; nothing is written.

    Raises:
      FloatingPointError: the first operation of `init` or `step` that gave a NaN, with its place in the traceback.
      InvalidValue: the hyperparameters are not allowed.
    """
    run, *others = sweep.runs()
    steps = experiment.steps(run.values)
    chosen = " ".join(f"--{name}={value}" for name, value in run.values.items())
    print(f"one run of {1 + len(others)}, without compilation: {chosen}")
    resolution = max(1, math.gcd(schedule.resolution, steps))
    grid = measure_grid(dataclasses.replace(schedule, resolution=resolution), {steps})
    hp = jax.tree.map(jnp.asarray, experiment.hp(run.values))
    with jax.disable_jit():
        state, metrics = _checked(experiment.init, hp), ()
        for step in range(steps + 1):
            if step in grid.steps:
                rare = grid.expensive[grid.steps.tolist().index(step)]
                looks = [experiment.measure, *([experiment.expensive] if experiment.expensive and rare else [])]
                print(f"step {step}: {_shown([metrics, *(look(state, hp) for look in looks)])}", flush=True)
            if experiment.step and step < steps:
                state, metrics = _checked(experiment.step, state, hp, step_key(hp, step))


def _checked(function: Any, *arguments: Any) -> Any:
    with jax.debug_nans(True):
        return function(*arguments)


def _shown(found: list[Any]) -> str:
    values = {name: np.asarray(value) for metrics in found if metrics for name, value in metrics._asdict().items()}
    return ", ".join(
        f"{name} {value:.4g}" if not value.ndim else f"{name} {list(value.shape)}" for name, value in values.items()
    )
