"""The lanes of one program and who is in them: runs enter free lanes, move closer together and hand in records."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from phenom_jax.device import processes
from phenom_jax.device.placement import busiest, dense_order, smaller
from phenom_jax.device.program import CompiledProgram, Lane, Layout
from phenom_jax.device.work import Work
from phenom_jax.hparams import stack_hps
from phenom_jax.store.kept import leaves_by_name
from phenom_jax.sweep.plan import Program
from phenom_jax.sweep.recorded import step_metric_names
from phenom_jax.sweep.status import Status
from phenom_jax.training.ledger import Handed

WORTH_COMPACTING = 4  # chunks still to train, below which a smaller program is not worth its compilation


class Parked(NamedTuple):
    """Runs with states that wait on the host for a lane: they come from a program with other lanes."""

    run_ids: list[str]
    lanes: Any  # a Lane of NumPy arrays, a row per run; None without runs


class Roster:
    """The lanes of a program.

    Attributes:
      compiled: the program, in the layout of these lanes.
      lanes: on the devices.
      in_lane: run id per lane, None where it is free.
      status, step: int[lanes], at the last chunk end.
      parked: runs that have begun and have no lane.
      waiting: runs that have not.
    """

    def __init__(
        self,
        work: Work,
        program: Program,
        compiled: CompiledProgram,
        ticks: int,
        lanes: Lane | None = None,
        in_lane: Sequence[str | None] = (),
    ):
        """Takes these `lanes` of the program, of which those without a run are free; none given: all are."""
        self._work, self._program, self._ticks = work, program, ticks
        self._runs = {run.id: run for run in program.runs}
        self._metric_names = step_metric_names(work.experiment, program.template)
        self.compiled = compiled
        self.parked = Parked([], None)
        self.waiting: collections.deque[str] = collections.deque()
        self.in_lane = list(in_lane) or [None] * compiled.layout.total
        lanes = compiled.empty() if lanes is None else lanes
        status, step = processes.to_host((lanes.status, lanes.step))
        self.status = np.where([run_id is None for run_id in self.in_lane], Status.WAITING, status)
        self.step = np.array(step)
        self.lanes = lanes._replace(status=processes.to_devices(self.status.astype(np.int32), compiled.sharding))

    def park(self, lanes: Any, run_ids: Sequence[str | None]) -> None:
        """Adds the rows of `lanes` (on the host) that hold a run to those that wait for a lane."""
        rows = [row for row, run_id in enumerate(run_ids) if run_id]
        if not rows:
            return
        states = jax.tree.map(lambda x: x[rows], lanes)
        if self.parked.run_ids:
            states = jax.tree.map(lambda a, b: np.concatenate([a, b]), self.parked.lanes, states)
        self.parked = Parked([*self.parked.run_ids, *filter(None, run_ids)], states)

    def room(self) -> int:
        """Returns how many lanes are free beside those that parked runs will take."""
        return max(0, self.in_lane.count(None) - len(self.parked.run_ids))

    def held(self) -> set[str]:
        """Returns the runs that have begun: in lanes or parked."""
        return {run_id for run_id in self.in_lane if run_id} | set(self.parked.run_ids)

    def reached(self) -> int:
        """Returns the steps that the runs which have begun have taken."""
        occupied = [lane for lane, run_id in enumerate(self.in_lane) if run_id]
        return int(self.step[occupied].sum()) + (int(self.parked.lanes.step.sum()) if self.parked.run_ids else 0)

    def chunk(self) -> None:
        """Begins to train a chunk."""
        self.lanes = self.compiled.chunk(self.lanes, self._ticks)

    def look(self) -> int:
        """Waits for the chunk, updates `status` and `step`, and returns the run-steps it took."""
        status, step = processes.to_host((self.lanes.status, self.lanes.step))
        occupied = np.array([run_id is not None for run_id in self.in_lane])
        taken = int((step - self.step)[occupied].sum())
        self.status, self.step = np.where(occupied, status, Status.WAITING), np.array(step)
        return taken

    def fill(self) -> None:
        """Lets parked, then waiting runs into the free lanes, spread over devices and groups."""
        free = [lane for lane in dense_order(self.compiled.layout) if self.in_lane[lane] is None]
        returning, entering = free[: len(self.parked.run_ids)], free[len(self.parked.run_ids) :][: len(self.waiting)]
        if returning:
            self._return(returning)
        if entering:
            self._enter(entering)

    def balance(self) -> None:
        """Moves lanes, once nothing waits, where some devices would idle or half a wide vmap is empty."""
        layout = self.compiled.layout
        live = [lane for lane, run_id in enumerate(self.in_lane) if run_id]
        if self.waiting or self.parked.run_ids or not live:
            return
        packed = smaller(layout, len(live))
        longest = max(self._work.experiment.steps(self._runs[run_id].values) for run_id in self.in_lane if run_id)
        left = (longest - self.step[live].min()) / self._work.experiment.schedule.resolution
        if left < WORTH_COMPACTING * self._ticks:
            packed = layout
        target = dense_order(packed)[: len(live)]
        if packed == layout and busiest(layout, live) <= busiest(layout, target):
            return
        free = (lane for lane in range(layout.total) if self.in_lane[lane] is None)
        source = dict(zip(target, live))
        order = np.array([source[lane] if lane in source else next(free) for lane in range(packed.total)])
        self.lanes = self.compiled.arrange(self.lanes, order)
        self.in_lane = [self.in_lane[lane] for lane in order]
        self.status, self.step = self.status[order], self.step[order]
        if packed != layout:
            self.compiled = compile_program(self._work, self._program, packed)

    def ended(self) -> np.ndarray:
        """Returns the lanes whose run ended in the last chunk."""
        return np.flatnonzero(self.status > Status.RUNNING)

    def live(self) -> np.ndarray:
        """Returns the lanes whose run goes on."""
        return np.flatnonzero(self.status == Status.RUNNING)

    def hand_in(self, chosen: np.ndarray) -> Handed:
        """Returns what the chosen lanes recorded, read from the devices; those whose run ended become free."""
        whole = self._work.settings.keep_ends and bool((self.status[chosen] > Status.RUNNING).all())
        lanes: Any = self.compiled.handed_in(self.lanes, chosen, whole)
        records, bad = lanes.records, zip(lanes.diverged_step, lanes.diverged_metrics)
        handed = Handed(
            program_id=self._program.id,
            run_ids=[str(self.in_lane[lane]) for lane in chosen],
            metrics=records.metrics,
            kept=leaves_by_name(records.kept),
            kept_step=records.kept_step,
            status=[str(Status(self.status[lane])) for lane in chosen],
            step=self.step[chosen],
            reason=[self._reason(int(step), int(bits)) for step, bits in bad],
            lanes=leaves_by_name({"lane": lanes}) if whole else {},
        )
        for lane in chosen[self.status[chosen] > Status.RUNNING]:
            self.in_lane[lane], self.status[lane] = None, Status.WAITING
        return handed

    def _return(self, lanes: Sequence[int]) -> None:
        fresh, source = self._chosen(lanes)
        self.lanes = self.compiled.put(self.lanes, jax.tree.map(lambda x: x[source], self.parked.lanes), fresh)
        for row, lane in enumerate(lanes):
            self.in_lane[lane], self.status[lane] = self.parked.run_ids[row], Status.RUNNING
            self.step[lane] = self.parked.lanes.step[row]
        left = self.parked.run_ids[len(lanes) :]
        self.parked = Parked(left, jax.tree.map(lambda x: x[len(lanes) :], self.parked.lanes) if left else None)

    def _enter(self, lanes: Sequence[int]) -> None:
        fresh, _ = self._chosen(lanes)
        rows = [self._program.template] * len(self.in_lane)
        for lane in lanes:
            run_id = self.waiting.popleft()
            self.in_lane[lane], self.status[lane], self.step[lane] = run_id, Status.RUNNING, 0
            rows[lane] = self._program.hp(self._runs[run_id])
        self.lanes = self.compiled.admit(self.lanes, stack_hps(rows), fresh)

    def _chosen(self, lanes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns bool[lanes], True for the chosen, and the row each of them takes, 0 for the others."""
        fresh, source = np.zeros(len(self.in_lane), bool), np.zeros(len(self.in_lane), int)
        fresh[lanes], source[lanes] = True, np.arange(len(lanes))
        return fresh, source

    def _reason(self, step: int, bits: int) -> str:
        """Returns why a run diverged, nothing where it did not."""
        if not bits:
            return ""
        names = [name for i, name in enumerate(self._metric_names) if bits >> i & 1]
        return f"{' and '.join(names)} not finite at step {step}"


def compile_program(work: Work, program: Program, layout: Layout) -> CompiledProgram:
    """Returns the program with its lanes in this layout, compiled when it is first called."""
    retire = work.settings.on_diverge != "continue"
    return CompiledProgram(
        work.experiment, program.template, layout, work.grid, work.devices.mesh, retire_diverged=retire
    )
