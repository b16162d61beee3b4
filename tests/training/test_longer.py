"""Runs trained longer: from the ends of shorter ones, with the bits of runs that were never stopped there."""

from __future__ import annotations

import dataclasses
import random
import shutil
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import toy
import xarray as xr
from forks import Fault, Forks
from toy import StopAfter, annealed, assert_same_results, results_of, train_in

from phenom_jax.cli.main import launch
from phenom_jax.device import layout
from phenom_jax.hparams import InvalidValue
from phenom_jax.store.code import code_of, digest
from phenom_jax.store.ends import Ends
from phenom_jax.store.kept import Kept, read_kept
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow

KEEPING = Settings(schedule=toy.toy.schedule, group=2, lanes=8, keep_ends=True)
RUNS: dict[str, Any] = {"seed": "0:2", "width": "4,8"}


def longer(path: Path, experiment=toy.toy, settings: Settings = KEEPING, **flags: Any):
    return train_in(path, experiment, settings=settings, **RUNS | flags)


def kept(path: Path) -> Kept:
    (folder,) = (path / "kept.zarr").iterdir()
    return read_kept(folder)


def ends_of(path: Path, experiment=toy.toy) -> dict[str, np.ndarray]:
    """Returns the states at the ends of the runs that the results hold, in the order of their ids."""
    run_ids = results_of(path).run_id.values.tolist()
    (lanes,) = Ends(path, digest(code_of(experiment))).read(run_ids)
    rows = [lanes.run_ids.index(run_id) for run_id in run_ids]
    return {name: leaf[rows] for name, leaf in lanes.leaves.items() if name.startswith(("lane.state", "lane.latest"))}


def assert_same_at_common_steps(one: xr.Dataset, other: xr.Dataset, steps: list[int]) -> None:
    """Asserts that curves are equal bit for bit, but for rare measures that only one of them has at a step."""
    assert set(steps) <= set(one.step.values) & set(other.step.values)
    common = np.intersect1d(one.step.values, other.step.values)
    one, other = one.sel(step=common), other.sel(step=common)
    for name in ("error", "input_norms", "loss"):
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)
    both = np.isfinite(one.readout_norm.values) & np.isfinite(other.readout_norm.values)
    assert both[:, -1].all()
    np.testing.assert_array_equal(one.readout_norm.values[both], other.readout_norm.values[both])


def test_a_run_trained_longer_twice_is_the_run_that_was_never_stopped(tmp_path):
    longer(tmp_path / "longer", steps="60")
    for steps in ("120", "240"):
        outcome = longer(tmp_path / "longer", steps=steps)
        assert outcome.counts == {"finished": 4} and outcome.trained_steps == 4 * int(steps) // 2
    assert longer(tmp_path / "longer", steps="240").trained_steps == 0
    longer(tmp_path / "straight", steps="240")
    one, other = results_of(tmp_path / "straight"), results_of(tmp_path / "longer")
    assert one.run_id.values.tolist() == other.run_id.values.tolist()
    assert set(other.last_step.values) == {240} and set(other.steps.values) == {240}
    assert np.isfinite(other.error).all()
    assert_same_at_common_steps(one, other, [0, 5, 240])
    ends = ends_of(tmp_path / "longer")
    for name, leaf in ends_of(tmp_path / "straight").items():
        np.testing.assert_array_equal(leaf, ends[name], err_msg=name)
    states = kept(tmp_path / "longer")
    assert sorted(states.run_ids) == other.run_id.values.tolist()  # in the rows of the shorter ones
    assert all({0, 60, 120, 240} <= set(steps) for steps in states.steps)


def test_several_lengths_go_on_from_the_longest_end_and_only_what_is_left_out_gives_way(tmp_path):
    longer(tmp_path, steps="20,60")
    outcome = longer(tmp_path, steps="60,100,200")
    assert outcome.counts == {"finished": 12} and outcome.trained_steps == 4 * (40 + 140)
    results = results_of(tmp_path)
    assert sorted(set(results.steps.values)) == [60, 100, 200]
    np.testing.assert_array_equal(results.last_step, results.steps)
    for seed in (0, 1):
        alike = results.isel(run=((results.seed == seed) & (results.width == 4)).values)
        at_60 = alike.error.sel(step=60).values
        assert len(set(at_60)) == 1 and np.isfinite(at_60).all()
    assert longer(tmp_path, steps="60,100,200", seed="0:3").trained_steps == 2 * (60 + 100 + 200)


