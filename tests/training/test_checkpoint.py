"""Checkpoints: whole, checked, and the one before where the newest is damaged."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from toy import some_devices

from phenom_jax.device.program import AXIS
from phenom_jax.hparams import InvalidValue
from phenom_jax.training import checkpoint
from phenom_jax.training.checkpoint import Checkpoints, SaveFailed, Unreadable
from phenom_jax.training.checksums import row_sums

pytestmark = pytest.mark.slow

AXES = jax.sharding.PartitionSpec(AXIS)
TREE = {"weights": np.arange(4096, dtype=np.float32), "step": np.array([3, 4], np.int32), "none": np.zeros((0, 2))}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(checkpoint, "RETRY_SECONDS", 0.01)


def template(meta: dict) -> dict:
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), TREE)


def saved(path: Path, chunks: list[int]) -> None:
    with Checkpoints(path) as checkpoints:
        for chunk in chunks:
            tree = TREE | {"step": TREE["step"] + chunk}
            checkpoints.save(chunk, jax.tree.map(jax.numpy.asarray, tree), {"in_lane": ["a", None]})


def restored(path: Path):
    notes: list[str] = []
    with Checkpoints(path) as checkpoints:
        return checkpoints.restore(template, notes.append), notes


def test_what_is_saved_comes_back_with_its_meta(tmp_path):
    saved(tmp_path, [7])
    found, notes = restored(tmp_path)
    assert found is not None and found.chunk == 7 and found.meta["in_lane"] == ["a", None] and not notes
    np.testing.assert_array_equal(found.tree["weights"], TREE["weights"])
    np.testing.assert_array_equal(found.tree["step"], [10, 11])
    assert found.tree["none"].shape == (0, 2)


def test_checksums_need_no_word_between_devices():
    """Collectives of programs under way at the same time have been seen to wait for each other forever."""
    lanes = jax.ShapeDtypeStruct((8, 3), np.float32, sharding=jax.NamedSharding(some_devices(4).mesh, AXES))
    text = row_sums.lower({"one": lanes, "other": lanes}).compile().as_text()
    assert text and not re.findall(r"all-reduce|all-gather|all-to-all|collective|send|recv", text)


def test_what_changes_after_a_save_has_begun_is_not_saved(tmp_path):
    lanes = ["first"] * 10_000  # long enough to be still being written when it changes
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {"step": jax.numpy.ones(2)}, {"in_lane": lanes})
        lanes[:] = ["other"] * 10_000
        checkpoints.wait()
        found = checkpoints.restore(lambda meta: {"step": np.zeros(2, np.float32)}, print)
    assert found is not None and set(found.meta["in_lane"]) == {"first"}


def test_an_empty_directory_has_none(tmp_path):
    assert restored(tmp_path)[0] is None


def test_the_two_newest_are_kept(tmp_path):
    saved(tmp_path, [1, 2, 3])
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ["2", "3"]


def test_what_is_saved_may_be_overwritten_at_once(tmp_path):
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        for chunk in (1, 2, 3):
            tree = {name: jax.numpy.full(500_000, chunk, jax.numpy.float32) for name in ("a", "b", "c")}
            checkpoints.save(chunk, tree, {})
            for _ in range(5):
                tree = overwrite(tree)
            checkpoints.wait()
            notes: list[str] = []
            found = checkpoints.restore(lambda meta, like=tree: like, notes.append)
            assert found is not None and found.chunk == chunk and not notes
            assert all((leaf == chunk).all() for leaf in found.tree.values())


def test_a_step_not_above_the_latest_is_an_error(tmp_path):
    saved(tmp_path, [5])
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(SaveFailed, match="refused checkpoint 4"):
        checkpoints.save(4, {"step": jax.numpy.ones(2)}, {})


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(tmp_path, damage):
    saved(tmp_path, [1, 2])
    newest = max((p for p in (tmp_path / "2").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = newest.read_bytes()
    if damage == "flip":
        middle = len(content) // 2
        newest.write_bytes(content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :])
    elif damage == "truncate":
        newest.write_bytes(content[: len(content) // 2])
    else:
        newest.unlink()
    found, notes = restored(tmp_path)
    gc.collect()  # nothing that Orbax left behind speaks up
    assert found is not None and found.chunk == 1
    np.testing.assert_array_equal(found.tree["step"], [4, 5])
    assert len(notes) == 1 and "checkpoint 2" in notes[0] and "using the one before" in notes[0]


def test_a_description_that_was_altered_is_damage(tmp_path):
    saved(tmp_path, [1, 2])
    described = tmp_path / "2" / "meta" / "metadata"
    described.write_text(described.read_text().replace('"in_lane":["a"', '"in_lane":["b"').replace('"a"', '"b"'))
    found, notes = restored(tmp_path)
    assert found is not None and found.chunk == 1 and "checkpoint 2" in notes[0] and "is damaged" in notes[0]


def largest(step: Path) -> Path:
    return max((path for path in step.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("which", ["meta/metadata", "state/_METADATA", "data"])
def test_what_a_disk_refuses_to_read_is_kept_and_said(tmp_path, which):
    saved(tmp_path, [1, 2])
    path = largest(tmp_path / "2") if which == "data" else tmp_path / "2" / which
    aside = path.rename(tmp_path.parent / "aside")
    path.symlink_to("/proc/self/mem")  # reading it is an input/output error
    with pytest.raises(Unreadable, match="checkpoint 2 in .* cannot be read: .*Input/output error"):
        restored(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ["1", "2"]
    path.unlink()
    aside.rename(path)
    found, notes = restored(tmp_path)
    assert found is not None and found.chunk == 2 and not notes


@pytest.mark.parametrize(
    "error, times",
    [(OSError(5, "Input/output error"), 3), (ValueError("INTERNAL: Error reading local file: Input/output error"), 1)],
)
def test_a_disk_that_refuses_for_a_while_is_asked_again(tmp_path, monkeypatch, error, times):
    saved(tmp_path, [1, 2])
    restore, refused = checkpoint.ocp.CheckpointManager.restore, []

    def refusing(manager, *arguments, **named):
        if len(refused) < times:
            refused.append(error)
            raise error
        return restore(manager, *arguments, **named)

    monkeypatch.setattr(checkpoint.ocp.CheckpointManager, "restore", refusing)
    found, notes = restored(tmp_path)
    assert len(refused) == times
    assert found is not None and found.chunk == 2 and not notes


def test_damage_is_not_removed_before_the_one_before_is_read(tmp_path):
    saved(tmp_path, [1, 2])
    (tmp_path / "2" / "meta" / "metadata").write_text("{")
    before = tmp_path / "1" / "meta" / "metadata"
    before.unlink()
    before.symlink_to("/proc/self/mem")
    with pytest.raises(Unreadable, match="checkpoint 1"):
        restored(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ["1", "2"]


@pytest.mark.parametrize("error", [InvalidValue("lanes: 9"), KeyError("weights")])
def test_what_goes_wrong_with_what_is_wanted_is_no_damage(tmp_path, error):
    saved(tmp_path, [1, 2])

    def refuse(meta):
        raise error

    with Checkpoints(tmp_path) as checkpoints, pytest.raises(type(error)):
        checkpoints.restore(refuse, print)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.isdigit()) == ["1", "2"]
