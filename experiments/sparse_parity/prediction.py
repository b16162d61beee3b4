"""How long a run still takes, predicted while its accuracy is at chance, from how far its weights have moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.store.axes import groups, hyperparameters

PREDICTORS = {"movement": "any weight", "relevant_movement": "deciding inputs' weights"}
FEWEST = 8  # runs of a setting


class Prediction(NamedTuple):
    """Remaining steps to 99 % test accuracy of the runs of one setting, each predicted from the other seeds.

    Attributes:
      degree: of the setting.
      step: when the prediction is made: the last measured one at which every run was at chance so far.
      seeds, actual: of each run.
      baseline: geometric mean of the other runs' remaining steps.
      predicted: by predictor, from the line through the other runs' log remaining steps over their log movement.
    """

    degree: int
    step: int
    seeds: np.ndarray
    actual: np.ndarray
    baseline: np.ndarray
    predicted: Mapping[str, np.ndarray]


def predictions(results: xr.Dataset) -> list[Prediction]:
    """Returns the predictions in every setting with enough solved runs and a step at which all are at chance."""
    runs = results.isel(run=(results["status"].isin(["finished", "done"]) & (results["solved_step"] > 0)).values)
    found = []
    for _, cell in groups(runs, [name for name in hyperparameters(runs) if name != "seed"]):
        step = int(cell["rise_after"].min())  # NaN-free: solved runs have left chance
        if cell.sizes["run"] < FEWEST or step == 0:
            continue
        moved = {name: cell[name].sel(step=step).values.astype(float) for name in PREDICTORS}
        if not all(np.all(values > 0) and np.ptp(values) > 0 for values in moved.values()):
            continue
        actual = cell["solved_step"].values - step
        log_time = np.log(actual)
        predicted = {name: np.exp(_left_out(np.log(values), log_time)) for name, values in moved.items()}
        baseline = np.exp((log_time.sum() - log_time) / (len(log_time) - 1))
        found.append(Prediction(int(cell["degree"].values[0]), step, cell["seed"].values, actual, baseline, predicted))
    return found


def _left_out(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns, for each point, the value at its x of the least-squares line through all the others."""
    centred = x - x.mean()
    leverage = 1 / len(x) + centred**2 / (centred**2).sum()
    fitted = y.mean() + centred * (centred * y).sum() / (centred**2).sum()
    return y - (y - fitted) / (1 - leverage)