def test_steps_that_the_old_resolution_does_not_divide_and_sizes_that_are_new(tmp_path):
    longer(tmp_path / "longer", steps="60")
    assert longer(tmp_path / "longer", steps="93", width="3,4,8,16").counts == {"finished": 8}
    longer(tmp_path / "straight", steps="93", width="4,8")
    results = results_of(tmp_path / "longer")
    old = results.isel(run=np.isin(results.width, (4, 8)))
    assert_same_at_common_steps(results_of(tmp_path / "straight"), old, [0, 93])


def test_runs_that_ended_for_good_stay_as_they_are(tmp_path):
    """A run that is done or diverged is so under more steps too, and so is one that is done where it finished."""
    flags: Any = {"width": "8", "seed": "0,2,6", "learning_rate": "0.1,1e12"}
    longer(tmp_path / "probe", steps="60", **flags)
    probe = results_of(tmp_path / "probe")
    at_its_end = probe.isel(run=((probe.seed == 6) & (probe.learning_rate == 0.1)).values).squeeze("run")
    threshold = float(at_its_end.error.sel(step=60)) * 1.001
    experiment = dataclasses.replace(toy.toy, done=lambda metrics: metrics.error < threshold)

    def rows(out: Path) -> dict[tuple, xr.Dataset]:
        found = results_of(out)
        assert found.sizes["run"] == 6
        return {
            (int(run.seed), float(run.learning_rate)): run
            for run in (found.isel(run=row) for row in range(found.sizes["run"]))
        }

    longer(tmp_path / "longer", experiment, steps="60", **flags)
    before = rows(tmp_path / "longer")
    assert [str(before[seed, 0.1].status.values) for seed in (0, 2, 6)] == ["done", "finished", "finished"]
    longer(tmp_path / "longer", experiment, steps="120", **flags)
    after = rows(tmp_path / "longer")
    assert [str(after[seed, 0.1].status.values) for seed in (0, 6)] == ["done", "done"]
    assert after[6, 0.1].last_step == 60 < after[2, 0.1].last_step
    for key, run in before.items():
        if run.status != "finished":
            for label in ("status", "last_step", "reason"):
                assert after[key][label] == run[label]
        common = run.step.values[run.step.values <= int(run.last_step)]
        np.testing.assert_array_equal(after[key].error.sel(step=common), run.error.sel(step=common))
    assert {key for key, run in after.items() if run.status == "diverged"} == {(seed, 1e12) for seed in (0, 2, 6)}
    states = kept(tmp_path / "longer")
    for seed in (0, 6):
        run = after[seed, 0.1]
        assert states.steps[states.run_ids.index(str(run.run_id.values))].max() == run.last_step
    assert longer(tmp_path / "longer", experiment, steps="240", **flags).counts["done"] >= 2


def test_ends_of_other_code_are_no_beginning(tmp_path):
    longer(tmp_path, steps="20")
    step = lambda state, hp, key: toy.step(state, hp, jax.random.fold_in(key, 1))  # noqa: E731
    other = dataclasses.replace(toy.toy, step=step)
    with pytest.raises(InvalidValue, match="4 runs of other code"):
        longer(tmp_path, other, steps="40")
    accepting = dataclasses.replace(KEEPING, accept_changes=True)
    assert longer(tmp_path, other, accepting, steps="40").trained_steps == 4 * 40
    assert results_of(tmp_path).steps.values.tolist() == [40] * 4


def test_a_run_that_goes_on_may_be_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.01)
    few = dataclasses.replace(KEEPING, lanes=4)  # twice as many runs
    longer(tmp_path / "straight", settings=few, steps="60", seed="0:4")
    shutil.copytree(tmp_path / "straight", tmp_path / "halting")
    longer(tmp_path / "straight", settings=few, steps="4000", seed="0:4")
    trained = 0
    for _ in range(60):
        outcome = train_in(tmp_path / "halting", stop=StopAfter(2), settings=few, seed="0:4", width="4,8", steps="4000")
        trained += outcome.trained_steps
        if not outcome.interrupted:
            break
        assert set(results_of(tmp_path / "halting").steps.values) == {4000}
    assert trained == 8 * 3940
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "halting"))


