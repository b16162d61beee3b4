"""Jobs of a cluster: real ones on this machine, and what is handed to SLURM."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from pathlib import Path

import pytest
import toy
from toy import assert_same_results, results_of, train_in

from phenom_jax.cli import cluster as cluster_module
from phenom_jax.cli.cluster import Cluster, run_here, submit
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue
from phenom_jax.store.config import make_config
from phenom_jax.store.directory import share_out
from phenom_jax.store.united import count_statuses, open_sweep
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.parts import Part
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.stop import Stop

pytestmark = pytest.mark.slow

MAIN = """
from toy import toy
from phenom_jax.device import layout
from phenom_jax.cli.main import main

layout.CHUNK_SECONDS = 0.1
main(toy)
"""
FLAGS = ["--seed=0:8", "--steps=40000", "--group=2", "--lanes=4", "--devices=2", "--noreport", "--notensorboard"]
COMMAND = [sys.executable, "-c", MAIN, *FLAGS, "--checkpoint_seconds=0.2"]
LOCAL = Cluster("local", jobs=2, concurrent_jobs=1, gpus_per_job=0, cpus_per_job=0, job_hours=1.0, options={})
PARTS = [Part("all", shard, 2) for shard in range(2)]


@pytest.fixture
def environment(tmp_path, monkeypatch):
    search = os.pathsep.join([str(Path(toy.__file__).parent), str(Path(toy.__file__).parent.parent)])
    monkeypatch.setenv("PYTHONPATH", search)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def prepare(out: Path) -> None:
    sweep = parse_sweep(toy.Toy, {"seed": "0:8", "steps": "40000"})
    share_out(out, make_config(toy.toy, "a test", sweep, Settings(schedule=toy.toy.schedule), {}), "all/2")


def children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def pre_empt_when_saved(out: Path, said: list[str], over: threading.Event) -> None:
    """Sends the first job what a scheduler sends before it takes the machine away, unless all is over before."""
    while not any(path.name.isdigit() for path in out.glob("parts/*/checkpoints/*/*")):
        if over.wait(0.05):
            return
    controller = int(Path(said[0].split()[-1]).name.split("_")[0])  # submitit's, the id of the job
    (task,) = children(controller)
    os.kill(task, signal.SIGUSR2)


def test_jobs_here_take_turns_survive_pre_emption_and_end_as_the_whole_sweep(tmp_path, environment):
    prepare(tmp_path / "out")
    said: list[str] = []
    over = threading.Event()
    scheduler = threading.Thread(target=pre_empt_when_saved, args=(tmp_path / "out", said, over))
    scheduler.start()

    def done() -> str:
        return str(count_statuses(tmp_path / "out"))

    failed = run_here(LOCAL, COMMAND, tmp_path / "out", PARTS, "toy", Stop(), said.append, done)
    over.set()
    scheduler.join()
    lines = [line for line in said if "jobs running" not in line]
    assert failed == [] and [line.split()[:2] for line in lines] == [
        ["all-0-of-2", "started,"],
        ["all-0-of-2", "done,"],
        ["all-1-of-2", "started,"],
        ["all-1-of-2", "done,"],
    ]
    log = Path(lines[0].split()[-1]).read_text()
    assert "this job is preempted" in log and "stopped by SIG" in log and "resumed" in log
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=4)
    train_in(tmp_path / "whole", settings=settings, seed="0:8", steps="40000")
    assert_same_results(results_of(tmp_path / "whole"), open_sweep(tmp_path / "out").sortby("run_id"))


def test_a_job_that_fails_is_named_with_its_log(tmp_path, environment):
    said: list[str] = []
    failing = [sys.executable, "-c", "import sys; print('no such GPU', flush=True); sys.exit(2)"]
    failed = run_here(LOCAL, failing, tmp_path, PARTS[:1], "toy", Stop(), said.append, str)
    assert failed == ["all-0-of-2"]
    log = re.search(r"all-0-of-2 FAILED, see (\S+)", said[-1])
    assert log and {"no such GPU", "exit code 2"} <= set(
        re.findall("no such GPU|exit code 2", Path(log[1]).read_text())
    )


def test_slurm_is_handed_an_array_of_jobs_that_it_may_queue_again(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in {"srun": "", "sbatch": f'cp "$1" {tmp_path}/batch.sh; echo "Submitted batch job 12"'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    asked = Cluster("slurm", 2, 1, gpus_per_job=1, cpus_per_job=8, job_hours=2.0, options={"slurm_partition": "long"})
    jobs = submit(asked, COMMAND, tmp_path / "out", PARTS, "toy")
    assert [job.handle.job_id for job in jobs] == ["12_0", "12_1"]
    batch = (tmp_path / "batch.sh").read_text()
    wanted = ["array=0-1%1", "time=120", "gpus-per-node=1", "cpus-per-task=8", "partition=long", "signal=USR2@"]
    for line in wanted:
        assert re.search(rf"^#SBATCH --{line}", batch, re.MULTILINE), line
    functions = [job.handle.submission().function for job in jobs]
    for function, part in zip(functions, PARTS):
        assert function.command[-2:] == ["--program=all", f"--shard={part.shard}/2"]
        assert "--cluster=none" in function.command and f"--out={tmp_path / 'out'}" in function.command


def test_a_job_is_given_its_own_place_and_no_cluster_once(tmp_path):
    (tmp_path / "flags").write_text("--cluster=slurm\n--lanes=4\n")
    given = ["python", "-m", "launch.toy", "--out", "there", f"--flagfile={tmp_path / 'flags'}", "--seed=0:2"]
    command = cluster_module._command(given, tmp_path, PARTS[0])
    own = ["--cluster=none", f"--out={tmp_path}", "--program=all", "--shard=0/2"]
    assert command == [sys.executable, "-m", "launch.toy", "--lanes=4", "--seed=0:2", *own]
    assert parse(toy.toy, command[3:]).part == PARTS[0]


def test_without_a_scheduler_or_submitit_it_is_said_in_a_line(tmp_path, monkeypatch):
    slurm = LOCAL._replace(where="slurm")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InvalidValue, match="cluster: .*slurm"):
        submit(slurm, COMMAND, tmp_path, PARTS, "toy")
    wrong = LOCAL._replace(options={"local_speed": "high"})
    with pytest.raises(InvalidValue, match="cluster: "):
        submit(wrong, COMMAND, tmp_path, PARTS, "toy")
    monkeypatch.setattr(cluster_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidValue, match="submitit is not installed, install it with"):
        submit(LOCAL, COMMAND, tmp_path, PARTS, "toy")


@pytest.mark.parametrize(
    ("flags", "said"),
    {
        "--jobs=2": "jobs: has no effect without --cluster",
        "--cluster_option=slurm_partition=long": "cluster_option: has no effect without --cluster",
        "--cluster=local --cluster_option=long": "cluster_option: 'long' is not NAME=VALUE",
        "--cluster=lsf": "cluster: 'lsf' is not one of none, local, slurm",
    }.items(),
)
def test_flags_that_make_no_sense_are_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(toy.toy, flags.split())


def test_a_job_may_be_given_the_flags_of_the_cluster_that_submitted_it():
    command = parse(toy.toy, ["--jobs=4", "--cluster=none", "--program=all", "--shard=1/2"])
    assert command.cluster is None and command.part == Part("all", 1, 2)
