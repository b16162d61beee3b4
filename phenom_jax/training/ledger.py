"""What is known of every run, and its way to disk: kept states, then results, again and again while the disk refuses.

All processes of a training know every run's status; the first one writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from phenom_jax.device import processes
from phenom_jax.device.work import Work
from phenom_jax.hparams import InvalidValue, fields
from phenom_jax.store.dataset import Results
from phenom_jax.store.directory import RunDirectory
from phenom_jax.store.ends import ends_store
from phenom_jax.store.kept import KeptStates, forget, kept_steps, lost_runs
from phenom_jax.sweep.recorded import recorded_variables
from phenom_jax.sweep.status import OVER, STATUSES

RETRY_SECONDS = 2.0  # between two attempts while the disk refuses
LAST_ATTEMPTS = 5  # when nothing is left to do but to write


class Handed(NamedTuple):
    """What n runs of one program hand in, on the host; the lanes of those that ended where ends are kept."""

    program_id: str
    run_ids: list[str]
    metrics: Mapping[str, np.ndarray]  # [n, P, ...] by name
    kept: Mapping[str, np.ndarray]  # [n, K, ...] by path
    kept_step: np.ndarray  # [n, K]
    status: list[str]
    step: np.ndarray
    reason: list[str]
    lanes: Mapping[str, np.ndarray] = MappingProxyType({})  # [n, ...] by path


class Ledger:
    """The statuses of a sweep's runs and the writing of their results.

    Attributes:
      statuses: by run id, in the order of the sweep; what was handed in counts at once.
    """

    def __init__(self, work: Work, directory: RunDirectory, note: Callable[[str], None]):
        """Opens the results of the sweep in `directory`.

        Raises:
          InvalidValue: they are damaged beyond repair.
        """
        self._note = note
        self._results = processes.on_first(lambda: _open(work, directory.path, directory.config.code, note))
        self._path, self._code, self._grid = directory.path, directory.config.code, work.grid
        self._programs = {program.id: program for program in work.plan.programs}
        self._kept: dict[str, KeptStates] = {}
        self._ends: dict[str, KeptStates] = {}
        self._queue: list[Handed] = []
        self._refused = ""
        self._retry_at = 0.0
        names, known = STATUSES, self._results.statuses() if self._results else {}
        codes = [names.index(known.get(run.id, "waiting")) for run in work.runs]
        self.statuses = {
            run.id: names[code] for run, code in zip(work.runs, processes.agreed(np.array(codes, np.int32)))
        }

    def over(self, run_id: str) -> bool:
        """Whether the run has ended, well or not."""
        return self.statuses[run_id] in OVER

    def take(self, handed: Handed) -> None:
        """Notes what runs handed in; `write` brings it to disk."""
        self.statuses |= dict(zip(handed.run_ids, handed.status))
        if self._results:
            self._queue.append(handed)

    def write(self) -> None:
        """Writes what was taken as far as its share of the time allows; where the disk refuses, says so once."""
        if time.monotonic() >= self._retry_at:
            self._attempt(whole=bool(self._refused))

    def flush(self) -> bool:
        """Writes everything taken and returns whether it is on disk; a checkpoint without these runs may follow."""
        self._attempt(whole=True)
        return not processes.agreed(bool(self._refused))

    def last_flush(self) -> str:
        """Writes everything taken, with patience; returns what stood in the way, nothing if all is on disk."""
        for _ in range(LAST_ATTEMPTS - 1):
            if self.flush():
                return ""
            time.sleep(RETRY_SECONDS)
        return "" if self.flush() else self._refused or "the first process could not write"

    def _attempt(self, whole: bool) -> None:
        if self._results is None:
            return
        try:
            while self._queue:
                self._keep(self._queue[0])  # first: a run is over once its row in the results says so
                handed = self._queue.pop(0)
                self._results.write(handed.run_ids, handed.metrics, handed.status, handed.step, handed.reason)
            if whole:
                self._results.flush()
        except OSError as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if not self._refused:
                self._note(f"WARNING: results cannot be written, training goes on and tries again: {error}")
            self._refused = str(error)
            return
        if self._refused and whole:
            self._note("results are written again")
            self._refused, self._retry_at = "", 0.0

    def _keep(self, handed: Handed) -> None:
        over = [i for i, status in enumerate(handed.status) if status in OVER]
        run_ids = [handed.run_ids[i] for i in over]
        if handed.kept and over:
            kept = {path: leaf[over] for path, leaf in handed.kept.items()}
            self._kept_of(handed.program_id).write(run_ids, kept, handed.kept_step[over])
        if handed.lanes:
            lanes = {path: leaf[over, None] for path, leaf in handed.lanes.items()}
            self._ends_of(handed.program_id).write(run_ids, lanes, handed.step[over, None])

    def _kept_of(self, program_id: str) -> KeptStates:
        if program_id not in self._kept:
            path = self._path / "kept.zarr" / program_id
            self._kept[program_id] = KeptStates(path, [run.id for run in self._programs[program_id].runs])
        return self._kept[program_id]

    def _ends_of(self, program_id: str) -> KeptStates:
        if program_id not in self._ends:
            self._ends[program_id] = ends_store(self._path, self._programs[program_id], self._grid, self._code)
        return self._ends[program_id]


def _open(work: Work, directory: Path, code: str, note: Callable[[str], None]) -> Results:
    try:
        results = Results.open(
            directory / "results.zarr",
            work.runs,
            fields(work.experiment.hparams),
            work.grid.steps,
            recorded_variables(work.experiment, work.sweep_plan),
            {"experiment": work.experiment.name, "matmul_precision": work.settings.matmul_precision},
            note,
            code,
            work.starts,
            work.experiment.source.facts(work.runs) if work.experiment.source else {},
        )
        for program in work.plan.programs:
            _train_again_what_is_not_kept(results, directory / "kept.zarr" / program.id, note)
        results.reset(_asked_again(results, work.settings.rerun, code, note))
    except OSError as error:
        raise InvalidValue(f"out: cannot write the results in {directory}: {error.strerror or error}") from None
    return results


def _asked_again(results: Results, rerun: str | None, code: str, note: Callable[[str], None]) -> list[str]:
    """Returns the runs that are trained again as asked, and those that other code began: a run is of one code."""
    status, made_by = results.statuses(), results.codes()
    other = [run_id for run_id, made in made_by.items() if code and made not in ("", code)]
    if rerun in ("changed", "all"):
        again = list(made_by) if rerun == "all" else other
        note(f"{len(again)} runs are trained again")
        return again
    begun = [run_id for run_id in other if status[run_id] == "running"]
    if begun:
        note(f"{len(begun)} unfinished runs of other code begin anew")
    return [*begun, *(run_id for run_id in made_by if status[run_id] == rerun)]


def _train_again_what_is_not_kept(results: Results, path: Path, note: Callable[[str], None]) -> None:
    """Sets ended runs whose kept states have lost a file back to waiting."""
    lost, status = lost_runs(path), results.statuses()
    lost += [run_id for run_id, steps in kept_steps(path).items() if len(steps) and run_id not in status]  # see Results
    again = [run_id for run_id in lost if status.get(run_id) in ("finished", "done", "diverged")]
    if again:
        note(f"WARNING: files of {path} are damaged or gone: {len(again)} runs are trained again")
        results.reset(again)
    if lost:
        forget(path, lost)
