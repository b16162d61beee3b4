"""Trains a sweep: bucket after bucket, runs flowing through lanes, nothing lost when the process is killed.

At a chunk end the host looks at the lanes: those whose run ended hand in their records and take the next waiting run.
A run is over when its row in the results says so; a checkpoint holds the lanes in between. Both can be written again
without harm, so it does not matter where between the two a kill falls.
"""

from __future__ import annotations

import collections
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from phenom_jax.engine.checkpoint import Checkpoints, Mismatch
from phenom_jax.engine.config import RunDirectory
from phenom_jax.engine.layout import Lanes, choose, describe
from phenom_jax.engine.placement import busiest, dense_order, smaller
from phenom_jax.engine.program import EMPTY, LIVE, Lane, Layout, Program, stack_hps
from phenom_jax.engine.progress import Progress
from phenom_jax.engine.recorded import recorded_variables, step_metric_names
from phenom_jax.engine.stop import Stop
from phenom_jax.engine.work import Work
from phenom_jax.hparams import fields
from phenom_jax.results.dataset import Results
from phenom_jax.results.kept import KeptStates
from phenom_jax.sweep.plan import Bucket

STATUS_NAMES = ("waiting", "running", "finished", "done", "diverged")  # of program.EMPTY ... DIVERGED
WORTH_COMPACTING = 4  # chunks still to train, below which a smaller program is not worth its compilation
OVER = {"finished", "done", "diverged", "failed"}


class Outcome(NamedTuple):
    """How a training ended.

    Attributes:
      interrupted: the signal that stopped it, or None.
      counts: how many runs of the sweep have which status.
      trained_steps: run-steps of this start.
    """

    interrupted: str | None
    counts: dict[str, int]
    trained_steps: int


def train(work: Work, directory: RunDirectory, progress: Progress, stop: Stop) -> Outcome:
    """Trains every run of the sweep that is not over yet and returns how it ended."""
    results = Results.open(
        directory.path / "results.zarr",
        work.runs,
        fields(work.experiment.hparams),
        work.grid.steps,
        recorded_variables(work.experiment, work.plan),
        {"experiment": work.experiment.name, "matmul_precision": work.settings.matmul_precision},
    )
    if work.settings.rerun:
        results.reset([run_id for run_id, status in results.statuses().items() if status == work.settings.rerun])
    trained = 0
    for bucket in work.plan.buckets:
        training = _BucketTraining(work, bucket, directory, results, progress, stop, trained)
        try:
            training.run()
        except jax.errors.JaxRuntimeError as error:
            training.fail(str(error).splitlines()[0][:200])
        trained = training.trained
        if stop.requested:
            break
    results.flush()
    counts = dict(collections.Counter(results.statuses().values()))
    return Outcome(stop.requested, counts, trained)


class _Handed(NamedTuple):
    """What lanes hand in at a chunk end, on the host."""

    run_ids: list[str]
    metrics: dict[str, np.ndarray]  # [n, P, ...] by name
    kept: dict[str, np.ndarray]  # [n, K, ...] by path
    kept_step: np.ndarray  # [n, K]
    status: list[str]
    step: np.ndarray
    reason: list[str]


