"""Trains a sweep, program after program; nothing is lost when the process is killed."""

from __future__ import annotations

import collections
from typing import NamedTuple

from phenom_jax.device import processes
from phenom_jax.device.work import Work
from phenom_jax.store.directory import RunDirectory
from phenom_jax.training.checkpoint import Unreadable
from phenom_jax.training.ledger import Ledger
from phenom_jax.training.program import Training
from phenom_jax.training.progress import Progress
from phenom_jax.training.stop import Stop


class Outcome(NamedTuple):
    """How a training ended.

    Attributes:
      interrupted: what stopped it, or None.
      counts: how many runs of the sweep have which status.
      trained_steps: run-steps of this start.
      unwritten: what the disk refused to the end, to write or to read; nothing if all is on disk.
      failure: whether going on by itself, as after a signal, is not what is wanted.
    """

    interrupted: str | None
    counts: dict[str, int]
    trained_steps: int
    unwritten: str = ""
    failure: bool = False


def train(work: Work, directory: RunDirectory, progress: Progress, stop: Stop) -> Outcome:
    """Trains every run of the sweep that is not over yet and returns how it ended.

    Raises:
      InvalidValue: the results in the directory are damaged beyond repair.
    """
    for remark in directory.remarks:
        progress.note(remark)
    ledger = Ledger(work, directory, progress.note)
    trained, unsaved, refused = 0, "", ""
    for program in work.plan.programs:
        training = Training(work, program, directory, ledger, progress, stop, trained)
        try:
            training.run()
        except Unreadable as error:
            refused = str(error)
            break
        trained, unsaved = training.trained, training.unsaved
        if processes.anywhere(stop.requested is not None):
            break
    unwritten = ledger.last_flush() or refused or (unsaved if stop.requested else "")
    return Outcome(stop.requested, dict(collections.Counter(ledger.statuses.values())), trained, unwritten)
