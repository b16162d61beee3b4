"""The parts of a sweep as jobs of a cluster, or of this machine, through submitit.

A job trains its part by the launcher's own command line in a child process. When the scheduler announces that it takes
the machine away, the child is told to stop, saves, and the job is queued again.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.parts import Part
from phenom_jax.training.stop import Stop

POLL_SECONDS = 0.2
SHOWN_SECONDS = 10.0
MOST_TIMEOUTS = 1000  # a job that reaches its time limit is queued again this often
LOCAL_MINUTES = 60 * 24 * 365  # submitit ends a local job after its time limit


class Cluster(NamedTuple):
    """Where and how jobs run.

    Attributes:
      where: "slurm" or "local".
      jobs: about how many.
      concurrent_jobs: at most so many at once, 0 for no limit.
      gpus_per_job, cpus_per_job: 0 for the scheduler's default; a local job sees no GPU but those it is given.
      job_hours: before the scheduler ends a job, which is then queued again.
      options: further parameters of submitit, `slurm_partition` for example.
    """

    where: str
    jobs: int
    concurrent_jobs: int
    gpus_per_job: int
    cpus_per_job: int
    job_hours: float
    options: Mapping[str, str]


class Job:
    """Trains one part in a child process; what submitit calls."""

    def __init__(self, command: Sequence[str]):
        self.command = list(command)

    def __call__(self) -> None:
        self.child = subprocess.Popen(self.command)
        try:
            code = self._wait()
        except KeyboardInterrupt:
            self.child.send_signal(signal.SIGTERM)
            raise
        if code:
            raise RuntimeError(f"the training ended with exit code {code}")

    def checkpoint(self) -> Any:
        """Returns the job to be queued again, after its training has saved."""
        from submitit.helpers import DelayedSubmission

        self.child.send_signal(signal.SIGTERM)
        self._wait()
        return DelayedSubmission(Job(self.command))

    def _wait(self) -> int:
        # polled, for `checkpoint` is called by a signal that interrupts `__call__` here
        while (code := self.child.poll()) is None:
            time.sleep(POLL_SECONDS)
        return code


class Submitted(NamedTuple):
    """A job that was handed over."""

    part: Part
    handle: Any  # submitit's


def submit(cluster: Cluster, command: Sequence[str], out: Path, parts: Sequence[Part], name: str) -> list[Submitted]:
    """Hands over all jobs at once, to a scheduler that caps how many run.

    Args:
      command: of the launcher, with all its flags.
      out: of the sweep.
    Raises:
      InvalidValue: submitit is not installed, there is no such cluster here, or it knows no such option.
    """
    executor = _executor(cluster, out, name)
    with executor.batch():
        handles = [executor.submit(Job(_command(command, out, part))) for part in parts]
    return [Submitted(part, handle) for part, handle in zip(parts, handles)]


def run_here(
    cluster: Cluster,
    command: Sequence[str],
    out: Path,
    parts: Sequence[Part],
    name: str,
    stop: Stop,
    say: Callable[[str], None],
    done: Callable[[], str],
) -> list[str]:
    """Runs all jobs on this machine and returns the names of the parts that failed.

    Submitit starts what it is given at once, so jobs are given to it as others end. When a stop is requested the jobs
    under way save and end.

    Args:
      say: shows a line.
      done: returns how far the sweep is, shown now and then.
    """
    executor = _executor(cluster, out, name)
    most = cluster.concurrent_jobs or len(parts)
    waiting, running, failed = list(parts), [], []
    shown_at = time.monotonic()
    while waiting or running:
        if stop.requested:
            for _, handle in running:
                handle.cancel()
            waiting = []
        while waiting and len(running) < most:
            part = waiting.pop(0)
            running.append(Submitted(part, executor.submit(Job(_command(command, out, part)))))
            say(f"{part.name} started, its log is {running[-1].handle.paths.stdout}")
        time.sleep(POLL_SECONDS)
        if time.monotonic() - shown_at >= SHOWN_SECONDS:
            shown_at = time.monotonic()
            say(f"{done()}, {len(running)} jobs running, {len(waiting)} waiting, {len(failed)} failed")
        for submitted in [each for each in running if each.handle.done()]:
            running.remove(submitted)
            broken = submitted.handle.exception() is not None
            if broken and not stop.requested:
                failed.append(submitted.part.name)
                say(f"{submitted.part.name} FAILED, see {submitted.handle.paths.stdout}")
            elif not broken:
                say(f"{submitted.part.name} done, {len(running)} running, {len(waiting)} waiting")
    return failed


def _executor(cluster: Cluster, out: Path, name: str) -> Any:
    if importlib.util.find_spec("submitit") is None:
        raise InvalidValue("cluster: submitit is not installed, install it with: pip install 'phenom_jax[cluster]'")
    import submitit

    local = cluster.where == "local"
    asked = {"gpus_per_node": cluster.gpus_per_job, "cpus_per_task": cluster.cpus_per_job}
    parameters: dict[str, Any] = {key: value for key, value in asked.items() if value} | dict(cluster.options)
    parameters |= {"timeout_min": LOCAL_MINUTES if local else round(60 * cluster.job_hours), "stderr_to_stdout": True}
    if not local and cluster.concurrent_jobs:
        parameters["slurm_array_parallelism"] = cluster.concurrent_jobs
    try:
        executor = submitit.AutoExecutor(
            folder=out / "jobs", cluster=cluster.where, slurm_max_num_timeout=MOST_TIMEOUTS
        )
        executor.update_parameters(name=name, **parameters)
    except (RuntimeError, NameError, TypeError, ValueError, AssertionError) as error:
        raise InvalidValue(f"cluster: {str(error).splitlines()[0]}") from None
    return executor


def _command(command: Sequence[str], out: Path, part: Part) -> list[str]:
    """Returns the command line that trains one part, with this process's Python."""
    own = ["--cluster=none", f"--out={out}", f"--program={part.program}", f"--shard={part.shard}/{part.shards}"]
    given = flags.FlagValues().read_flags_from_files(command[1:])  # flags that are replaced may stand in a file
    return [sys.executable, *without(given, "cluster", "out"), *own]


def without(command: Sequence[str], *names: str) -> list[str]:
    """Returns a command line without these flags, which are given as --name=value or as --name value."""
    left, its_value = [], False
    for word in command:
        name, equals, _ = word.lstrip("-").partition("=")
        if word.startswith("-") and name in names:
            its_value = not equals
        elif its_value:
            its_value = False
        else:
            left.append(word)
    return left
