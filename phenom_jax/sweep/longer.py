"""Longer runs: those that are trained on from where a run ended that is the same but for fewer `steps`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.interpreters import partial_eval

from phenom_jax.experiment import Experiment
from phenom_jax.hparams import hp_shapes
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.grid import Grid
from phenom_jax.sweep.recorded import returns


class End(NamedTuple):
    """Where the whole lane of a run is kept as it was at the run's end.

    Attributes:
      program: the id of the run's program, and `padded` its bounds.
      steps: for how many the run was asked.
      reached: the last of them, fewer where it was done or diverged.
    """

    program: str
    padded: Mapping[str, int]
    steps: int
    reached: int


class Earlier(NamedTuple):
    """What a directory keeps of runs that ended: their ends, by run id, and the grids on which they were measured.

    With each grid goes the last step that one of its runs reached.
    """

    ends: Mapping[str, End] = {}
    grids: Sequence[tuple[Grid, int]] = ()

    def looks(self) -> Iterator[int]:
        """Yields the steps at which these runs were measured."""
        for grid, reached in self.grids:
            yield from grid.steps[grid.steps <= reached].tolist()


def shorter(run: Run, steps: Collection[int]) -> Iterator[str]:
    """Yields the ids of the runs that are the same but for fewer steps, out of `steps`, the longest first."""
    own = int(run.values.get("steps", 0))
    for fewer in sorted({each for each in steps if each < own}, reverse=True):
        yield Run({**run.values, "steps": fewer}).id


def starts_of(runs: Collection[Run], ends: Mapping[str, End]) -> dict[str, str]:
    """Returns, by the id of each run that can go on from an end, the id of the longest run whose end it is."""
    steps = {end.steps for end in ends.values()}
    found = {run.id: next((other for other in shorter(run, steps) if other in ends), "") for run in runs}
    return {run_id: other for run_id, other in found.items() if other}


def superseded(gone: Collection[Run], runs: Collection[Run]) -> set[str]:
    """Returns the ids of those `gone` that one of `runs` is the same as but for more steps."""
    ids, steps = {run.id for run in gone}, {int(run.values.get("steps", 0)) for run in gone}
    return {other for run in runs for other in shorter(run, steps) if other in ids} if ids else set()


def reads_steps(experiment: Experiment, template: Any) -> bool:
    """Whether what a run computes depends on how many steps it will train: a longer one is then another throughout."""
    shapes = hp_shapes(template)
    if not hasattr(shapes, "steps"):
        return False
    traced = jax.make_jaxpr(functools.partial(returns, experiment))(shapes).jaxpr
    _, used = partial_eval.dce_jaxpr(traced, [True] * len(traced.outvars))
    marked = jax.tree.map(lambda _: False, shapes)
    (place,) = np.flatnonzero(jax.tree.leaves(dataclasses.replace(marked, steps=True)))
    return bool(used[place])
