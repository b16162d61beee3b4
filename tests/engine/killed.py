"""Trains one sweep under kill -9 after kill -9: `python killed.py OUT`; prints how many kills fell where.

Everything is imported once; every attempt is a fork that has not started JAX. An attempt kills itself at a place in
the code, or a moment after it, and the next one goes on with the same command. The last one is left alone.
"""

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import zarr
from toy import toy

from phenom_jax.engine import bucket, checkpoint, launch, layout
from phenom_jax.results import dataset, kept, report, tensorboard

moments = random.Random(7)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_call(owner: object, name: str, number: int) -> None:
    """Kills the process when `owner.name` is called for the `number`-th time."""
    function = getattr(owner, name)
    calls = 0

    def counted(*arguments, **more):
        nonlocal calls
        calls += 1
        if calls == number:
            die()
        return function(*arguments, **more)

    setattr(owner, name, counted)


def die_after_call(owner: object, name: str, number: int, seconds: float) -> None:
    """Kills the process some seconds after `owner.name` was called for the `number`-th time, whatever it does then."""
    function = getattr(owner, name)
    calls = 0

    def counted(*arguments, **more):
        nonlocal calls
        calls += 1
        if calls == number:
            threading.Thread(target=lambda: (time.sleep(seconds), die()), daemon=True).start()
        return function(*arguments, **more)

    setattr(owner, name, counted)


def die_in_the_middle_of_a_deletion() -> None:
    """Kills the process when half the files of an old checkpoint are gone."""

    def half(folder: Path, ignore_errors: bool = False) -> None:
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        for path in files[: len(files) // 2]:
            path.unlink()
        if files:
            die()

    checkpoint.shutil = type("Shutil", (), {"rmtree": staticmethod(half), "disk_usage": shutil.disk_usage})


def in_training() -> None:
    die_after_call(bucket.Roster, "chunk", moments.randrange(1, 9), moments.uniform(0, 0.05))


def in_a_checkpoint() -> None:
    die_after_call(checkpoint.Checkpoints, "save", moments.randrange(1, 4), moments.uniform(0, 0.05))


def in_the_results() -> None:
    owner, name = moments.choice([(dataset, "_write_rows"), (zarr.Array, "__setitem__")])
    die_at_call(owner, name, moments.randrange(1, 9))


def in_the_kept_states() -> None:
    die_at_call(kept.KeptStates, "_array", moments.randrange(1, 5))


def in_the_report() -> None:
    places = [(report, "write_whole", 1), (report, "write_runs", 1), (report, "write_claims", 1)]
    die_at_call(*places[moments.randrange(3)])


def in_tensorboard() -> None:
    die_after_call(tensorboard, "write_tensorboard", 1, moments.uniform(0, 0.1))


OFTEN = [in_training, in_a_checkpoint, in_the_results] * 3
WHILE_IT_TRAINS = [*OFTEN, die_in_the_middle_of_a_deletion, in_the_kept_states] * 2
AT_ITS_END = [in_the_report, in_tensorboard, in_the_report, in_tensorboard]


def attempt(fault, out: str) -> int:
    """Returns how a forked attempt ended: 0, an exit code, or minus a signal."""
    if (child := os.fork()) == 0:
        code = 99
        try:
            if fault:
                fault()
            code = launch.launch(toy, [*sys.argv[2:], f"--out={out}"], "the same command")
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    layout.CHUNK_SECONDS = 0.02
    kills: Counter[str] = Counter()
    for fault in WHILE_IT_TRAINS + AT_ITS_END:
        moments.random()  # the children draw from this one's state
        code = attempt(fault, sys.argv[1])
        assert code in (0, -signal.SIGKILL), code
        kills[fault.__name__] += code == -signal.SIGKILL
    assert attempt(None, sys.argv[1]) == 0
    print("\n".join(f"kills {number} {name}" for name, number in kills.items()))
