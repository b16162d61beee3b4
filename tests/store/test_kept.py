"""Kept states: rows that are read alone, forgotten, used again, and read while others are damaged."""

import numpy as np
import pytest

from phenom_jax.hparams import InvalidValue
from phenom_jax.store import kept
from phenom_jax.store.kept import KeptStates, forget, kept_rows, kept_steps, lost_runs, read_kept


def states(count, points, start=0.0):
    """Returns a leaf and the steps of `count` runs that kept `points` states."""
    steps = np.tile(np.arange(points, dtype=np.int32), (count, 1))
    return {"weights": start + np.arange(count * points * 3.0).reshape(count, points, 3)}, steps


def write(path, run_ids, points, start=0.0):
    leaves, steps = states(len(run_ids), points, start)
    KeptStates(path, run_ids).write(run_ids, leaves, steps)
    return leaves["weights"]


def test_rows_that_were_forgotten_are_taken_by_new_runs(tmp_path):
    write(tmp_path, ["a", "b", "c"], points=2)
    forget(tmp_path, ["a", "b"])
    assert [len(steps) for steps in kept_steps(tmp_path).values()] == [0, 0, 2]
    weights = write(tmp_path, ["d", "e", "f"], points=3, start=100.0)
    found = read_kept(tmp_path)
    assert found.run_ids == ["d", "e", "c", "f"]
    np.testing.assert_array_equal(found.leaves["weights"][[0, 1, 3]], weights)
    np.testing.assert_array_equal(found.steps, [[0, 1, 2], [0, 1, 2], [0, 1, -1], [0, 1, 2]])


def test_a_run_that_is_to_be_trained_again_keeps_its_row(tmp_path):
    write(tmp_path, ["a", "b"], points=2)
    forget(tmp_path, ["a"])
    KeptStates(tmp_path, ["a", "b", "c"])
    assert read_kept(tmp_path).run_ids == ["a", "b", "c"]


def test_a_chunk_of_steps_of_which_all_is_forgotten_still_has_its_file(tmp_path):
    write(tmp_path, ["a", "b"], points=2)
    forget(tmp_path, ["a", "b"])
    assert not lost_runs(tmp_path)
    write(tmp_path, ["a", "b", "c", "d"], points=3)
    forget(tmp_path, ["a", "b"])
    assert not lost_runs(tmp_path) and len(read_kept(tmp_path).run_ids) == 4


def test_rows_are_read_alone_whatever_befell_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_CHUNK_BYTES", 1)  # a file per run
    weights = write(tmp_path, ["a", "b", "c"], points=2)
    files = sorted(path for path in (tmp_path / "weights" / "c").rglob("*") if path.is_file())
    files[0].write_bytes(b"nonsense")
    files[1].unlink()
    np.testing.assert_array_equal(kept_rows(tmp_path, ["c"])["weights"], weights[2:])
    for run_id in ("a", "b"):
        with pytest.raises(InvalidValue, match="weights"):
            kept_rows(tmp_path, ["c", run_id])
