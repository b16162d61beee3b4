"""Nothing is lost: a sweep killed more than twenty times, wherever it writes, ends with the bits of one left alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import toy
from toy import assert_same_results, results_of, train_in

from phenom_jax.engine.config import Settings
from phenom_jax.results.kept import read_kept

HERE = Path(__file__).parent
SWEEP = {"seed": "0:12", "width": "4,8", "steps": "16000"}
PLACES = {
    "in_training",
    "in_a_checkpoint",
    "die_in_the_middle_of_a_deletion",
    "in_the_results",
    "in_the_kept_states",
    "in_the_report",
    "in_tensorboard",
}


def test_a_sweep_killed_more_than_twenty_times_ends_as_if_it_had_not_been(tmp_path):
    search = os.pathsep.join([str(HERE.parent), str(HERE.parent.parent)])
    sweep = [f"--{name}={value}" for name, value in SWEEP.items()]
    engine = ["--group=2", "--lanes=8", "--devices=2", "--checkpoint_seconds=0.03"]
    done = subprocess.run(
        [sys.executable, HERE / "killed.py", tmp_path / "killed", *sweep, *engine],
        env=os.environ | {"PYTHONPATH": search, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    kills = {name: int(number) for number, name in re.findall(r"^kills (\d+) (\w+)$", done.stdout, re.MULTILINE)}
    assert kills.keys() == PLACES and all(kills.values()) and sum(kills.values()) >= 20
    over = [int(number) for number in re.findall(r"^(\d+) of 24 runs done", done.stdout, re.MULTILINE)]
    assert over == sorted(over) and over[-1] == 24  # a run that is over is not run again

    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=8)
    train_in(tmp_path / "straight", settings=settings, **SWEEP)
    assert_same_results(results_of(tmp_path / "straight"), results_of(tmp_path / "killed"))
    one, other = (read_kept(next((tmp_path / name / "kept.zarr").iterdir())) for name in ("straight", "killed"))
    assert one.run_ids == other.run_ids
    np.testing.assert_array_equal(one.steps, other.steps)
    for name, leaf in one.leaves.items():
        np.testing.assert_array_equal(leaf, other.leaves[name], err_msg=name)
    assert len((tmp_path / "killed" / "runs.csv").read_text().splitlines()) == 25
    assert (tmp_path / "killed" / "report.html").exists() and any((tmp_path / "killed" / "tensorboard").iterdir())
