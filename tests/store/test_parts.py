"""Parts of a sweep: every run in one of them, trained as in the whole, read as one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from hypothesis import given
from hypothesis import strategies as st
from toy import StopAfter, assert_same_results, some_devices

from phenom_jax.device.work import make_work
from phenom_jax.hparams import InvalidValue
from phenom_jax.report.report import write_report
from phenom_jax.store.config import make_config
from phenom_jax.store.directory import RunDirectory, share_out
from phenom_jax.store.united import kept_stores, open_sweep
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.parts import Part, parse_part, shared_out
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.loop import train
from phenom_jax.training.progress import Progress
from phenom_jax.training.stop import Stop

pytestmark = pytest.mark.slow

SWEEP = {"seed": "0:8", "width": "4,8", "steps": "20,60"}
SETTINGS = Settings(schedule=toy.toy.schedule, group=2, lanes=4)


def train_part(out: Path, part: Part | None, /, stop: Stop | None = None, **flags: Any) -> None:
    """Does for a part what a launcher does."""
    sweep = parse_sweep(toy.Toy, flags or SWEEP)
    work = make_work(toy.toy, sweep.runs(), SETTINGS, some_devices(2), part)
    config = make_config(toy.toy, "a test", sweep, SETTINGS, {})
    place = out
    if part:
        share_out(out, config, part.split)
        config, place = make_config(toy.toy, "a test", sweep, SETTINGS, {}), out / part.place
    with RunDirectory(place, config) as directory, Progress(len(work.runs)) as progress:
        train(work, directory, progress, stop or Stop())


@given(count=st.integers(1, 40), shards=st.integers(1, 12))
def test_shards_share_out_every_run_once(count, shards):
    runs = parse_sweep(toy.Toy, {"seed": f"0:{count}"}).runs()
    held = [[run.id for run in runs if Part("all", shard, shards).has(run)] for shard in range(shards)]
    assert sorted(itertools.chain.from_iterable(held)) == sorted(run.id for run in runs)


@pytest.mark.parametrize("jobs", [1, 3, 10])
def test_jobs_are_shared_out_among_programs(jobs):
    sweep = parse_sweep(toy.Toy, {"seed": "0:30", "layers": "1,2"})
    work = make_work(toy.toy, sweep.runs(), SETTINGS, some_devices(2))
    parts = shared_out(work.plan, jobs)
    assert {part.program for part in parts} == {program.id for program in work.plan.programs}
    held = [run.id for part in parts for run in make_work(toy.toy, sweep.runs(), SETTINGS, some_devices(2), part).runs]
    assert sorted(held) == sorted(run.id for run in sweep.runs())


def test_a_sweep_in_parts_is_the_sweep_in_one_piece(tmp_path):
    train_part(tmp_path / "whole", None)
    for shard in range(3):
        train_part(tmp_path / "parts", Part("all", shard, 3))
    whole, parts = open_sweep(tmp_path / "whole"), open_sweep(tmp_path / "parts")
    assert parts.run_id.values.tolist() == whole.run_id.values.tolist()
    assert parts.step.values.tolist() == whole.step.values.tolist()
    assert_same_results(whole, parts)
    assert len(kept_stores(tmp_path / "parts")) == 3 * len(kept_stores(tmp_path / "whole"))


def test_parts_that_have_not_begun_or_ended_are_part_of_the_report(tmp_path):
    train_part(tmp_path, Part("all", 0, 3))
    train_part(tmp_path, Part("all", 1, 3), StopAfter(1))
    results = open_sweep(tmp_path)
    sweep = parse_sweep(toy.Toy, SWEEP)
    assert results.run_id.values.tolist() == [run.id for run in sweep.runs()]
    assert results.seed.values.tolist() == [run.values["seed"] for run in sweep.runs()]
    for run, status in zip(sweep.runs(), results.status.values):
        assert (status == "waiting") == Part("all", 2, 3).has(run) or Part("all", 1, 3).has(run)
    waiting = results.isel(run=results.status == "waiting")
    assert np.isnan(waiting.error).all() and set(waiting.last_step.values) == {-1}
    assert write_report(tmp_path, toy.toy).path == tmp_path / "report.html"
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1 + len(sweep)


def test_a_directory_is_split_in_one_way(tmp_path):
    train_part(tmp_path / "parts", Part("all", 0, 3))
    with pytest.raises(InvalidValue, match="parts: directory has all/3, command has all/4"):
        train_part(tmp_path / "parts", Part("all", 0, 4))
    with pytest.raises(InvalidValue, match="parts: directory has all/3, command has none"):
        train_part(tmp_path / "parts", None)
    train_part(tmp_path / "whole", None)
    with pytest.raises(InvalidValue, match="parts: directory has none, command has all/3"):
        train_part(tmp_path / "whole", Part("all", 0, 3))
    with pytest.raises(InvalidValue, match="seed: directory has"):
        train_part(tmp_path / "parts", Part("all", 1, 3), None, seed="0:2")


def test_a_part_can_be_extended(tmp_path):
    train_part(tmp_path, Part("all", 0, 2))
    train_part(tmp_path, Part("all", 0, 2), None, **SWEEP | {"seed": "0:9"})
    assert open_sweep(tmp_path).sizes["run"] == 36
    assert json.loads((tmp_path / "config.json").read_text())["part"] == "all/2"


@pytest.mark.parametrize("shard", ["2/2", "-1/2", "1", "a/b", "1/0", "1/2/3"])
def test_a_shard_that_is_none_is_refused(shard):
    with pytest.raises(InvalidValue, match="shard: .* is not i/n with 0 <= i < n"):
        parse_part("", shard)


def test_a_program_that_is_none_is_refused():
    sweep = parse_sweep(toy.Toy, {})
    with pytest.raises(InvalidValue, match="program: 'beef' is not one of "):
        make_work(toy.toy, sweep.runs(), SETTINGS, some_devices(2), Part("beef", 0, 1))
    empty = next(shard for shard in range(2) if not Part("all", shard, 2).has(sweep.runs()[0]))
    with pytest.raises(InvalidValue, match="shard: no run falls into"):
        make_work(toy.toy, sweep.runs(), SETTINGS, some_devices(2), Part("all", empty, 2))
