"""The engine's promises, on a sweep of a toy regression."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from toy import StopAfter, assert_same_results, results_of, train_in

from phenom_jax.device import layout
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.sizes import Size, exactly
from phenom_jax.store.dataset import open_results
from phenom_jax.store.kept import read_kept
from phenom_jax.sweep.grid import measure_grid
from phenom_jax.sweep.settings import Settings
from phenom_jax.training import program as training_module
from phenom_jax.training import roster

pytestmark = pytest.mark.slow

SWEEP: dict[str, Any] = {"seed": "0:3", "learning_rate": "0.05,0.2", "width": "4,8"}


def train_alone(hp: toy.Toy, steps: int) -> dict[int, toy.State]:
    """Trains one run without the engine, its state after every step: a plain loop over a jitted step."""
    stream = jax.random.fold_in(jax.random.key(hp.seed), 0x57E9)
    state = toy.init(hp)
    states = {0: state}
    step = jax.jit(toy.step)
    for i in range(steps):
        state, _ = step(state, hp, jax.random.fold_in(stream, i))
        states[i + 1] = state
    return states


@pytest.mark.usefixtures("float64")
def test_a_run_in_a_sweep_is_the_run_alone(tmp_path):
    train_in(tmp_path, **SWEEP)
    results = results_of(tmp_path)
    for row in range(results.sizes["run"]):
        run = results.isel(run=row)
        hp = toy.Toy(seed=int(run.seed), learning_rate=float(run.learning_rate), width=exactly(int(run.width)))
        states = train_alone(hp, 60)
        for point, step in enumerate(results.step.values):
            alone = toy.measure(states[step], hp)
            np.testing.assert_allclose(run.error[point], alone.error, rtol=1e-9)
            np.testing.assert_allclose(run.input_norms[point], alone.input_norms, rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_measures_of_the_initial_state_do_not_depend_on_the_layout(tmp_path):
    for name, group, lanes in (("wide", 4, 16), ("narrow", 1, 8)):
        train_in(tmp_path / name, settings=Settings(schedule=toy.toy.schedule, group=group, lanes=lanes), **SWEEP)
    wide, narrow = results_of(tmp_path / "wide"), results_of(tmp_path / "narrow")
    kept = [read_kept(next((tmp_path / name / "kept.zarr").iterdir())) for name in ("wide", "narrow")]
    for name, leaf in kept[0].leaves.items():
        np.testing.assert_array_equal(leaf[:, 0], kept[1].leaves[name][:, 0])
    np.testing.assert_allclose(wide.error, narrow.error, rtol=1e-9)


def test_padded_runs_match_unpadded_ones_and_stay_zero_outside(tmp_path):
    train_in(tmp_path, seed="0:2", width="3,8")
    (program,) = (tmp_path / "kept.zarr").iterdir()
    kept = read_kept(program)
    widths = dict(zip(results_of(tmp_path).run_id.values, results_of(tmp_path).width.values))
    hidden = kept.leaves["hidden"]
    assert hidden.shape[-1] == 8
    for row, run_id in enumerate(kept.run_ids):
        active = np.arange(8) < widths[run_id]
        assert not hidden[row][..., ~active].any()
        assert hidden[row][..., active].all()
    alone = toy.init(toy.Toy(width=Size(3, 3)))
    row = next(row for row, run_id in enumerate(kept.run_ids) if widths[run_id] == 3)
    np.testing.assert_array_equal(hidden[row, 0][:, :3], alone.weights.hidden)


def test_a_diverging_run_is_retired_with_its_reason_and_changes_no_other(tmp_path):
    train_in(tmp_path / "all good", seed="0:8", learning_rate="0.1,0.2")
    train_in(tmp_path / "one bad", seed="0:8", learning_rate="0.1,1e12")
    good, mixed = results_of(tmp_path / "all good"), results_of(tmp_path / "one bad")
    bad = mixed.isel(run=mixed.learning_rate == 1e12)
    assert set(bad.status.values) == {"diverged"}
    assert all("loss not finite at step" in reason for reason in bad.reason.values)
    assert (bad.last_step < 60).all()
    assert_same_results(good.isel(run=good.learning_rate == 0.1), mixed.isel(run=mixed.learning_rate == 0.1))


@pytest.mark.parametrize("looks", [1, 2, 5])
def test_a_stopped_sweep_resumes_to_the_same_bits(tmp_path, looks):
    flags: dict[str, Any] = {"seed": "0:12", "width": "4,8", "steps": "400"}
    train_in(tmp_path / "straight", **flags)
    for _ in range(40):
        if not train_in(tmp_path / "halting", stop=StopAfter(looks), **flags).interrupted:
            break
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "halting"))


def test_an_extended_sweep_trains_only_the_new_runs(tmp_path):
    train_in(tmp_path, seed="0:4")
    before = results_of(tmp_path)
    outcome = train_in(tmp_path, seed="0:6")
    after = results_of(tmp_path)
    assert outcome.counts == {"finished": 6}
    assert outcome.trained_steps == 2 * 60
    assert_same_results(before, after.isel(run=np.isin(after.run_id, before.run_id)))
    assert train_in(tmp_path, seed="0:6").trained_steps == 0


def test_many_runs_flow_through_few_lanes(tmp_path):
    outcome = train_in(tmp_path, seed="0:100", steps="5,20,60")
    assert outcome.counts == {"finished": 300}
    results = results_of(tmp_path)
    np.testing.assert_array_equal(results.last_step, results.steps)
    assert not np.isnan(results.error.where(results.step <= results.steps, 0)).any()


def test_rows_lie_in_the_order_of_the_sweep_whatever_the_programs(tmp_path):
    train_in(tmp_path, seed="0:2", layers="1,2", steps="10")
    results = open_results(tmp_path / "results.zarr")
    assert results.seed.values.tolist() == [0, 0, 1, 1] and results.layers.values.tolist() == [1, 2, 1, 2]


def test_a_done_run_leaves_early_and_its_final_state_is_kept(tmp_path):
    experiment = dataclasses.replace(toy.toy, done=lambda metrics: metrics.error < 0.35)
    train_in(tmp_path, experiment, seed="0:8")
    results = results_of(tmp_path)
    early = results.isel(run=results.status == "done")
    assert early.sizes["run"] > 0
    kept = read_kept(next((tmp_path / "kept.zarr").iterdir()))
    for run_id, last in zip(early.run_id.values, early.last_step.values):
        row = kept.run_ids.index(run_id)
        assert kept.steps[row].max() == last
        run = early.isel(run=early.run_id == run_id).squeeze("run")
        assert float(run.error.sel(step=last)) < 0.35
        assert not np.isnan(run.readout_norm.sel(step=last))
        earlier = run.error.sel(step=run.step[run.step < last])
        assert (earlier >= 0.35).all()


def test_what_is_kept_may_be_one_array(tmp_path):
    train_in(tmp_path, dataclasses.replace(toy.toy, keep=lambda state: state.weights.readout), seed="0:2", steps="5")
    kept = read_kept(next((tmp_path / "kept.zarr").iterdir()))
    assert list(kept.leaves) == ["kept"] and kept.leaves["kept"].shape == (2, 2, 8, 1)


@pytest.mark.usefixtures("float64")
def test_kept_states_are_the_states_at_those_steps(tmp_path):
    train_in(tmp_path, seed="0:3")
    kept = read_kept(next((tmp_path / "kept.zarr").iterdir()))
    seeds = dict(zip(results_of(tmp_path).run_id.values, results_of(tmp_path).seed.values))
    for row, run_id in enumerate(kept.run_ids):
        states = train_alone(toy.Toy(seed=int(seeds[run_id])), 60)
        for column, step in enumerate(kept.steps[row]):
            np.testing.assert_allclose(
                kept.leaves["hidden"][row, column], states[int(step)].weights.hidden, rtol=1e-9, atol=1e-12
            )


@pytest.mark.usefixtures("float64")
def test_a_wide_program_is_compacted_when_half_its_lanes_idle(tmp_path, monkeypatch):
    layouts = []
    make = roster.compile_program

    def noted(work, program, layout):
        layouts.append(layout)
        return make(work, program, layout)

    monkeypatch.setattr(roster, "compile_program", noted)
    monkeypatch.setattr(training_module, "compile_program", noted)
    wide = Settings(schedule=toy.toy.schedule, group=8, lanes=16)
    flags: dict[str, Any] = {"seed": "0:8", "steps": "5,40000"}
    train_in(tmp_path / "wide", settings=wide, **flags)
    assert [each.lanes for each in layouts] == [8, 4]
    narrow = Settings(schedule=toy.toy.schedule, group=2, lanes=16)
    train_in(tmp_path / "narrow", settings=narrow, **flags)
    one, other = results_of(tmp_path / "wide"), results_of(tmp_path / "narrow")
    np.testing.assert_allclose(one.error, other.error, rtol=1e-9)


def test_a_solve_is_an_experiment_without_steps(tmp_path):
    experiment = dataclasses.replace(toy.toy, step=None)
    outcome = train_in(tmp_path, experiment, seed="0:5", steps="0")
    results = results_of(tmp_path)
    assert outcome.counts == {"finished": 5}
    hp = toy.Toy(seed=3)
    expected = toy.measure(toy.init(hp), hp).error
    np.testing.assert_allclose(results.error.isel(run=results.seed == 3).squeeze(), expected, rtol=1e-5)


def test_a_checkpoint_of_eight_devices_goes_on_with_two_one_and_eight(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.05)
    flags: dict[str, Any] = {"seed": "0:16", "steps": "4000"}
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=16)
    train_in(tmp_path / "straight", settings=settings, devices=8, **flags)
    for devices in (8, 2, 1):
        outcome = train_in(tmp_path / "moving", settings=settings, devices=devices, stop=StopAfter(1), **flags)
        assert outcome.interrupted and outcome.trained_steps
    train_in(tmp_path / "moving", settings=settings, devices=8, **flags)
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "moving"))


def test_an_extended_sweep_is_not_held_to_the_lanes_of_the_old_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.05)
    settings = Settings(schedule=toy.toy.schedule, group=2)
    train_in(tmp_path, settings=settings, stop=StopAfter(1), seed="0:2", steps="4000")
    outcome = train_in(tmp_path, settings=settings, seed="0:12", steps="4000")
    assert outcome.counts == {"finished": 12} and outcome.trained_steps < 12 * 4000
    assert "resumed 2 live runs" in (said := capsys.readouterr().out) and "in other lanes: 2 x 3 x 2" in said


class Counted(NamedTuple):
    weights: toy.Weights
    steps: jax.Array


def breaks_at_step(broken: int) -> Experiment:
    """Returns the toy with a loss that is not a number from step `broken` on in runs of seed 1."""

    def step(state, hp, key):
        moved, metrics = toy.step(toy.State(state.weights), hp, key)
        loss = jnp.where((state.steps >= broken) & (hp.seed == 1), jnp.nan, metrics.loss)
        return Counted(moved.weights, state.steps + 1), toy.StepMetrics(loss)

    return dataclasses.replace(
        toy.toy, init=lambda hp: Counted(toy.init(hp).weights, jnp.zeros(())), step=step, done=lambda metrics: False
    )


def test_a_run_that_is_run_again_starts_at_its_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.001)
    flags: dict[str, Any] = {"seed": "0:2", "steps": "2000", "experiment": breaks_at_step(1900)}
    assert train_in(tmp_path, stop=StopAfter(2), **flags).interrupted
    assert results_of(tmp_path).status.values.tolist() == ["running"] * 2
    assert train_in(tmp_path, **flags).counts == {"finished": 1, "diverged": 1}
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=8, rerun="diverged")
    assert train_in(tmp_path, settings=settings, **flags).trained_steps == 1905


def test_longer_runs_added_to_a_stopped_sweep_are_measured_and_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.01)
    train_in(tmp_path, seed="0:2", steps="10")  # three measure steps, so three kept states
    train_in(tmp_path, stop=StopAfter(2), seed="0:2", steps="10,4000")
    assert "running" in results_of(tmp_path).status
    outcome = train_in(tmp_path, seed="0:2", steps="10,4000,8000")
    assert outcome.counts == {"finished": 6}
    results = results_of(tmp_path)
    np.testing.assert_array_equal(results.last_step, results.steps)
    kept = read_kept(next((tmp_path / "kept.zarr").iterdir()))
    ends = dict(zip(results.run_id.values, results.steps.values))
    assert [row.max() for row in kept.steps] == [ends[run_id] for run_id in kept.run_ids]


@pytest.mark.usefixtures("float64")
def test_a_checkpoint_goes_on_with_devices_that_its_lanes_do_not_divide_into(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.01)
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=4)
    flags: dict[str, Any] = {"seed": "0:4", "steps": "4000"}
    train_in(tmp_path / "straight", settings=settings, **flags)
    begun = train_in(tmp_path / "moving", settings=settings, stop=StopAfter(1), **flags)
    for lanes, devices, looks in ((6, 3, 1), (2, 1, 2), (8, 4, 100)):
        settings = dataclasses.replace(settings, lanes=lanes)
        outcome = train_in(tmp_path / "moving", settings=settings, devices=devices, stop=StopAfter(looks), **flags)
    assert outcome.counts == {"finished": 4}
    assert begun.trained_steps > 0 and outcome.trained_steps < 4 * 4000 - begun.trained_steps
    assert "in other lanes: 3 x 1 x 2" in capsys.readouterr().out
    one, other = results_of(tmp_path / "straight"), results_of(tmp_path / "moving")
    np.testing.assert_allclose(one.error, other.error, rtol=1e-9)


def test_training_goes_on_to_save_after_a_damaged_checkpoint(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.01)
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=4, checkpoint_seconds=0.0)
    flags: dict[str, Any] = {"seed": "0:4", "steps": "8000"}
    train_in(tmp_path, settings=settings, stop=StopAfter(4), **flags)
    (checkpoints,) = (tmp_path / "checkpoints").iterdir()
    newest = max((path for path in checkpoints.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    for path in (newest / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    train_in(tmp_path, settings=settings, **flags)
    assert "is damaged" in capsys.readouterr().out
    assert set(results_of(tmp_path).status.values) == {"finished"}


def test_an_error_before_any_run_entered_a_lane_fails_the_programs_runs(tmp_path, monkeypatch):
    def no_memory(work, program):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(training_module, "choose", no_memory)
    assert train_in(tmp_path, seed="0:3").counts == {"failed": 3}
    assert "RESOURCE_EXHAUSTED" in results_of(tmp_path).reason.values[0]


def test_runs_that_diverged_can_be_run_again(tmp_path):
    flags: dict[str, Any] = {"seed": "0:4", "learning_rate": "0.1,1e12"}
    train_in(tmp_path, **flags)
    before = results_of(tmp_path)
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=8, rerun="diverged")
    outcome = train_in(tmp_path, settings=settings, **flags)
    assert outcome.counts == {"finished": 4, "diverged": 4}
    assert 0 < outcome.trained_steps < 4 * 60
    assert_same_results(before, results_of(tmp_path))


def test_the_measure_grid_holds_the_ends_and_only_multiples_of_the_resolution():
    schedule = Schedule(resolution=10, points=30, expensive_points=6, kept_points=4)
    grid = measure_grid(schedule, {200, 3000})
    assert grid.steps[0] == 0 and grid.steps[-1] == 3000 and 200 in grid.steps
    assert not (grid.steps % 10).any() and (np.diff(grid.steps) > 0).all()
    assert grid.expensive.sum() == 6 and grid.kept.sum() == 4
    assert grid.kept[0] and grid.kept[-1]
    ratios = grid.steps[-10:] / grid.steps[-11:-1]
    assert ratios.max() / ratios.min() < 1.2


def test_a_sparse_schedule_of_no_points_is_the_end_alone():
    grid = measure_grid(Schedule(points=5, expensive_points=0, kept_points=1), {100})
    assert np.flatnonzero(grid.expensive).tolist() == np.flatnonzero(grid.kept).tolist() == [len(grid.steps) - 1]


def test_a_grid_of_no_steps_is_the_initial_state():
    assert measure_grid(Schedule(), {0}).steps.tolist() == [0]


def test_importing_an_experiment_does_not_start_jax():
    code = (
        "import jax, experiments.grokking; jax.config.update('jax_num_cpu_devices', 3); assert len(jax.devices()) == 3"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(toy.__file__).parent.parent)
