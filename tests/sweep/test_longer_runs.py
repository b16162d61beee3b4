"""Which runs are longer ones of others, what depends on the length of a run, and the grid that goes on."""

import dataclasses

import jax
import numpy as np
import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st

from phenom_jax.experiment import Schedule
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.grid import measure_grid
from phenom_jax.sweep.longer import End, reads_steps, starts_of, superseded

lengths = st.lists(st.integers(0, 20), min_size=1, max_size=4, unique=True)


def runs_of(steps, seeds="0:2"):
    return parse_sweep(toy.Toy, {"seed": seeds, "steps": ",".join(map(str, steps))}).runs()


@given(lengths, lengths)
def test_a_run_goes_on_from_the_longest_end_below_its_own_steps(before, after):
    ends = {run.id: End("", {}, int(run.values["steps"]), 0) for run in runs_of(before)}
    named = {run.id: (run.values["seed"], run.values["steps"]) for run in runs_of({*before, *after}, "0:3")}
    starts = {named[run_id]: named[start] for run_id, start in starts_of(runs_of(after, "0:3"), ends).items()}
    expected = {
        (seed, steps): (seed, max(fewer for fewer in before if fewer < steps))
        for seed in (0, 1)
        for steps in after
        if min(before) < steps
    }
    assert starts == expected


@given(lengths, lengths)
def test_a_run_gives_way_to_any_longer_one(before, after):
    gone = runs_of(before, "0:3")
    found = superseded(gone, runs_of(after))
    expected = {run.id for run in gone if int(run.values["seed"]) < 2 and int(run.values["steps"]) < max(after)}
    assert found == expected


@pytest.mark.parametrize("where", ["step", "init"])
def test_a_schedule_over_all_steps_is_found(where):
    assert reads_steps(toy.annealed(where), toy.Toy())


def test_steps_that_are_only_handed_on_are_not_read():
    handed_on = jax.jit(lambda hp: hp.learning_rate)

    def step(state, hp, key):
        return toy.step(state, dataclasses.replace(hp, learning_rate=handed_on(hp)), key)

    assert not reads_steps(dataclasses.replace(toy.toy, step=step), toy.Toy())


def test_a_grid_goes_on_where_another_ends():
    schedule = Schedule(resolution=5, points=8, expensive_points=3, kept_points=3)
    first = measure_grid(schedule, {20, 60})
    grid = measure_grid(schedule, {200}, [(first, 60)])
    old, alone = grid.steps <= 60, measure_grid(schedule, {200})
    for before, after in zip(first, grid):
        np.testing.assert_array_equal(before, after[old])
    for one, other in zip(alone, grid):
        np.testing.assert_array_equal(one[alone.steps > 60], other[~old])
    again = measure_grid(schedule, {200}, [(first, 60), (grid, 120)])
    for one, other in zip(grid, again):  # it stays as more of its own runs end
        np.testing.assert_array_equal(one, other)
