"""A sweep's results for TensorBoard: quantiles over runs and counts of statuses, hyperparameters, chosen runs in full.

Curves of every run would cost minutes and hundreds of megabytes for a sweep of hundreds: they are summed up per cell of
the sweep, and all together where cells are many.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.hparams import InvalidValue
from phenom_jax.store.axes import cell_axes, final_values, show, strata, swept_axes
from phenom_jax.sweep.status import STATUSES

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

QUANTILES = {"10 %": 10, "median": 50, "90 %": 90}
_MOST_CELLS = 50
_MOST_HPARAMS = 500  # runs whose hyperparameters are written, an event file each


def write_tensorboard(folder: Path, results: xr.Dataset, runs: Collection[str] = ()) -> None:
    """Replaces `folder` by the event files of these results.

    Quantiles and counts are per program where the results say each run's `program`; else per cell of the sweep, or over
    all runs where there are more than 50 cells.

    Args:
      folder: of the event files; removed first.
      results: dimensions (run, step).
      runs: ids of the runs whose curves are written in full.
    Raises:
      InvalidValue: a run id is unknown; the folder is as it was.
    """
    known = results["run_id"].values.tolist()
    for run_id in runs:
        if run_id not in known:
            raise InvalidValue(f"tensorboard_runs: no run {run_id}, allowed are the run_id of runs.csv")
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    for group, members in _groups(results).items():
        _write_quantiles(beside, group, results.isel(run=members))
    _write_hparams(beside / "hparams", results)
    for run_id in runs:
        _write_run(beside / "runs" / run_id, results.isel(run=known.index(run_id)))
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _groups(results: xr.Dataset) -> dict[str, np.ndarray]:
    """Returns the indices of the runs of each group, by a name for a folder."""
    if "program" in results.coords:
        labels = results["program"].values.astype(str)
        return {f"program {label}": np.flatnonzero(labels == label) for label in np.unique(labels)}
    codes, axes = strata(results), cell_axes(results)
    if codes.max(initial=0) >= _MOST_CELLS:
        return {"all": np.arange(results.sizes["run"])}
    named = {}
    for code in range(codes.max(initial=-1) + 1):
        members = np.flatnonzero(codes == code)
        values = (f"{axis}={show(results[axis].values[members[0]].item())}" for axis in axes)
        named[",".join(values).replace("/", "÷") or "all"] = members
    return named


def _write_quantiles(folder: Path, group: str, results: xr.Dataset) -> None:
    counts = results["status"].values
    steps = results["step"].values.tolist()
    for quantile, percent in QUANTILES.items():
        with _writer(folder / group / quantile) as writer:
            for name, array in _curves(results).items():
                for step, values in zip(steps, array.values.T, strict=True):
                    if np.isfinite(values).any():
                        writer.add_scalar(name, np.percentile(values[np.isfinite(values)], percent), step)
            if quantile == "median":
                for status in STATUSES:
                    writer.add_scalar(f"runs/{status}", int((counts == status).sum()), max(steps))


def _write_hparams(folder: Path, results: xr.Dataset) -> None:
    """Writes what varies and the last measured values, the same keys for every run: others would never show."""
    final = final_values(results)
    names = [name for together in swept_axes(results).values() for name in together]
    logging.getLogger("tensorboardX.x2num").disabled = True  # it warns of every NaN; here NaN says "never"
    with _writer(folder) as writer:
        for row, run_id in enumerate(results["run_id"].values[:_MOST_HPARAMS].tolist()):
            values = {name: results[name].values[row].item() for name in names}
            values["status"] = str(results["status"].values[row])
            metrics = {f"last/{name}": float(array.values[row]) for name, array in final.data_vars.items()}
            writer.add_hparams(values, metrics, name=run_id, global_step=int(results["last_step"].values[row]))


def _write_run(folder: Path, run: xr.Dataset) -> None:
    with _writer(folder) as writer:
        for name, array in run.data_vars.items():
            if array.dims == ("step",):
                for step, value in zip(run["step"].values.tolist(), array.values.tolist(), strict=True):
                    if np.isfinite(value):
                        writer.add_scalar(str(name), value, step)


def _curves(results: xr.Dataset) -> Mapping[str, xr.DataArray]:
    return {str(name): array for name, array in results.data_vars.items() if array.dims == ("run", "step")}


def _writer(folder: Path) -> SummaryWriter:
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder), write_to_disk=True, max_queue=100_000, flush_secs=3600)
