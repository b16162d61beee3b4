"""Faults that come while a sweep trains: a disk that refuses, memory that runs out, runs that diverge."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import toy
from toy import StopAfter, assert_same_results, results_of, train_in

from phenom_jax.device import layout
from phenom_jax.device.program import CompiledProgram
from phenom_jax.store.kept import read_kept
from phenom_jax.sweep.settings import Settings
from phenom_jax.training import checkpoint
from phenom_jax.training.checkpoint import Checkpoints, SaveFailed
from phenom_jax.training.stop import Stop

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SWEEP: dict[str, Any] = {"seed": "0:20", "steps": "1500"}
SETTINGS = Settings(schedule=toy.toy.schedule, group=2, lanes=8)


def train_with_disk_fault(fault: str, chunks: int, out: Path) -> tuple[int, str]:
    """Returns the exit code and the output of a process whose disk fails for so many chunks."""
    search = os.pathsep.join([str(HERE.parent), str(HERE.parent.parent)])
    flags = [*(f"--{name}={value}" for name, value in SWEEP.items()), "--group=2", "--lanes=8", "--devices=2"]
    done = subprocess.run(
        [sys.executable, HERE / "disk_faults.py", fault, str(chunks), out, "--checkpoint_seconds=0", *flags],
        env=os.environ | {"PYTHONPATH": search, "XDG_CACHE_HOME": str(out.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_refuses_for_a_while_costs_nothing(tmp_path, fault):
    code, said = train_with_disk_fault(fault, 6, tmp_path / "disturbed")
    assert code == 0, said
    for line in ("WARNING: results cannot be written", "WARNING: no checkpoint was written", "written again"):
        assert line in said
    assert "Traceback" not in said
    train_in(tmp_path / "straight", settings=SETTINGS, **SWEEP)
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "disturbed"))


def test_what_a_full_disk_refused_to_the_end_is_said_and_trained_again(tmp_path):
    code, said = train_with_disk_fault("full", 10**6, tmp_path / "disturbed")
    assert code == 74, said
    assert "the disk refused to the end" in said and "to resume: the same command" in said
    assert "Traceback" not in said
    assert "finished" not in results_of(tmp_path / "disturbed").status
    train_in(tmp_path / "disturbed", settings=SETTINGS, **SWEEP)
    train_in(tmp_path / "straight", settings=SETTINGS, **SWEEP)
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "disturbed"))


def test_a_checkpoint_that_the_disk_does_not_hand_over_is_kept_and_trained_on_later(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.02)
    monkeypatch.setattr(checkpoint, "RETRY_SECONDS", 0.01)
    begun = train_in(tmp_path / "disturbed", settings=SETTINGS, stop=StopAfter(3), **SWEEP)
    (found,) = (tmp_path / "disturbed" / "checkpoints").glob("*/*/meta/metadata")
    aside = found.rename(tmp_path / "aside")
    found.symlink_to("/proc/self/mem")  # reading it is an input/output error
    outcome = train_in(tmp_path / "disturbed", settings=SETTINGS, **SWEEP)
    assert "cannot be read: [Errno 5]" in outcome.unwritten and not outcome.trained_steps
    found.unlink()
    aside.rename(found)
    rest = train_in(tmp_path / "disturbed", settings=SETTINGS, **SWEEP)
    assert begun.trained_steps + rest.trained_steps == 20 * 1500
    train_in(tmp_path / "straight", settings=SETTINGS, **SWEEP)
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "disturbed"))


def test_a_save_that_fails_in_the_background_is_found_and_the_next_one_works(tmp_path, monkeypatch):
    from orbax.checkpoint import CheckpointManager

    tree = {"weights": jax.numpy.arange(8.0)}
    finalize = CheckpointManager._finalize

    def fail(manager, step, steps_to_remove):
        manager._save_progress_tracker.set(False)
        raise OSError(28, "No space left on device")

    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        monkeypatch.setattr(CheckpointManager, "_finalize", fail)
        checkpoints.save(1, tree, {})
        while checkpoints._manager.is_saving_in_progress():
            time.sleep(0.01)
        with pytest.raises(SaveFailed, match="No space left"):
            checkpoints.check()
        monkeypatch.setattr(CheckpointManager, "_finalize", finalize)
        checkpoints.save(2, tree, {})
        checkpoints.wait()
        found = checkpoints.restore(lambda meta: tree, print)
        assert found is not None and found.chunk == 2


def short_of_memory(monkeypatch, most_lanes: int) -> None:
    """Makes the device run out of memory in programs of more lanes."""
    chunk = CompiledProgram.chunk

    def limited(self, lanes, ticks, grid=None):
        if self.layout.total > most_lanes:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 68719476736 bytes.")
        return chunk(self, lanes, ticks, grid)

    monkeypatch.setattr(CompiledProgram, "chunk", limited)


@pytest.mark.usefixtures("float64")
def test_with_too_little_memory_a_program_goes_on_in_fewer_lanes_and_says_so(tmp_path, monkeypatch, capsys):
    train_in(tmp_path / "straight", settings=SETTINGS, **SWEEP)
    with monkeypatch.context() as patched:
        short_of_memory(patched, most_lanes=2)
        outcome = train_in(tmp_path / "short", settings=SETTINGS, **SWEEP)
    assert outcome.counts == {"finished": 20}
    said = capsys.readouterr().out
    assert "out of memory with 8 lanes" in said and "goes on with 2 from its last checkpoint" in said
    one, other = results_of(tmp_path / "straight"), results_of(tmp_path / "short")
    np.testing.assert_allclose(one.error, other.error, rtol=1e-9)


def test_runs_that_have_begun_go_on_from_their_checkpoint_when_memory_runs_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.02)
    begun = train_in(tmp_path / "short", settings=SETTINGS, stop=StopAfter(5), **SWEEP)
    short_of_memory(monkeypatch, most_lanes=4)
    rest = train_in(tmp_path / "short", settings=SETTINGS, **SWEEP)
    assert rest.counts == {"finished": 20}
    assert begun.trained_steps + rest.trained_steps == 20 * 1500
    assert "in other lanes: 2 x 1 x 2" in capsys.readouterr().out
    train_in(tmp_path / "straight", settings=SETTINGS, **SWEEP)
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "short"))
    kept = [read_kept(next((tmp_path / name / "kept.zarr").iterdir())) for name in ("straight", "short")]
    assert kept[0].run_ids == kept[1].run_ids
    for name, leaf in kept[0].leaves.items():
        np.testing.assert_array_equal(leaf, kept[1].leaves[name])


def test_where_no_number_of_lanes_fits_the_waiting_runs_fail(tmp_path, monkeypatch, capsys):
    short_of_memory(monkeypatch, most_lanes=1)
    assert train_in(tmp_path, settings=SETTINGS, **SWEEP).counts == {"failed": 20}
    assert "20 runs failed, 0 keep their last checkpoint: RESOURCE_EXHAUSTED" in capsys.readouterr().out


DIVERGING: dict[str, Any] = {"seed": "0:4", "learning_rate": "0.1,1e12", "steps": "400"}


def diverging(**settings) -> Settings:
    return Settings(schedule=toy.toy.schedule, group=2, lanes=8, **settings)


def test_a_run_that_diverged_may_go_on_to_its_last_step(tmp_path):
    train_in(tmp_path / "retired", settings=diverging(), **DIVERGING)
    train_in(tmp_path / "whole", settings=diverging(on_diverge="continue"), **DIVERGING)
    retired, whole = results_of(tmp_path / "retired"), results_of(tmp_path / "whole")
    bad = whole.learning_rate == 1e12
    assert set(whole.status.values[bad]) == {"diverged"}
    assert (whole.last_step.values[bad] == 400).all() and (retired.last_step.values[bad] < 400).all()
    assert whole.reason.values.tolist() == retired.reason.values.tolist()
    assert_same_results(retired.isel(run=~bad), whole.isel(run=~bad))


def test_the_first_divergence_may_stop_the_sweep_which_can_go_on(tmp_path):
    stop = Stop()
    outcome = train_in(tmp_path, stop=stop, settings=diverging(on_diverge="stop"), **DIVERGING)
    assert outcome.interrupted and "loss not finite at step" in outcome.interrupted and stop.failure
    assert outcome.counts["diverged"] and not outcome.unwritten
    outcome = train_in(tmp_path, settings=diverging(), **DIVERGING)
    assert outcome.counts == {"finished": 4, "diverged": 4}
