"""Several processes that train one sweep: real ones on this machine, stopped, killed, and gone on with by fewer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import toy
from toy import assert_same_results, results_of, train_in

from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow

MAIN = """
from toy import toy
from phenom_jax.device import layout
from phenom_jax.cli.main import main

layout.CHUNK_SECONDS = 0.1
main(toy)
"""
SWEEP: dict[str, Any] = {"seed": "0:10", "steps": "40000"}


class Processes:
    """Starts the same command in some processes that train together, in two of this machine's devices each."""

    def __init__(self, out: Path, cache: Path):
        search = os.pathsep.join([str(Path(toy.__file__).parent), str(Path(toy.__file__).parent.parent)])
        self.environment = os.environ | {"PYTHONPATH": search, "XDG_CACHE_HOME": str(cache)}
        self.out = out

    def start(self, count: int, devices: int) -> list[subprocess.Popen]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        sweep = [f"--{name}={value}" for name, value in SWEEP.items()]
        engine = ["--group=2", "--lanes=8", "--checkpoint_seconds=0.2", "--noreport", "--notensorboard"]
        command = [sys.executable, "-c", MAIN, *sweep, *engine, f"--devices={devices}", f"--out={self.out}"]
        together = ["--distributed", f"--coordinator_address={address}", f"--num_processes={count}"]
        return [
            subprocess.Popen(
                command + ([*together, f"--process_id={i}"] if count > 1 else []),
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for i in range(count)
        ]

    def steps_saved(self) -> set[int]:
        """Returns the chunks of the checkpoints that are whole."""
        return {int(path.name) for path in self.out.glob("checkpoints/*/*") if path.name.isdigit()}

    def train_until_saved(self, processes: list[subprocess.Popen], above: int) -> None:
        while max(self.steps_saved(), default=0) <= above:
            time.sleep(0.05)
            assert all(process.poll() is None for process in processes), processes[0].communicate()[0]


def ended(processes: list[subprocess.Popen]) -> tuple[list[int], str]:
    """Returns the exit codes and what the first process printed."""
    said = [process.communicate()[0] for process in processes]
    return [process.returncode for process in processes], said[0]


def test_two_processes_are_stopped_killed_and_one_goes_on_to_the_same_bits(tmp_path):
    group = Processes(tmp_path / "together", tmp_path / "cache")
    both = group.start(2, devices=2)
    group.train_until_saved(both, above=0)
    both[1].send_signal(signal.SIGTERM)  # to the one that does not write
    codes, said = ended(both)
    assert codes == [75, 75], said
    assert "stopped by a signal to another process, all is kept" in said
    stopped_at = max(group.steps_saved())

    both = group.start(2, devices=2)
    group.train_until_saved(both, above=stopped_at)
    for process in both:
        process.kill()
    _, said = ended(both)
    assert f"from checkpoint {stopped_at}, in its lanes: 4 x 1 x 2" in said

    codes, said = ended(group.start(1, devices=2))
    assert codes == [0], said
    assert "in its lanes: 2 x 2 x 2" in said
    settings = Settings(schedule=toy.toy.schedule, group=2, lanes=8)
    train_in(tmp_path / "alone", settings=settings, devices=4, **SWEEP)
    assert_same_results(results_of(tmp_path / "alone"), results_of(tmp_path / "together"))


def test_a_refusal_of_the_first_process_ends_both(tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("years of work")
    codes, said = ended(Processes(tmp_path / "foreign", tmp_path / "cache").start(2, devices=1))
    assert codes == [2, 2]
    assert "foreign holds other files and no config.json" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "flag", ["--coordinator_address=127.0.0.1:1234", "--num_processes=2", "--process_id=0"], ids=lambda flag: flag[2:8]
)
def test_who_the_others_are_needs_distributed(flag):
    with pytest.raises(InvalidValue, match="has no effect without --distributed"):
        parse(toy.toy, [flag])
