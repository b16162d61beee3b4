"""Longer runs among the results: they take the place of the shorter ones that they go on from, curves and all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from phenom_jax.hparams import Field
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.longer import superseded


def with_longer(
    stored: xr.Dataset, runs: Sequence[Run], fields: Mapping[str, Field], starts: Mapping[str, str]
) -> xr.Dataset:
    """Returns the results without runs that gave way to longer ones, and with a row for each that goes on from an end.

    Such a run is running and has the curves of the one before it. In one dataset, which takes the place of the other
    at once: a seed is there once, however long it was trained.

    Args:
      stored: what there is; returned itself where there is nothing to do.
      runs: the sweep.
      fields: every hyperparameter, by name.
      starts: by run id, the shorter run from whose end it goes on.
    """
    status = dict(zip(stored["run_id"].values.tolist(), stored["status"].values.tolist()))
    rows, ids = {run_id: row for row, run_id in enumerate(status)}, {run.id for run in runs}
    gone = [_run(stored, fields, row) for run_id, row in rows.items() if run_id not in ids]
    old = superseded(gone, runs)
    begun = [
        run
        for run in runs
        if status.get(run.id, "waiting") == "waiting"
        and status.get(starts.get(run.id, "")) in ("finished", "done", "diverged")
    ]
    if not old and not begun:
        return stored
    old |= {run.id for run in begun}
    left = [row for run_id, row in rows.items() if run_id not in old]
    taken = stored.isel(run=[*left, *(rows[starts[run.id]] for run in begun)])
    said = {
        "run_id": [run.id for run in begun],
        "steps": [run.values["steps"] for run in begun],
        "status": ["running"] * len(begun),
        "reason": [""] * len(begun),
    }
    labels = {name: [*taken[name].values[: len(left)].tolist(), *values] for name, values in said.items()}
    return taken.assign_coords({name: ("run", np.array(each), taken[name].attrs) for name, each in labels.items()})


def _run(stored: xr.Dataset, fields: Mapping[str, Field], row: int) -> Run:
    return Run({name: stored[name].values[row].item() for name in fields if name in stored})
