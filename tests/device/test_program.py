"""The compiled program: what it does to lanes, and what it must not contain."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest
from toy import Toy, some_devices, toy

from phenom_jax.device.program import CompiledProgram, Layout
from phenom_jax.hparams import stack_hps
from phenom_jax.sweep.grid import Grid
from phenom_jax.sweep.status import Status

GRID = Grid(
    np.array([0, 5, 10, 20, 60], np.int32),
    np.array([True, False, True, False, True]),
    np.array([True, False, False, False, True]),
)


def make(layout: Layout) -> CompiledProgram:
    return CompiledProgram(toy, Toy(), layout, GRID, some_devices(layout.devices).mesh)


def started(compiled: CompiledProgram, hps: list[Toy]):
    fresh = np.arange(compiled.layout.total) < len(hps)
    rows = hps + [Toy()] * (compiled.layout.total - len(hps))
    return compiled.admit(compiled.empty(), stack_hps(rows), fresh)


def test_devices_never_speak_inside_a_chunk():
    compiled = make(Layout(4, 2, 2))
    compiled.chunk(started(compiled, [Toy(seed=i) for i in range(16)]), 3)
    assert not re.findall(r"all-reduce|all-gather|all-to-all|collective|send|recv|outfeed|infeed", compiled.text())


def test_the_lanes_are_donated():
    compiled = make(Layout(2, 1, 2))
    lanes = started(compiled, [Toy(seed=i) for i in range(4)])
    weights = lanes.state.weights.hidden
    compiled.chunk(lanes, 1)
    assert weights.is_deleted()


def test_chunk_length_does_not_change_the_bits():
    compiled = make(Layout(2, 2, 2))
    hps = [Toy(seed=i) for i in range(8)]
    whole = compiled.chunk(started(compiled, hps), 12)
    pieces = started(compiled, hps)
    for ticks in (1, 3, 2, 6):
        pieces = compiled.chunk(pieces, ticks)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(pieces)):
        np.testing.assert_array_equal(one, other)


def test_each_lane_has_its_own_step_counter_and_late_entrants_match_early_ones():
    compiled = make(Layout(2, 1, 2))
    lanes = compiled.chunk(started(compiled, [Toy(seed=1)]), 4)
    rows = [Toy(seed=1), Toy(seed=1), Toy(), Toy()]
    lanes = compiled.admit(lanes, stack_hps(rows), np.array([False, True, False, False]))
    assert lanes.step.tolist()[:2] == [20, 0]
    for _ in range(3):
        lanes = compiled.chunk(lanes, 6)
    assert lanes.status.tolist() == [Status.FINISHED, Status.FINISHED, Status.WAITING, Status.WAITING]
    for leaf in jax.tree.leaves((lanes.state, lanes.records)):
        np.testing.assert_array_equal(leaf[0], leaf[1])


def test_a_finished_lane_is_frozen_beside_a_live_one():
    compiled = make(Layout(1, 1, 2))
    lanes = started(compiled, [Toy(steps=5), Toy(steps=60)])
    lanes = compiled.chunk(lanes, 2)
    at_end = np.array(lanes.state.weights.hidden[0])
    lanes = compiled.chunk(lanes, 5)
    assert lanes.status.tolist() == [Status.FINISHED, Status.RUNNING] and lanes.step.tolist() == [5, 35]
    np.testing.assert_array_equal(lanes.state.weights.hidden[0], at_end)


def test_divergence_is_dated_to_its_first_step_and_metric():
    compiled = make(Layout(2, 1, 1))
    lanes = compiled.chunk(started(compiled, [Toy(learning_rate=1e30), Toy()]), 12)
    assert lanes.status.tolist() == [Status.DIVERGED, Status.FINISHED]
    assert 1 < lanes.diverged_step[0] <= 5 and lanes.diverged_metrics.tolist() == [1, 0]
    assert np.isnan(lanes.records.metrics["error"][0, 2:]).all()
    assert np.isfinite(lanes.records.metrics["error"][1]).all()


def test_sparse_schedules_are_subsets():
    compiled = make(Layout(2, 1, 1))
    lanes = compiled.chunk(started(compiled, [Toy(), Toy(seed=1)]), 12)
    np.testing.assert_array_equal(np.isfinite(lanes.records.metrics["readout_norm"]), [GRID.expensive] * 2)
    assert lanes.records.kept_step.tolist() == [[0, 60]] * 2


@pytest.mark.parametrize("layout", [Layout(1, 1, 4), Layout(2, 1, 2), Layout(2, 2, 1), Layout(4, 1, 1)])
def test_initial_states_are_bit_equal_under_any_layout(layout):
    compiled = make(layout)
    lanes = started(compiled, [Toy(seed=i) for i in range(4)])
    for i in range(4):
        alone = jax.jit(toy.init)(Toy(seed=i))
        np.testing.assert_array_equal(lanes.state.weights.hidden[i], alone.weights.hidden)
        np.testing.assert_array_equal(lanes.state.weights.readout[i], alone.weights.readout)


def test_arranging_moves_whole_lanes():
    compiled = make(Layout(2, 1, 2))
    lanes = started(compiled, [Toy(seed=i) for i in range(4)])
    before = np.array(lanes.state.weights.hidden)
    moved = compiled.arrange(lanes, np.array([2, 0, 3, 1]))
    np.testing.assert_array_equal(moved.state.weights.hidden, before[[2, 0, 3, 1]])
    assert moved.hp.seed.tolist() == [2, 0, 3, 1]
