"""A run directory belongs to one command, one process, and is never overwritten by another."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import pytest

from phenom_jax.experiment import Schedule
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.sizes import Size
from phenom_jax.store.config import Config, read_config
from phenom_jax.store.directory import RunDirectory
from phenom_jax.store.provenance import Environment, environment
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.settings import Settings

ENVIRONMENT = Environment({"python": "3.11"}, commit=None, modified=False, platform="cpu", device="cpu", device_count=2)

TAKE_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
print("taken", flush=True)
input()
"""


@hparams
class Toy:
    seed: int = swept(0, "initial weights")
    weight_decay: float = swept(1.0, "weight decay")
    width: Size = size(16, "units")
    depth: int = static(1, "layers")


def config(experiment="toy", settings=None, zips=(), added=(), **texts):
    sweep = parse_sweep(Toy, texts, zips, added)
    return Config(experiment, "the command", sweep, settings or Settings(), ENVIRONMENT, {"runs": 1}, "then", "then")


def contents(path):
    return {file.name: file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "lock"}


def test_a_new_directory_holds_the_config_it_was_made_from(tmp_path):
    written = config(seed="0:3", weight_decay="0,1", settings=Settings(schedule=Schedule(points=7), lanes=4))
    with RunDirectory(tmp_path / "runs" / "toy", written) as directory:
        assert directory.path == tmp_path / "runs" / "toy"
        assert read_config(directory.path) == written
        assert json.loads((directory.path / "config.json").read_text())["sweep"]["axes"]["weight_decay"] == [0.0, 1.0]


def test_the_same_command_goes_on_and_keeps_the_day_of_creation(tmp_path):
    RunDirectory(tmp_path, config()).close()
    with RunDirectory(tmp_path, dataclasses.replace(config(), created="now", started="now")) as directory:
        assert (directory.config.created, directory.config.started) == ("then", "now")
        assert read_config(tmp_path) == directory.config


@pytest.mark.parametrize(
    "more",
    [
        {"seed": "0:5"},
        {"seed": "1,0"},
        {"seed": "0:2", "weight_decay": "0,1"},
        {"seed": "0:2", "added": ["weight_decay=3 width=128", "depth=2"]},
        {"seed": "0:2", "settings": Settings(lanes=8, group=2, checkpoint_seconds=5, devices=1, rerun="failed")},
    ],
)
def test_a_sweep_with_more_runs_extends_and_how_it_is_laid_out_may_differ(tmp_path, more):
    RunDirectory(tmp_path, config(seed="0:2")).close()
    with RunDirectory(tmp_path, config(**more)) as directory:
        assert read_config(tmp_path) == directory.config
        assert directory.config.sweep == config(**more).sweep


@pytest.mark.parametrize(
    "other, lines",
    [
        ({"weight_decay": "0.3"}, ["weight_decay: directory has 1.0, command has 0.3"]),
        ({"seed": "0:2"}, ["seed: directory has 0,1,2, command has 0,1"]),
        (
            {"seed": "4:8", "depth": "2"},
            ["seed: directory has 0,1,2, command has 4,5,6,7", "depth: directory has 1, command has 2"],
        ),
        ({"experiment": "other"}, ["experiment: directory has toy, command has other"]),
        (
            {"settings": Settings(matmul_precision="default")},
            ["matmul_precision: directory has highest, command has default"],
        ),
        ({"settings": Settings(schedule=Schedule(points=9))}, ["points: directory has 100, command has 9"]),
        ({"settings": Settings(retire_done=False)}, ["retire_done: directory has True, command has False"]),
    ],
)
def test_a_command_that_disagrees_is_refused_with_the_difference(tmp_path, other, lines):
    RunDirectory(tmp_path, config(seed="0:3")).close()
    before = contents(tmp_path)
    with pytest.raises(InvalidValue) as refused:
        RunDirectory(tmp_path, config(**{"seed": "0:3"} | other))
    assert [line.strip() for line in str(refused.value).splitlines()[1:]] == lines
    assert contents(tmp_path) == before


def test_a_zip_that_leaves_out_runs_of_a_product_is_refused(tmp_path):
    RunDirectory(tmp_path, config(seed="0:2", width="4,8")).close()
    with pytest.raises(InvalidValue, match="zip: directory has none, command has seed,width"):
        RunDirectory(tmp_path, config(seed="0:2", width="4,8", zips=["seed,width"]))


def test_runs_that_were_added_belong_to_the_directory(tmp_path):
    made = config(seed="0:2", added=["weight_decay=3 width=32,64"])
    RunDirectory(tmp_path, made).close()
    assert read_config(tmp_path).sweep == made.sweep
    with pytest.raises(InvalidValue) as refused:
        RunDirectory(tmp_path, config(seed="0:2", added=["weight_decay=3 width=32"]))
    line = "add: directory has 'weight_decay=3.0 width=32,64', command has 'weight_decay=3.0 width=32'"
    assert [each.strip() for each in str(refused.value).splitlines()[1:]] == [line]
    whole = config(seed="0:2", weight_decay="1,3", width="16,32,64")
    with RunDirectory(tmp_path, whole) as directory:
        assert directory.config.sweep == whole.sweep


def test_a_config_of_before_runs_were_added_is_read(tmp_path):
    RunDirectory(tmp_path, config(seed="0:2")).close()
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["sweep"].pop("added") == []
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert read_config(tmp_path) == config(seed="0:2")


def test_a_hyperparameter_that_came_since_is_a_difference(tmp_path):
    RunDirectory(tmp_path, config()).close()
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["sweep"]["axes"]["depth"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    with pytest.raises(InvalidValue, match="depth: directory has no such field, command has 1"):
        RunDirectory(tmp_path, config())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"experiment": "toy"}', "not json"])
def test_a_config_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidValue, match="is not one that this version wrote"):
        RunDirectory(tmp_path, config())
    assert (tmp_path / "config.json").read_text() == text


def test_a_directory_of_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidValue, match="holds other files"):
        RunDirectory(tmp_path, config())
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_place_that_cannot_be_written_is_refused_in_one_line(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValue, match="^out: cannot ") as refused:
        RunDirectory(tmp_path / place, config())
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_write_permission_is_refused(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    with pytest.raises(InvalidValue, match="cannot write in"):
        RunDirectory(tmp_path / "mine", config())


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path):
    with RunDirectory(tmp_path, config()):
        with pytest.raises(InvalidValue, match=f"in use by process {os.getpid()} on "):
            RunDirectory(tmp_path, config(seed="0:9"))
        assert read_config(tmp_path) == config()
    RunDirectory(tmp_path, config(seed="0:9")).close()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", TAKE_LOCK, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline()
        with pytest.raises(InvalidValue, match="in use by"):
            RunDirectory(tmp_path, config())
        holder.kill()
        holder.wait()
        RunDirectory(tmp_path, config()).close()


def test_a_start_that_was_killed_before_its_config_was_whole_is_an_empty_directory(tmp_path):
    (tmp_path / "lock").write_text("process 1 on earth")
    (tmp_path / "config.json.new").write_text('{"experiment": "to')
    with RunDirectory(tmp_path, config()):
        assert read_config(tmp_path) == config()


def test_the_environment_is_this_one():
    found = environment()
    assert found.versions["jax"] == jax.__version__
    assert found.device_count == jax.device_count()
    assert found.commit is None or len(found.commit) == 40
