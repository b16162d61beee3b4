"""Runs of a program that go on from the ends of shorter ones: read from disk as lanes become free."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import numpy as np

from phenom_jax.device import processes
from phenom_jax.device.program import lane_shapes, stacked_shapes
from phenom_jax.device.work import Work
from phenom_jax.hparams import InvalidValue, stack_hps
from phenom_jax.store.directory import RunDirectory
from phenom_jax.store.ends import Ends, Lanes
from phenom_jax.store.kept import leaf_name
from phenom_jax.sweep.plan import Program
from phenom_jax.sweep.status import Status
from phenom_jax.training.roster import Roster


class Longer:
    """The runs of a program that wait for a lane and go on from an end."""

    def __init__(
        self,
        work: Work,
        program: Program,
        directory: RunDirectory,
        begun: Collection[str],
        note: Callable[[str], None],
    ):
        """Takes those of `begun`, which are in no lane, that start from a shorter run."""
        self._work, self._program, self._note = work, program, note
        self._starts = {run_id: work.starts[run_id] for run_id in begun if run_id in work.starts}
        self._runs = {run.id: run for run in program.runs}
        if self._starts:
            self._ends = Ends(directory.path, directory.config.code)
            note(f"{len(self._starts)} runs of program {program.id} go on from the ends of shorter ones")

    def park(self, roster: Roster) -> None:
        """Brings those that are due from disk, as many as there are free lanes; where it is damaged they begin anew."""
        due = [run_id for run_id, _ in zip(roster.waiting, range(roster.room())) if run_id in self._starts]
        if not due:
            return
        starts = {run_id: self._starts.pop(run_id) for run_id in due}
        damage, found = "", []
        try:
            found = list(self._ends.read(sorted(set(starts.values()))))
        except InvalidValue as error:
            damage = str(error)
        if processes.anywhere(bool(damage)):
            self._note(f"WARNING: {len(due)} runs begin anew: {damage or 'another process cannot read their ends'}")
            return
        for ended in found:
            run_ids = [run_id for run_id in due if starts[run_id] in ended.run_ids]
            rows = [ended.run_ids.index(starts[run_id]) for run_id in run_ids]
            roster.park(self._lanes(ended, rows, run_ids), run_ids)
            for run_id in run_ids:
                roster.waiting.remove(run_id)

    def _lanes(self, ended: Lanes, rows: Sequence[int], run_ids: Sequence[str]) -> Any:
        shapes = lane_shapes(self._work.experiment, self._program.template, self._work.grid)
        chosen = ended._replace(leaves={name: leaf[rows] for name, leaf in ended.leaves.items()})
        hps = stack_hps([self._program.hp(self._runs[run_id]) for run_id in run_ids])
        return going_on(chosen, stacked_shapes(shapes, len(rows)), self._work.grid.steps, hps)


def going_on(ended: Lanes, shapes: Any, steps: np.ndarray, hps: Any) -> Any:
    """Returns a Lane of NumPy arrays, its n rows the ended runs on a grid that has all steps where they were measured.

    A run that finished is looked at once more at its end, as one that is longer: it may be done there, and what is
    measured or kept only at an end is not if that is no end. Others ended for good, and so they stay.

    Args:
      ended: n runs.
      shapes: of n lanes.
      steps: the measure steps.
      hps: of the longer runs.
    """
    lanes = jax.tree_util.tree_map_with_path(lambda path, _: ended.leaves[f"lane.{leaf_name(path)}"], shapes)
    again = lanes.status == Status.FINISHED
    point, kept = np.searchsorted(steps, lanes.step), lanes.kept - (again & (lanes.kept > 0))
    columns = np.searchsorted(steps, ended.grid.steps[ended.grid.steps <= lanes.step.max()])

    def looked(old: np.ndarray, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        new = np.full(shape.shape, np.nan, shape.dtype)
        new[:, columns] = old[:, : len(columns)]
        new[again, point[again]] = np.nan
        return new

    def held(old: np.ndarray, shape: jax.ShapeDtypeStruct, empty: int = 0) -> np.ndarray:
        new, count = np.full(shape.shape, empty, shape.dtype), min(old.shape[1], shape.shape[1])
        new[:, :count] = old[:, :count]
        new[again, kept[again]] = empty
        return new

    old, new = lanes.records, shapes.records
    return lanes._replace(
        hp=hps,
        point=point.astype(np.int32),
        kept=kept.astype(np.int32),
        status=np.where(again, Status.RUNNING, lanes.status).astype(np.int32),
        records=old._replace(
            metrics={name: looked(old.metrics[name], new.metrics[name]) for name in new.metrics},
            kept=jax.tree.map(held, old.kept, new.kept),
            kept_step=held(old.kept_step, new.kept_step, -1),
        ),
    )
