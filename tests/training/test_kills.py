"""Nothing is lost: one sweep, killed wherever it writes and in between, ends with the bits of one left alone."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from forks import Fault, Forks
from toy import assert_same_results, results_of

from phenom_jax.store.kept import Kept, read_kept

pytestmark = pytest.mark.slow

AXES = ["--width=4,8", "--steps=600,1000", "--resolution=50", "--points=6"]
ENGINE = ["--group=2", "--lanes=8", "--devices=2", "--checkpoint_seconds=0"]
BEGUN, WHOLE = (["--seed=0:3", *AXES, *ENGINE], ["--seed=0:6", *AXES, *ENGINE])  # 12 runs, then 24

moments = random.Random(7)


def at(event: str, path: str, latest: int = 1) -> Fault:
    """Returns a kill at one of the first `latest` such events."""
    return Fault(event, path, moments.randint(1, latest))


def after(call: str, latest: int) -> Fault:
    """Returns a kill at a random moment after one of the first calls."""
    return Fault("call", call, moments.randint(1, latest), moments.uniform(0.001, 0.06))


def in_training() -> list[Fault]:
    return [after("CompiledProgram.chunk", 6) for _ in range(3)]


def in_a_checkpoint() -> list[Fault]:
    saving = r"checkpoints/\w+/\d+.orbax-checkpoint-tmp"
    return [
        *(after("Checkpoints.save", 3) for _ in range(2)),
        at("open", rf"{saving}/meta.*/metadata", 3),
        at("os.rename", rf"{saving}/state.orbax-checkpoint-tmp ", 3),
        at("os.rename", rf"{saving} ", 3),  # it is a checkpoint from then on
    ]


def in_a_deletion() -> list[Fault]:
    return [at("os.rename", "_trash"), at("os.remove", "_trash", 12), at("os.rmdir", "_trash", 4)]


def in_the_results() -> list[Fault]:
    parts = ("error/c", "input_norms/c", "last_step/c", "reason/c", "status/c")
    return [
        at("open", r"results.zarr/loss/c/0/0\.\w+.partial", 3),
        *(at("os.rename", f"results.zarr/{part}", 3) for part in parts),
    ]


def in_the_kept_states() -> list[Fault]:
    return [at("os.rename", r"kept.zarr/.*hidden/c"), at("os.rename", r"kept.zarr/.*step/c")]


def at_the_start() -> list[Fault]:
    made = [at("os.rename", "config.json.new"), at("os.rename", r"\.results.zarr.new/status/c")]
    return [*made, at("os.rename", r"\.results.zarr.new /")]


def as_it_is_extended() -> list[Fault]:
    swapped = [r"results.zarr /.*\.results.zarr.old", r"\.results.zarr.new /"]
    return [*(at("os.rename", path) for path in swapped), at("os.remove", r"\.results.zarr.old", 9)]


def in_the_report() -> list[Fault]:
    files = ("runs.csv", "claims.json", "figures/error.png", "report.html")
    derived = (r"results.zarr/largest_error/c", r"results.zarr/\.zarr.json")
    return [*(at("os.rename", path) for path in (*files, *derived)), at("open", "tfevents")]


def training_faults() -> list[tuple[str, Fault]]:
    places = (in_training, in_a_checkpoint, in_a_deletion, in_the_results, in_the_kept_states)
    faults = [(place.__name__, fault) for place in places for fault in place()]
    moments.shuffle(faults)
    return faults


def named(place) -> list[tuple[str, Fault]]:
    return [(place.__name__, fault) for fault in place()]


def kept(out: Path) -> Kept:
    (folder,) = (out / "kept.zarr").iterdir()
    return read_kept(folder)


def rows_of(out: Path) -> list[str]:
    return sorted((out / "runs.csv").read_text().splitlines())


@pytest.fixture(scope="module")
def forks(tmp_path_factory) -> Forks:
    """Returns where commands run, after one that was left alone."""
    forks = Forks(tmp_path_factory.mktemp("forks"))
    straight = forks.run("straight", WHOLE)
    assert straight.code == 0, straight.said
    return forks


def assert_as_if_left_alone(out: Path) -> None:
    straight = out.with_name("straight")
    assert_same_results(results_of(straight), results_of(out))
    one, other = kept(straight), kept(out)
    order = [other.run_ids.index(run_id) for run_id in one.run_ids]  # rows lie in the order in which runs came
    np.testing.assert_array_equal(one.steps, other.steps[order])
    for name, leaf in one.leaves.items():
        np.testing.assert_array_equal(leaf, other.leaves[name][order], err_msg=name)
    assert rows_of(straight) == rows_of(out)
    alone = xr.open_zarr(out / "results.zarr")
    np.testing.assert_array_equal(alone["largest_error"], alone["error"].max("step"))
    assert (out / "report.html").exists() and any((out / "tensorboard").iterdir())


def test_a_sweep_killed_wherever_it_writes_ends_as_if_it_had_not_been(forks):
    faults = training_faults()
    half = len(faults) // 2
    commands = [(*each, BEGUN) for each in named(at_the_start) + faults[:half]]
    commands += [(*each, WHOLE) for each in named(as_it_is_extended) + faults[half:] + named(in_the_report)]
    assert len(commands) >= 20
    over: set[str] = set()
    for place, fault, flags in commands:
        killed = forks.run("killed", flags, fault)
        assert killed.code == -signal.SIGKILL and killed.struck, (place, fault, killed)
        if killed.over_before is not None:
            assert killed.over_before >= over, (place, fault)  # what was over stays so
            over = killed.over_before
        assert not over & killed.ended, (place, fault)  # and is not trained again
    last = forks.run("killed", WHOLE)
    assert last.code == 0 and last.over_before is not None and len(last.over_before) == 24 and not last.ended, last.said
    assert_as_if_left_alone(forks.folder / "killed")


def test_a_signal_at_any_time_ends_the_command_with_code_75_and_how_to_resume(forks):
    for call, number in [
        ("make_work", signal.SIGTERM),
        ("CompiledProgram.chunk", signal.SIGUSR2),
        ("Checkpoints.restore", signal.SIGINT),
        ("CompiledProgram.chunk", signal.SIGINT),
        ("decide_all", signal.SIGTERM),
    ]:
        stopped = forks.run("stopped", WHOLE, Fault("call", call, signal=number))
        assert stopped.code == 75 and stopped.struck, (call, stopped)
        assert f"stopped by {number.name}, all is kept; to resume: " in stopped.said, (call, stopped.said)
        assert "Traceback" not in stopped.said, stopped.said
    assert forks.run("stopped", WHOLE).code == 0
    assert_as_if_left_alone(forks.folder / "stopped")
