"""Damaged files of a run directory: found, said, and trained again, or refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from toy import assert_same_results, results_of, train_in

from phenom_jax.hparams import InvalidValue
from phenom_jax.report.report import write_report
from phenom_jax.store.config import read_config
from phenom_jax.store.dataset import open_results
from phenom_jax.store.kept import read_kept

pytestmark = pytest.mark.slow

SWEEP: dict[str, Any] = {"seed": "0:4", "steps": "20"}
GOLDEN = Path(__file__).parent.parent / "golden" / "run_directory_1"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGES = {"flip": flip, "truncate": truncate, "empty": lambda file: file.write_bytes(b""), "delete": Path.unlink}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    train_in(path, **SWEEP)
    return path


@pytest.fixture
def copy(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def assert_same_kept(one: Path, other: Path) -> None:
    kept = [read_kept(next((path / "kept.zarr").iterdir())) for path in (one, other)]
    np.testing.assert_array_equal(kept[0].steps, kept[1].steps)
    for name, leaf in kept[0].leaves.items():
        np.testing.assert_array_equal(leaf, kept[1].leaves[name])


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("variable", ["error", "input_norms"])
def test_damaged_curves_are_said_and_trained_again(whole, copy, capsys, damage, variable):
    (file,) = (path for path in (copy / "results.zarr" / variable / "c").rglob("*") if path.is_file())
    DAMAGES[damage](file)
    with pytest.raises(InvalidValue, match=f"{variable}/c/0/0.* is damaged or gone, it holds .* of 4 runs"):
        open_results(copy / "results.zarr")
    outcome = train_in(copy, **SWEEP)
    assert f"WARNING: {file} is damaged or gone: 4 runs are trained again" in capsys.readouterr().out
    assert outcome.counts == {"finished": 4} and outcome.trained_steps == 4 * 20
    assert_same_results(results_of(whole), results_of(copy))
    assert train_in(copy, **SWEEP).trained_steps == 0


def test_only_the_runs_of_the_damaged_chunk_are_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr("phenom_jax.store.schema._CHUNK_BYTES", 50)  # a few rows per chunk
    train_in(tmp_path / "whole", **SWEEP)
    train_in(tmp_path / "hurt", **SWEEP)
    flip(tmp_path / "hurt" / "results.zarr" / "error" / "c" / "0" / "0")
    rows = 50 // (results_of(tmp_path / "whole").sizes["step"] * 4)
    assert 0 < rows < 4
    assert train_in(tmp_path / "hurt", **SWEEP).trained_steps == rows * 20
    assert_same_results(results_of(tmp_path / "whole"), results_of(tmp_path / "hurt"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["status/c/0", "seed/c/0", "zarr.json", "loss/zarr.json", "seed/zarr.json"])
def test_damaged_labels_are_refused_by_name(copy, damage, file):
    DAMAGES[damage](copy / "results.zarr" / file)
    for use in (lambda: train_in(copy, **SWEEP), lambda: write_report(copy, toy.toy)):
        with pytest.raises(InvalidValue, match=f"results.zarr/{file} is damaged") as refusal:
            use()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_kept_states_are_found_when_read_and_trained_again_once_gone(whole, copy, capsys, damage):
    (program,) = (copy / "kept.zarr").iterdir()
    (file,) = (path for path in (program / "hidden" / "c").rglob("*") if path.is_file())
    DAMAGES[damage](file)
    with pytest.raises(
        InvalidValue, match=r"hidden/c/0.* is damaged or gone, it holds kept states of runs .* and 1 more"
    ):
        read_kept(program)
    file.unlink(missing_ok=True)
    assert train_in(copy, **SWEEP).trained_steps == 4 * 20
    assert f"files of {program} are damaged or gone: 4 runs are trained again" in capsys.readouterr().out
    assert_same_kept(whole, copy)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_steps_of_kept_states_are_found_and_trained_again(whole, copy, capsys, damage):
    (file,) = (path for path in (copy / "kept.zarr").glob("*/step/c/**/*") if path.is_file())
    DAMAGES[damage](file)
    assert train_in(copy, **SWEEP).trained_steps == 4 * 20
    assert "4 runs are trained again" in capsys.readouterr().out
    assert_same_kept(whole, copy)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["zarr.json", "hidden/zarr.json"])
def test_damaged_descriptions_of_kept_states_are_refused_by_name(copy, damage, file):
    (program,) = (copy / "kept.zarr").iterdir()
    DAMAGES[damage](program / file)
    for use in (lambda: train_in(copy, **SWEEP), lambda: read_kept(program)):
        with pytest.raises(InvalidValue, match=f"{program.name}/{file} is damaged or gone") as refusal:
            use()
        assert "\n" not in str(refusal.value)


def test_which_run_has_which_kept_states_is_checked(copy):
    (program,) = (copy / "kept.zarr").iterdir()
    described = json.loads((program / "zarr.json").read_text())
    described["attributes"]["run_ids"].reverse()
    (program / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(InvalidValue, match="zarr.json is damaged or gone"):
        read_kept(program)


def test_a_directory_without_kept_states_trains_nothing_again(copy):
    shutil.rmtree(copy / "kept.zarr")
    assert train_in(copy, **SWEEP).trained_steps == 0


def test_a_directory_of_the_first_format_is_reported_on_and_extended(tmp_path):
    old = Path(shutil.copytree(GOLDEN, tmp_path / "old"))
    before = results_of(old)
    assert write_report(old, toy.toy).path.exists()
    outcome = train_in(old, seed="0:3", steps="20")
    assert outcome.counts == {"finished": 3} and outcome.trained_steps == 20
    after = results_of(old)
    assert_same_results(before, after.isel(run=np.isin(after.run_id, before.run_id)))
    assert json.loads((old / "config.json").read_text())["format"] == 2


def test_a_directory_of_a_later_format_is_refused(tmp_path):
    later = Path(shutil.copytree(GOLDEN, tmp_path / "later"))
    config = json.loads((later / "config.json").read_text())
    (later / "config.json").write_text(json.dumps(config | {"format": 3, "novelty": 1}))
    with pytest.raises(InvalidValue, match="is of format 3, written by phenom_jax.*, allowed are formats up to 2"):
        train_in(later, seed="0:2", steps="20")


def test_a_hyperparameter_that_the_directory_lacks_is_named(tmp_path):
    old = Path(shutil.copytree(GOLDEN, tmp_path / "old"))
    config = json.loads((old / "config.json").read_text())
    del config["sweep"]["axes"]["width"]
    (old / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidValue, match="width: directory has no such field, command has 8"):
        train_in(old, seed="0:2", steps="20")


def test_a_setting_unknown_here_is_named_and_one_that_is_lacking_takes_its_default(tmp_path):
    old = Path(shutil.copytree(GOLDEN, tmp_path / "old"))
    config = json.loads((old / "config.json").read_text())
    assert "on_diverge" not in config["settings"] and read_config(old).settings.on_diverge == "retire"
    config["settings"]["ensemble"] = 4
    (old / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidValue, match="knows nothing of: ensemble = 4"):
        train_in(old, seed="0:2", steps="20")
