"""Trains the runs of one program: chunk after chunk, checkpoints in between, on as many lanes as memory has room for.

At a chunk end the host looks at the lanes: those whose run ended hand in their records and take the next waiting run.
A run is over when its row in the results says so; a checkpoint holds the lanes in between. Both can be written again
without harm, so it does not matter where between the two a kill falls.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import jax
import numpy as np

from phenom_jax.device import processes
from phenom_jax.device.layout import Lanes, choose, describe, out_of_memory
from phenom_jax.device.placement import fewer_lanes
from phenom_jax.device.program import Layout, lane_shapes, stacked_shapes
from phenom_jax.device.work import Work
from phenom_jax.store.directory import RunDirectory
from phenom_jax.sweep.plan import Program
from phenom_jax.sweep.status import OVER
from phenom_jax.training.checkpoint import Checkpoints, Mismatch, SaveFailed
from phenom_jax.training.ledger import LAST_ATTEMPTS, RETRY_SECONDS, Handed, Ledger
from phenom_jax.training.longer import Longer
from phenom_jax.training.progress import Progress
from phenom_jax.training.remaining import Remaining
from phenom_jax.training.roster import Roster, compile_program
from phenom_jax.training.stop import Stop


class Training:
    """The training of one program.

    Attributes:
      trained: run-steps since the start, other programs' among them.
      unsaved: why the newest state is in no checkpoint, nothing where it is or need not be.
    """

    def __init__(
        self,
        work: Work,
        program: Program,
        directory: RunDirectory,
        ledger: Ledger,
        progress: Progress,
        stop: Stop,
        trained: int,
    ):
        self._work, self._program, self._directory = work, program, directory
        self._ledger, self._progress, self._stop = ledger, progress, stop
        self._roster: Roster | None = None
        self._ticks = 1
        self._chunks = 0
        self.trained = trained
        self.unsaved = ""
        self._remaining = Remaining(work, program, ledger.over)

    def run(self) -> None:
        """Trains until the program's runs are over or a stop is requested, in fewer lanes where memory runs out."""
        layout: Layout | None = None
        while True:
            try:
                self._train(layout)
                return
            except jax.errors.JaxRuntimeError as error:
                reason = str(error).splitlines()[0][:200]
                before, layout = self._fewer(error)
            if layout is None:
                self._fail(reason)
                return
            self._progress.note(
                f"out of memory with {before} lanes: program {self._program.id} goes on with {layout.total} "
                "from its last checkpoint"
            )

    def _fewer(self, error: Exception) -> tuple[int, Layout | None]:
        """Returns how many lanes there were and the layout to try next, None where fewer lanes are no remedy."""
        roster, self._roster = self._roster, None
        if roster is None or not out_of_memory(error) or processes.several():
            return 0, None
        return roster.compiled.layout.total, fewer_lanes(roster.compiled.layout)

    def _fail(self, reason: str) -> None:
        """Marks the runs that wait as failed and says why; those that have begun keep their last checkpoint."""
        pending = self._pending()
        failed = [run_id for run_id in pending if self._ledger.statuses[run_id] == "waiting"]
        count, kept = len(failed), len(pending) - len(failed)
        self._progress.note(f"{count} runs failed, {kept} keep their last checkpoint: {reason}")
        nothing, steps = np.zeros((count, 0), np.int32), np.zeros(count, int)
        self._ledger.take(
            Handed(self._program.id, failed, {}, {}, nothing, ["failed"] * count, steps, [reason] * count)
        )

    def _pending(self) -> list[str]:
        return [run.id for run in self._program.runs if not self._ledger.over(run.id)]

    def _train(self, fewer: Layout | None) -> None:
        pending = self._pending()
        if not pending:
            return
        with Checkpoints(self._directory.path / "checkpoints" / self._program.id) as checkpoints:
            self._chunks = checkpoints.latest
            self._roster = self._restored(checkpoints, pending, fewer) or self._fresh(fewer)
            held = self._roster.held()
            self._roster.waiting.extend(run_id for run_id in pending if run_id not in held)
            begun = [run_id for run_id in pending if run_id not in held and self._ledger.statuses[run_id] == "running"]
            longer = Longer(self._work, self._program, self._directory, begun, self._progress.note)
            self._work_through(self._roster, checkpoints, longer)

    def _fresh(self, fewer: Layout | None) -> Roster:
        chosen = Lanes(fewer, self._ticks, 0.0, 0) if fewer else choose(self._work, self._program)
        return self._roster_of(chosen)

    def _roster_of(self, chosen: Lanes, **restored: Any) -> Roster:
        self._ticks = chosen.ticks
        self._directory.describe_program(self._program.id, describe(chosen))
        compiled = compile_program(self._work, self._program, chosen.layout)
        return Roster(self._work, self._program, compiled, chosen.ticks, **restored)

    def _restored(self, checkpoints: Checkpoints, pending: Collection[str], fewer: Layout | None) -> Roster | None:
        """Returns the lanes of the newest checkpoint, or None where there is nothing to go on with."""
        begun = {run_id for run_id in pending if self._ledger.statuses[run_id] == "running"}  # not those to run again
        if not begun:
            return None
        shapes = lane_shapes(self._work.experiment, self._program.template, self._work.grid)
        chosen: Lanes | None = None
        in_place = holds_any = True

        def template(meta: dict[str, Any]) -> dict[str, Any]:
            nonlocal chosen, in_place, holds_any
            holds_any = not begun.isdisjoint([*meta["in_lane"], *meta["parked"]])
            if meta["grid"] != self._grid():
                raise Mismatch("its runs are measured at other steps")
            saved = Layout(*meta["layout"])
            chosen = self._going_on(saved, meta, len(pending), fewer)
            in_place = (chosen.layout.total, chosen.layout.lanes) == (saved.total, saved.lanes)
            compiled = compile_program(self._work, self._program, chosen.layout)
            lanes = compiled.template() if in_place else _on_host(shapes, saved.total)
            return {"lanes": lanes, "parked": _on_host(shapes, len(meta["parked"]))}

        found = checkpoints.restore(template, lambda text: self._progress.note(text) if holds_any else None)
        if found is None or chosen is None or not holds_any:
            return None
        self._chunks = found.chunk
        in_lane = [run_id if run_id in begun else None for run_id in found.meta["in_lane"]]
        if in_place:
            roster = self._roster_of(chosen, lanes=found.tree["lanes"], in_lane=in_lane)
        else:
            roster = self._roster_of(chosen)
            roster.park(found.tree["lanes"], in_lane)
        roster.park(found.tree["parked"], [run_id if run_id in begun else None for run_id in found.meta["parked"]])
        layout = chosen.layout
        self._progress.note(
            f"resumed {len(roster.held())} live runs of program {self._program.id} from checkpoint {found.chunk}, in "
            f"{'its' if in_place else 'other'} lanes: {layout.devices} x {layout.groups} x {layout.lanes}"
        )
        return roster

    def _going_on(self, saved: Layout, meta: dict[str, Any], pending: int, fewer: Layout | None) -> Lanes:
        """Returns the lanes to go on in: the checkpoint's, unless they do not fit what is there or is asked now."""
        if fewer:
            return Lanes(fewer, meta["ticks"], 0.0, 0)
        devices = self._work.devices.count
        groups, rest = divmod(saved.total, devices * saved.lanes)
        begun = sum(run_id is not None for run_id in [*meta["in_lane"], *meta["parked"]])
        extended = pending > begun + meta["waiting"]
        if rest or extended or meta["asked"] != self._asked():
            return choose(self._work, self._program)
        return Lanes(Layout(devices, groups, saved.lanes), meta["ticks"], 0.0, 0)

    def _work_through(self, roster: Roster, checkpoints: Checkpoints, longer: Longer) -> None:
        save_at = time.monotonic() + self._work.settings.checkpoint_seconds
        while True:
            longer.park(roster)
            roster.fill()
            roster.balance()
            if not any(roster.in_lane):
                return
            roster.chunk()
            self._ledger.write()  # while the devices work
            self._chunks += 1
            self.trained += roster.look()
            if len(ended := roster.ended()):
                self._take(roster.hand_in(ended))
            self._report(roster)
            here = [self._stop.requested is not None, time.monotonic() >= save_at, self._background_failed(checkpoints)]
            stopping, due, failed = processes.anywhere(here)
            if stopping:
                self._stop.request("a signal to another process")
                self._save_at_last(roster, checkpoints)
                return
            if due and not failed:
                self._save(roster, checkpoints)
            if due or failed:
                wait = RETRY_SECONDS if self.unsaved else self._work.settings.checkpoint_seconds
                save_at = time.monotonic() + wait

    def _take(self, handed: Handed) -> None:
        self._ledger.take(handed)
        over = [row for row, status in enumerate(handed.status) if status in OVER]
        self._remaining.end([handed.run_ids[row] for row in over], [int(handed.step[row]) for row in over])
        if self._work.settings.on_diverge == "stop" and "diverged" in handed.status:
            which = handed.status.index("diverged")
            self._stop.request(f"the divergence of run {handed.run_ids[which]} ({handed.reason[which]})", failure=True)

    def _background_failed(self, checkpoints: Checkpoints) -> bool:
        try:
            checkpoints.check()
        except SaveFailed as error:
            self._not_saved(str(error))
            return True
        return False

    def _save(self, roster: Roster, checkpoints: Checkpoints) -> None:
        """Writes the curves of live runs, then begins a checkpoint; where the disk refuses, says so once."""
        if not self._ledger.flush():
            self._not_saved("the results come first")
            return
        if len(live := roster.live()):
            self._ledger.take(roster.hand_in(live))
        if not self._ledger.flush():
            self._not_saved("the results come first")
            return
        try:
            checkpoints.save(self._chunks, {"lanes": roster.lanes, "parked": roster.parked.lanes}, self._meta(roster))
        except SaveFailed as error:
            self._not_saved(str(error))
            return
        if self.unsaved:
            self._progress.note("checkpoints are written again")
        self.unsaved = ""

    def _save_at_last(self, roster: Roster, checkpoints: Checkpoints) -> None:
        """Saves and waits until it is on disk, with patience."""
        for attempt in range(LAST_ATTEMPTS):
            if attempt:
                time.sleep(RETRY_SECONDS)
            self._save(roster, checkpoints)
            try:
                checkpoints.wait()
            except SaveFailed as error:
                self._not_saved(str(error))
            if not processes.anywhere(bool(self.unsaved)):
                return

    def _not_saved(self, reason: str) -> None:
        if not self.unsaved:
            self._progress.note(f"WARNING: no checkpoint was written, training goes on and tries again: {reason}")
        self.unsaved = reason

    def _meta(self, roster: Roster) -> dict[str, Any]:
        return {
            "in_lane": roster.in_lane,
            "parked": roster.parked.run_ids,
            "waiting": len(roster.waiting),
            "layout": list(roster.compiled.layout),
            "ticks": self._ticks,
            "grid": self._grid(),
            "asked": self._asked(),
        }

    def _grid(self) -> list[list[int]]:
        """Returns what the indices in lanes and records point into."""
        work = self._work
        return [[work.experiment.schedule.resolution], *(column.astype(int).tolist() for column in work.grid)]

    def _asked(self) -> list[int | None]:
        return [self._work.settings.lanes, self._work.settings.group]

    def _report(self, roster: Roster) -> None:
        statuses = list(self._ledger.statuses.values())
        over, held = sum(self._ledger.over(run_id) for run_id in self._ledger.statuses), len(roster.held())
        self._progress.update(
            finished=over,
            live=held,
            waiting=len(statuses) - over - held,
            diverged=statuses.count("diverged"),
            steps_done=self.trained,
            left=self._remaining.run_steps(roster.reached()),
            program=(self._work.plan.programs.index(self._program) + 1, len(self._work.plan.programs)),
        )


def _on_host(shapes: Any, count: int) -> Any:
    """Returns NumPy arrays for `count` lanes of these shapes."""
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), stacked_shapes(shapes, count))