def test_damaged_ends_cost_their_runs_a_beginning(tmp_path, capsys):
    longer(tmp_path, steps="60")
    (place,) = (tmp_path / "ends.zarr").iterdir()
    (file,) = (path for path in (place / "lane.state.weights.hidden" / "c").rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:-3] + b"xxx")
    assert longer(tmp_path, steps="120").trained_steps == 4 * 120
    assert "WARNING: 4 runs begin anew: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (
            {"settings": dataclasses.replace(KEEPING, keep_ends=False)},
            {},
            "steps: the ends of 4 runs in .* were not kept",
        ),
        ({"stop": StopAfter(1)}, {}, r"steps: run \w+ in .* is running, .* to end it first"),
        ({}, {"seed": "0:1"}, "seed: directory has 0,1, command has 0"),
        ({}, {"steps": "30"}, "steps: directory has 60, command has 30"),
    ],
)
def test_what_cannot_go_on_is_refused_and_nothing_is_changed(tmp_path, monkeypatch, first, then, said):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 1e-9)
    train_in(tmp_path, **{"settings": KEEPING, **RUNS, "steps": "60"} | first)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(InvalidValue, match=said):
        longer(tmp_path, **{"steps": "120"} | then)
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize("where", ["step", "init"])
def test_runs_that_depend_on_their_length_are_not_trained_longer(tmp_path, where):
    experiment = annealed(where)
    longer(tmp_path, experiment, steps="20")
    with pytest.raises(InvalidValue, match="^steps: 40 .*another --out: .* depends on its `steps` from the start"):
        longer(tmp_path, experiment, steps="40")
    assert longer(tmp_path, experiment, steps="20,40").trained_steps == 4 * 40  # beside the others, from the beginning


def test_the_plan_says_what_ends_take_and_what_goes_on(tmp_path, capsys):
    flags = [
        "--devices=8",
        "--seed=0:4",
        "--keep_ends",
        f"--out={tmp_path}",
        "--noreport",
        "--notensorboard",
    ]
    assert launch(toy.toy, [*flags, "--steps=20"], "a command") == 0
    assert "the ends of 4 runs are kept (--keep_ends): 0.00" in capsys.readouterr().out
    assert launch(toy.toy, [*flags, "--steps=40", "--plan"], "a command") == 0
    assert "0 of 4 runs are done" in (said := capsys.readouterr().out) and "4 runs go on from the ends" in said
    assert launch(toy.toy, [*flags, "--steps=40", "--shard=0/2"], "a command") == 2
    assert "keep_ends: has no effect with --shard" in capsys.readouterr().err


def test_killed_wherever_it_writes_a_run_goes_on_to_the_same_bits(tmp_path):
    moments = random.Random(3)
    begun = ["--seed=0:4", "--width=4,8", "--steps=300", "--resolution=50", "--points=6", "--keep_ends"]
    begun += ["--group=2", "--lanes=4", "--devices=2", "--checkpoint_seconds=0"]
    whole = [*begun, "--steps=900"]
    whole.remove("--steps=300")
    forks = Forks(tmp_path)
    for out, flags in (("straight", begun), ("straight", whole), ("killed", begun)):
        ended = forks.run(out, flags)
        assert ended.code == 0, ended.said
    faults = [
        Fault("os.rename", "config.json.new"),
        Fault("os.rename", r"\.results.zarr.new/status/c"),
        Fault("os.rename", r"results.zarr /.*\.results.zarr.old"),
        Fault("os.rename", r"\.results.zarr.new /"),
        Fault("os.rename", r"kept.zarr/.*step/c"),  # what was kept of the shorter ones is forgotten
        *(
            Fault("call", "CompiledProgram.chunk", moments.randint(1, 4), moments.uniform(0.001, 0.06))
            for _ in range(3)
        ),
        Fault("os.rename", r"ends.zarr/.*lane.state.weights.hidden/c"),
        Fault("os.rename", r"ends.zarr/.*/step/c"),
        Fault("os.rename", r"kept.zarr/.*hidden/c"),
        Fault("os.rename", "results.zarr/error/c"),
        Fault("os.rename", "results.zarr/status/c", 2),
    ]
    over: set[str] = set()
    for fault in faults:
        killed = forks.run("killed", whole, fault)
        assert killed.code == -signal.SIGKILL and killed.struck, (fault, killed)
        assert killed.over_before is None or killed.over_before >= over, fault
        over = killed.over_before or over
        found = results_of(tmp_path / "killed")
        assert found.sizes["run"] == 8  # a seed is there once
        assert (found.last_step >= 300).all() and np.isfinite(found.error.sel(step=300)).all(), fault
    ended = forks.run("killed", whole)
    assert ended.code == 0, ended.said
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "killed"))
    one, other = ends_of(tmp_path / "straight"), ends_of(tmp_path / "killed")
    for name, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[name], err_msg=name)
