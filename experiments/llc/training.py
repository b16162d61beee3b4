"""The coefficient along a training: chains around the kept states of one source run become one curve over its steps."""

from __future__ import annotations

import numpy as np
import xarray as xr

from experiments.llc.trust import TRAINED_WITH
from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import hyperparameters, swept_axes


def over_training(results: xr.Dataset) -> xr.Dataset:
    """Returns a dataset over (run, step) in which a step is one of the source and a run a chain along its kept states.

    Final values of chains that did not diverge. Where source runs differ in their seed alone, runs are source runs
    instead, with the mean over their chains: then what varies is what training varies in. The source's varying
    hyperparameters are coordinates, as are those of the chains that vary.

    Args:
      results: summarised.
    """
    results = results.isel(run=(results["status"] == "finished").values)
    final = final_values(results)
    settings = [name for names in swept_axes(results).values() for name in names]
    settings = [name for name in settings if name not in ("source", "checkpoint")]
    of_source = [str(name) for name in final.data_vars if str(name).startswith(TRAINED_WITH)]
    averaged = _repeats_training(final, [*of_source, *({"network"} & set(settings))])
    labels = ["source", *(name for name in settings if not (averaged and name == "seed"))]
    codes = np.stack([np.unique(results[name].values, return_inverse=True)[1] for name in labels])
    _, first, run_of = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    steps, step_of = np.unique(final["source_step"].values, return_inverse=True)
    places = run_of.reshape(-1) * len(steps) + step_of
    curves = {
        str(name): (("run", "step"), _means(array.values, places, (len(first), len(steps))), dict(array.attrs))
        for name, array in final.data_vars.items()
        if name not in of_source and array.dtype.kind == "f"
    }
    curves["llc"][2]["long_name"] = "local learning coefficient"
    coordinates = {name: ("run", results[name].values[first], {"hyperparameter": "swept"}) for name in labels}
    coordinates |= {name: ("run", final[name].values[first], {"hyperparameter": "swept"}) for name in of_source}
    if of_source:  # the source's place says no more than what it was trained with
        coordinates["source"] = ("run", results["source"].values[first], {})
    coordinates["status"] = ("run", np.full(len(first), "finished"), {})
    return xr.Dataset(curves, {**coordinates, "step": steps.astype(int)})


def training_axes(trained: xr.Dataset) -> list[str]:
    """Returns what the curves of `over_training` differ in beside seeds and the source's place, the source's first."""
    names = [name for name in hyperparameters(trained) if name in swept_axes(trained)]
    names = [name for name in names if not name.endswith("seed") and name != "source"]
    return sorted(names, key=lambda name: not name.startswith(TRAINED_WITH))


def _repeats_training(final: xr.Dataset, told_apart: list[str]) -> bool:
    """Whether some source runs differ in their seed alone."""
    columns = [final[name].values.tolist() for name in told_apart if not name.endswith("seed")]
    places = set(zip(final["source"].values.tolist(), *columns))
    return len(places) > len({place[1:] for place in places})


def _means(values: np.ndarray, places: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns the mean of the values in each place, NaN where there are none."""
    finite = np.isfinite(values)
    sums = np.bincount(places[finite], values[finite], minlength=shape[0] * shape[1])
    counts = np.bincount(places[finite], minlength=shape[0] * shape[1])
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0).reshape(shape)
