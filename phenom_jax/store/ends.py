"""The ends of runs: whole lanes as they were when their run ended, from which longer runs go on.

`ends.zarr` has a place for the runs of a program that were measured on one grid and made by one code; it holds them as
kept states are held, one per run, and says in its attributes which program, grid and code these are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr

from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue
from phenom_jax.store.code import code_of, digest
from phenom_jax.store.kept import KeptStates, forget, kept_rows, kept_steps, lost_runs
from phenom_jax.sweep.grid import Grid
from phenom_jax.sweep.longer import Earlier, End
from phenom_jax.sweep.plan import Program

ENDS = "ends.zarr"
ASKED = "lane.hp.steps"  # the leaf that says for how many steps a run was asked


class Lanes(NamedTuple):
    """Ends read back: of n runs on one grid, the leaves of their lanes, [n, ...] by path."""

    run_ids: list[str]
    grid: Grid
    leaves: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class _Place:
    """Ends of one program, grid and code, by run id."""

    path: Path
    grid: Grid
    code: str
    ends: Mapping[str, End]


class Ends:
    """The ends in a run directory that this code left there when they were opened; read where asked for."""

    def __init__(self, directory: Path, code: str):
        """Looks which ends there are.

        Raises:
          InvalidValue: a description is damaged.
        """
        self._places = [place for place in _places(directory) if place.code == code]

    def earlier(self) -> Earlier:
        """Returns which ends there are, of a run with several the farthest."""
        found = [item for place in self._places for item in place.ends.items()]
        grids = [(place.grid, max(end.reached for end in place.ends.values())) for place in self._places]
        return Earlier(dict(sorted(found, key=lambda item: item[1].reached)), grids)

    def read(self, run_ids: Sequence[str]) -> Iterator[Lanes]:
        """Yields the ends of these runs, grid by grid.

        Raises:
          InvalidValue: a file is damaged or gone.
        """
        ends = self.earlier().ends
        if lost := [run_id for run_id in run_ids if run_id not in ends]:
            raise InvalidValue(f"files of {ENDS} are gone, they held the ends of {len(lost)} runs")
        for place in self._places:
            here = [run_id for run_id in run_ids if place.ends.get(run_id) is ends[run_id]]
            if here:
                leaves = kept_rows(place.path, here)
                yield Lanes(here, place.grid, {name: leaf[:, 0] for name, leaf in leaves.items() if name != "step"})


def earlier_in(directory: Path, experiment: Experiment) -> Earlier:
    """Returns which ends a run directory keeps of runs that the experiment's code, as it is now, has made.

    Raises:
      InvalidValue: a description is damaged.
    """
    directory = directory.expanduser()
    return Ends(directory, digest(code_of(experiment))).earlier() if (directory / ENDS).exists() else Earlier()


def kept_ends(directory: Path) -> set[str]:
    """Returns the ids of the runs whose ends are kept, whatever code left them.

    Raises:
      InvalidValue: a description is damaged.
    """
    return {run_id for place in _places(directory) for run_id in place.ends}


def ends_store(directory: Path, program: Program, grid: Grid, code: str) -> KeptStates:
    """Returns where the ends of a program's runs are written, ready for those that files were lost of.

    Raises:
      OSError: the disk refused.
      InvalidValue: a description is damaged.
    """
    columns = [column.astype(int).tolist() for column in grid]
    attributes = {"program": program.id, "padded": dict(program.padded), "grid": columns, "code": code}
    place = hashlib.sha256(json.dumps([columns, code]).encode()).hexdigest()[:8]
    path = directory / ENDS / f"{program.id}-{place}"
    if lost := lost_runs(path):
        forget(path, lost)
    return KeptStates(path, [run.id for run in program.runs], attributes)


def _places(directory: Path) -> Iterator[_Place]:
    for path in sorted((directory / ENDS).glob("*")):
        reached = {run_id: int(steps[0]) for run_id, steps in kept_steps(path).items() if len(steps)}
        if not reached:
            continue
        said: Any = dict(zarr.open_group(path, mode="r").attrs)
        steps, expensive, kept = said["grid"]
        grid = Grid(np.array(steps, np.int32), np.array(expensive, bool), np.array(kept, bool))
        asked = kept_rows(path, list(reached), [ASKED])[ASKED][:, 0]
        ends = {
            run_id: End(said["program"], said["padded"], int(whole), last)
            for (run_id, last), whole in zip(reached.items(), asked)
        }
        yield _Place(path, grid, said["code"], ends)
