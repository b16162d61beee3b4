"""The coefficient along a training: chains around the kept states of a source run become one curve over its steps."""

from typing import Any

import numpy as np
import xarray as xr

from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import hyperparameters

TRAINED_WITH = "trained_with_"  # before the name of a hyperparameter of the source
NO_LABELS = ("seed", "checkpoint", "network")  # chains that differ in these alone are on one curve


def along_training(results: xr.Dataset) -> xr.Dataset:
    """Returns curves over (run, step): a run is a source run in a setting of the sampler, a step one of its training.

    Values are means of the chains that ended around a kept state. What source runs and settings differ in are
    coordinates, source runs by what they were trained with; `source`, their place, is no axis.

    Args:
      results: summarised.
    """
    final = final_values(results.isel(run=(results["status"] == "finished").values))
    floats = [str(name) for name, array in final.data_vars.items() if array.dtype.kind == "f" and name != "source_step"]
    facts = [name for name in floats if name.startswith(TRAINED_WITH)]
    axes = [*facts, *(name for name in hyperparameters(results) if name not in NO_LABELS)]
    table = final.to_dataframe()
    if table.groupby([*facts, "network"]).ngroups > (table.groupby(facts).ngroups if facts else 1):
        axes.append("network")  # networks differ in a hyperparameter that is a word, no fact
    curves = [name for name in floats if name not in facts]
    means: Any = table.groupby([*axes, "source_step"])[curves].mean()
    wide = means.unstack("source_step")
    told, steps = wide.index.to_frame(index=False), np.unique(table["source_step"]).astype(int)
    labels = {name: ("run", told[name].to_numpy(), {"hyperparameter": "swept"}) for name in axes if name != "source"}
    labels |= {"source": ("run", told["source"].to_numpy()), "status": ("run", np.full(len(told), "finished"))}
    measured = {name: (("run", "step"), wide[name].to_numpy(), dict(results[name].attrs)) for name in curves}
    measured["llc"][2]["long_name"] = "local learning coefficient"
    return xr.Dataset(measured, {**labels, "step": steps})


def stages(curves: xr.Dataset) -> xr.Dataset:
    """Returns the kept state of every rank at which the gradient of the training is smallest, the most settled one.

    A run for each source run, setting and rank, in their order; the rank is an axis.

    Args:
      curves: of `along_training`, around deep linear networks.
    """
    known = curves["llc"].notnull() & curves["source_rank"].notnull()
    gradients = curves["source_gradient_norm"].fillna(np.finfo(float).max).values
    chosen = [
        (run, int(np.where(ranks == rank, gradients[run], np.inf).argmin()), rank)
        for run, ranks in enumerate(curves["source_rank"].where(known).values)
        for rank in np.unique(ranks[np.isfinite(ranks)])
    ]
    runs, steps, ranks = (np.array(column, int) for column in zip(*chosen))
    picked = curves.isel(run=xr.DataArray(runs, dims="run"), step=xr.DataArray(steps, dims="run"))
    return picked.reset_coords("step", drop=True).assign_coords(rank=("run", ranks, {"hyperparameter": "swept"}))