class _BucketTraining:
    """The training of one bucket: its queue, its lanes, and who is in which."""

    def __init__(
        self,
        work: Work,
        bucket: Bucket,
        directory: RunDirectory,
        results: Results,
        progress: Progress,
        stop: Stop,
        trained: int,
    ):
        self.work, self.bucket, self.directory = work, bucket, directory
        self.results, self.progress, self.stop = results, progress, stop
        self.trained = trained  # run-steps since the start, other buckets' among them
        self.runs = {run.id: run for run in bucket.runs}
        self.metric_names = step_metric_names(work.experiment, bucket.template)
        self.waiting: collections.deque[str] = collections.deque()
        self.pending: list[str] = []
        self.in_lane: list[str | None] = []
        self.step = np.zeros(0, int)
        self.chunks = 0

    def run(self) -> None:
        """Trains until the bucket's runs are over or a stop is requested."""
        statuses = self.results.statuses()
        self.pending = pending = [run_id for run_id in self.runs if statuses[run_id] not in OVER]
        if not pending:
            return
        if self.work.experiment.keep:
            self.kept = KeptStates(self.directory.path / "kept.zarr" / self.bucket.id, list(self.runs))
        with Checkpoints(self.directory.path / "checkpoints" / self.bucket.id) as checkpoints:
            begun = {run_id for run_id in pending if statuses[run_id] == "running"}  # not those to be run again
            self.chunks = checkpoints.latest
            lanes = self._restore(checkpoints, begun) if begun else None
            lanes = self._start() if lanes is None else lanes
            held = set(self.in_lane)
            self.waiting = collections.deque(run_id for run_id in pending if run_id not in held)
            self._work(lanes, checkpoints)

    def fail(self, reason: str) -> None:
        """Marks the runs that were in lanes, or were to enter them, as failed and says why."""
        held = [run_id for run_id in self.in_lane if run_id] or self.pending
        self.progress.note(f"{len(held)} runs failed: {reason}")
        self.results.write(held, {}, ["failed"] * len(held), np.zeros(len(held), int), [reason] * len(held))

    def _start(self) -> Lane:
        self._use(choose(self.work, self.bucket))
        self.in_lane = [None] * self.program.layout.total
        self.step = np.zeros(self.program.layout.total, int)
        return self.program.empty()

    def _use(self, lanes: Lanes) -> None:
        self.ticks = lanes.ticks
        self.program = Program(
            self.work.experiment, self.bucket.template, lanes.layout, self.work.grid, self.work.devices.mesh
        )
        self.directory.describe_program(self.bucket.id, describe(lanes))

    def _restore(self, checkpoints: Checkpoints, begun: set[str]) -> Lane | None:
        """Returns the lanes of the newest checkpoint; lanes whose run is not one of the `begun` are free."""

        def template(meta: dict[str, Any]) -> Lane:
            if meta["grid"] != self._grid():
                raise Mismatch("its runs are measured at other steps")
            saved = Layout(*meta["layout"])
            groups, rest = divmod(saved.total, self.work.devices.count * saved.lanes)
            if rest:
                raise Mismatch(f"{saved.total} lanes in groups of {saved.lanes} on {self.work.devices.count} devices")
            self._use(Lanes(Layout(self.work.devices.count, groups, saved.lanes), meta["ticks"], 0.0, 0))
            return self.program.template()

        found = checkpoints.restore(template, self.progress.note)
        if found is None:
            return None
        self.chunks = found.chunk
        self.in_lane = [run_id if run_id in begun else None for run_id in found.meta["in_lane"]]
        status = np.where([run_id is None for run_id in self.in_lane], EMPTY, np.asarray(found.tree.status))
        lanes = found.tree._replace(status=jax.device_put(status.astype(np.int32), self.program.sharding))
        self.step = np.array(found.tree.step)
        live = sum(run_id is not None for run_id in self.in_lane)
        self.progress.note(
            f"resumed {live} live runs of program {self.bucket.id} from checkpoint {found.chunk}, in its lanes: "
            f"{self.program.layout.devices} x {self.program.layout.groups} x {self.program.layout.lanes}"
        )
        return lanes

    def _work(self, lanes: Lane, checkpoints: Checkpoints) -> None:
        handed: _Handed | None = None
        saved_at = time.monotonic()
        while True:
            lanes = self._balance(self._fill(lanes))
            if not any(self.in_lane):
                break
            lanes = self.program.chunk(lanes, self.ticks)
            self._write(handed)  # while the devices work
            self.chunks += 1
            status, step = map(np.array, jax.device_get((lanes.status, lanes.step)))
            occupied = np.array([run_id is not None for run_id in self.in_lane])
            self.trained += int((step - self.step)[occupied].sum())
            self.step = step
            ended = np.flatnonzero(occupied & (status > LIVE))
            handed = self._hand_in(lanes, ended, status)
            for lane in ended:
                self.in_lane[lane] = None
            self._report(handed)
            stopping = self.stop.requested
            if stopping or time.monotonic() - saved_at >= self.work.settings.checkpoint_seconds:
                self._write(handed)
                self._write(self._hand_in(lanes, np.flatnonzero(status == LIVE), status))
                self.results.flush()
                checkpoints.save(self.chunks, lanes, self._meta())
                handed, saved_at = None, time.monotonic()
            if stopping:
                return
        self._write(handed)
        self.results.flush()

    def _meta(self) -> dict[str, Any]:
        layout = list(self.program.layout)
        return {"in_lane": self.in_lane, "layout": layout, "ticks": self.ticks, "grid": self._grid()}

    def _grid(self) -> list[list[int]]:
        """Returns what the indices in lanes and records point into."""
        return [[self.work.experiment.schedule.resolution], *(column.astype(int).tolist() for column in self.work.grid)]

    def _fill(self, lanes: Lane) -> Lane:
        """Returns the lanes with waiting runs in the free ones, spread over devices and groups."""
        free = [lane for lane in dense_order(self.program.layout) if self.in_lane[lane] is None]
        fresh = np.zeros(len(self.in_lane), bool)
        for lane in free[: len(self.waiting)]:
            self.in_lane[lane] = self.waiting.popleft()
            self.step[lane] = 0
            fresh[lane] = True
        if not fresh.any():
            return lanes
        rows = [
            self.bucket.hp(self.runs[run_id]) if run_id and starts else self.bucket.template
            for run_id, starts in zip(self.in_lane, fresh)
        ]
        return self.program.admit(lanes, stack_hps(rows), fresh)

    def _balance(self, lanes: Lane) -> Lane:
        """Returns the lanes moved, once nothing waits, where some devices would idle or half a wide vmap is empty."""
        layout = self.program.layout
        live = [lane for lane, run_id in enumerate(self.in_lane) if run_id]
        if self.waiting or not live:
            return lanes
        packed = smaller(layout, len(live))
        longest = max(self.work.experiment.steps(self.runs[run_id].values) for run_id in self.in_lane if run_id)
        left = (longest - self.step[live].min()) / self.work.experiment.schedule.resolution
        if left < WORTH_COMPACTING * self.ticks:
            packed = layout
        target = dense_order(packed)[: len(live)]
        if packed == layout and busiest(layout, live) <= busiest(layout, target):
            return lanes
        free = (lane for lane in range(layout.total) if self.in_lane[lane] is None)
        source = dict(zip(target, live))
        order = np.array([source[lane] if lane in source else next(free) for lane in range(packed.total)])
        lanes = self.program.arrange(lanes, order)
        self.in_lane = [self.in_lane[lane] for lane in order]
        self.step = self.step[order]
        if packed != layout:
            self._use(Lanes(packed, self.ticks, 0.0, 0))
        return lanes

    def _hand_in(self, lanes: Lane, chosen: np.ndarray, status: np.ndarray) -> _Handed | None:
        """Returns what the chosen lanes recorded, read from the devices."""
        if not len(chosen):
            return None
        records, bad_step, bad = jax.device_get((lanes.records, lanes.diverged_step, lanes.diverged_metrics))
        kept = jax.tree.leaves_with_path(records.kept)
        return _Handed(
            run_ids=[str(self.in_lane[lane]) for lane in chosen],
            metrics={name: value[chosen] for name, value in records.metrics.items()},
            kept={jax.tree_util.keystr(path, simple=True, separator="."): leaf[chosen] for path, leaf in kept},
            kept_step=records.kept_step[chosen],
            status=[STATUS_NAMES[status[lane]] for lane in chosen],
            step=self.step[chosen],
            reason=[self._reason(int(bad_step[lane]), int(bad[lane])) for lane in chosen],
        )

    def _reason(self, step: int, bits: int) -> str:
        """Returns why a run diverged, nothing where it did not."""
        if not bits:
            return ""
        names = [name for i, name in enumerate(self.metric_names) if bits >> i & 1]
        return f"{' and '.join(names)} not finite at step {step}"

    def _write(self, handed: _Handed | None) -> None:
        if handed is None:
            return
        over = [i for i, status in enumerate(handed.status) if status in OVER]
        if handed.kept and over:  # first: a run is over once its row in the results says so
            ids = [handed.run_ids[i] for i in over]
            self.kept.write(ids, {path: leaf[over] for path, leaf in handed.kept.items()}, handed.kept_step[over])
        self.results.write(handed.run_ids, handed.metrics, handed.status, handed.step, handed.reason)

    def _report(self, handed: _Handed | None) -> None:
        known = self.results.statuses()
        if handed:
            known |= dict(zip(handed.run_ids, handed.status))
        held = [run_id for run_id in self.in_lane if run_id]
        over = [run_id for run_id, status in known.items() if status in OVER]
        self.progress.update(
            finished=len(over),
            live=len(held),
            waiting=len(known) - len(over) - len(held),
            diverged=sum(status == "diverged" for status in known.values()),
            steps_done=self.trained,
            bucket=(self.work.plan.buckets.index(self.bucket) + 1, len(self.work.plan.buckets)),
        )
