"""Commands in processes of their own that begin with everything imported, and signals at chosen places inside them.

A server that has imported the engine, but not started JAX, forks a process per command. A fault is named by what Python
audits: a file operation and its path, or the call of one of `CALLS`. So it falls on the operation itself, whatever
function of whichever library does it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import toy

from phenom_jax.claims import Claim, Source, below
from phenom_jax.claims.runs import last
from phenom_jax.cli import main as launch
from phenom_jax.device import layout
from phenom_jax.report.marks import Curves, Figure, Scale
from phenom_jax.training import ledger

CALLS = (
    "phenom_jax.training.sweep:make_work",
    "phenom_jax.device.program:CompiledProgram.chunk",
    "phenom_jax.training.checkpoint:Checkpoints.save",
    "phenom_jax.training.checkpoint:Checkpoints.restore",
    "phenom_jax.report.report:decide_all",
)
PRELOADED = ["__main__", "forks", "phenom_jax.report.report", "phenom_jax.report.tensorboard"]


def final_error(runs):
    """Error at the end, the mean of its runs."""
    return float(last(runs, "error").mean())


experiment = dataclasses.replace(
    toy.toy,
    summarise=lambda results: results.assign(largest_error=results["error"].max("step")),
    figures=(Figure("error", "Error", "", Curves({"error": "-"}, Scale("error"))),),
    claims=(Claim("It learns.", Source("this test"), final_error, below(1)),),
)


class Fault(NamedTuple):
    """A signal that a process sends itself at the `number`-th audited event that matches, or `seconds` after it."""

    event: str
    path: str = ""  # a pattern, of a function's name where the event is "call"
    number: int = 1
    seconds: float = 0.0
    signal: int = signal.SIGKILL


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
      code: its exit code, or minus the signal that ended it.
      struck: where the fault fell, nothing if it never did.
      said: what it printed, errors too.
      over_before: runs that the results on disk said were over when it began to train, None if it never did.
      ended: runs that ended in it.
    """

    code: int
    struck: str
    said: str
    over_before: set[str] | None
    ended: set[str]


class Forks:
    """Runs commands of `experiment`, their run directories and compiled programs below `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def start(self, out: str, flags: Sequence[str], fault: Fault | None = None) -> Callable[[], Ended]:
        """Starts the command and returns how to wait for its end."""
        notes = self.folder / f"{out}.notes"
        notes.mkdir(exist_ok=True)
        place = notes / str(len(list(notes.iterdir())))
        place.mkdir()
        line = [*flags, f"--out={self.folder / out}", f"--compilation_cache={self.folder / 'programs'}"]
        process = self._context.Process(target=_command, args=(line, fault, place))
        process.start()

        def wait() -> Ended:
            process.join()
            noted = {path.name: path.read_text() for path in place.iterdir()}
            over = set(noted["over"].split()) if "over" in noted else None
            ended = set(noted.get("ended", "").split())
            return Ended(process.exitcode or 0, noted.get("struck", ""), noted.get("said", ""), over, ended)

        return wait

    def run(self, out: str, flags: Sequence[str], fault: Fault | None = None) -> Ended:
        """Returns how the command ended."""
        return self.start(out, flags, fault)()


def _command(line: Sequence[str], fault: Fault | None, place: Path) -> None:
    """The command, in its own process."""
    said = os.open(place / "said", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    layout.CHUNK_SECONDS = 1e-9  # a chunk is one tick, on machines of any speed
    _note_ends(place)
    for name in CALLS:
        _announce(name)
    if fault:
        _await(fault, place)
    sys.argv, sys.orig_argv = ["sweep", *line], ["sweep", *line]
    launch.main(experiment)


def _await(fault: Fault, place: Path) -> None:
    """Sends this process the fault's signal where it is due."""
    pattern, struck, seen = re.compile(fault.path), os.open(place / "struck", os.O_CREAT | os.O_WRONLY), 0

    def strike(where: str) -> None:
        os.write(struck, where.encode())
        os.kill(os.getpid(), fault.signal)

    def later() -> None:
        time.sleep(fault.seconds)
        main = sys._current_frames()[threading.main_thread().ident or 0]
        strike(f"{fault.seconds:.3f} s later in {main.f_code.co_qualname}, {threading.active_count() - 2} threads")

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event == fault.event and seen < fault.number and pattern.search(text := _described(event, arguments)):
            seen += 1
            if seen == fault.number:
                threading.Thread(target=later, daemon=True).start() if fault.seconds else strike(f"{event} {text}")

    sys.addaudithook(hook)


def _described(event: str, arguments: tuple) -> str:
    """Returns the paths of an event; those that are relative to an open folder, after it."""
    folder = arguments[-1] if event in ("os.remove", "os.rmdir") else -1
    inside = os.readlink(f"/proc/self/fd/{folder}") + "/" if folder not in (-1, None) else ""
    return inside + " ".join(str(each) for each in arguments)


def _announce(name: str) -> None:
    """Makes calls of a function audited events."""
    module, _, names = name.partition(":")
    *owners, last = names.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    function = getattr(owner, last)

    @functools.wraps(function)
    def announced(*arguments, **more):
        sys.audit("call", names)
        return function(*arguments, **more)

    setattr(owner, last, announced)


def _note_ends(place: Path) -> None:
    """Notes which runs are over on disk when a training begins, and which end in it."""
    begin, take = ledger.Ledger.__init__, ledger.Ledger.take

    def noted_begin(self, *arguments):
        begin(self, *arguments)
        (place / "over").write_text("\n".join(run_id for run_id in self.statuses if self.over(run_id)))

    def noted_take(self, handed):
        take(self, handed)
        with (place / "ended").open("a") as file:
            file.writelines(f"{run_id}\n" for run_id in handed.run_ids if self.over(run_id))

    setattr(ledger.Ledger, "__init__", noted_begin)  # noqa: B010, it is no subclass's
    setattr(ledger.Ledger, "take", noted_take)  # noqa: B010
