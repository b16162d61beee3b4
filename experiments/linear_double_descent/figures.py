"""The figures of linear double descent, as marks."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from experiments.linear_double_descent.science import expected
from phenom_jax.report.marks import Figure, FinalMap, Profile, Scale, VLine
from phenom_jax.report.roles import varies

SIZES = ("dimension", "samples")
PLAIN = {"ridge": min, "noise": max, "ablation": lambda values: "none" if "none" in values else values[0]}
_SOLVED = 60  # sizes at which a ridge's exact curve is computed; between them it is a straight line in log-log


def over_sizes(name: str, y: Scale) -> Profile:
    """Returns the mean of a measure over the features (or the samples), with its exact value: a panel per noise."""
    return Profile(
        SIZES,
        {name: "-"},
        y,
        colour=("ablation", "ridge"),
        panel="noise",
        at=PLAIN,
        exact=_exact(name),
        exact_label="exact mean",
        verticals=[VLine(_threshold, "features = samples")],
        centre="mean",
    )


def _exact(name: str) -> Callable[[xr.Dataset, np.ndarray], np.ndarray]:
    def curve(runs: xr.Dataset, fine: np.ndarray) -> np.ndarray:
        if name == "relative_risk":
            return np.ones(len(fine))
        x = _size(runs)
        if runs["ridge"].values[0] == 0 or len(fine) <= _SOLVED:
            return getattr(expected(runs, x, fine), name)
        near = fine[np.argsort(np.abs(np.log(fine / _threshold(runs))))[: _SOLVED // 3]]
        coarse = np.geomspace(max(fine[0], 1), fine[-1], _SOLVED).round()
        chosen = np.unique(np.concatenate([near, fine[[0, -1]], coarse]).astype(int))
        found = getattr(expected(runs, x, chosen), name)
        with np.errstate(divide="ignore"):
            return np.exp(np.interp(np.log(fine), np.log(chosen), np.log(found)))

    return curve


def _lowest(results: xr.Dataset) -> float:
    """Returns where the axis of the risk begins: a single feature or an ablation would take half of it."""
    return max(1e-3, results["excess_risk"].quantile(0.02).item() / 2)


def _size(runs: xr.Dataset) -> str:
    return "dimension" if varies(runs, "dimension") else "samples"


def _threshold(runs: xr.Dataset) -> float:
    return float(runs["samples" if _size(runs) == "dimension" else "dimension"].values[0])


FIGURES = (
    Figure(
        "risk",
        "Double descent",
        "Mean excess test risk |w - β|² over the number of features (or of samples). Dashed: the exact mean; without "
        "ridge it is infinite within one of the threshold, and within three the mean of however many training sets is "
        "that of the few worst.",
        lambda results: over_sizes("excess_risk", Scale("excess test risk", log=True, limits=(_lowest(results), None))),
    ),
    Figure(
        "relative",
        "Against theory",
        "The same risk over its exact mean; near the threshold the mean of few training sets is below it.",
        over_sizes("relative_risk", Scale("risk / its exact mean", limits=(0.5, 1.5))),
    ),
    Figure(
        "train_error",
        "Train error",
        "Mean squared error on the training set. Without ridge it ends at the threshold: beyond, every set is fitted.",
        over_sizes("train_error", Scale("train mean squared error", log=True, limits=(1e-7, None))),
    ),
    Figure(
        "norm",
        "Norm of the weights",
        "The squared norm of the weights peaks where the risk does: noise in weak directions takes large weights.",
        over_sizes("squared_norm", Scale("|w|²", log=True)),
    ),
    Figure(
        "map",
        "Where the risk is high",
        "Median excess test risk over the number of features (or of samples) and the ridge, the samples or the noise.",
        FinalMap("excess_risk", SIZES, ("samples", "ridge", "noise"), "excess test risk", at=PLAIN),
        format="svg",
    ),
    Figure(
        "singular_value",
        "The smallest singular value",
        "Of the training inputs, over √n, where it was measured: at the threshold it comes close to 0.",
        Profile(
            "dimension",
            {"smallest_singular_value": "-"},
            Scale("smallest singular value / √n", log=True),
            at=PLAIN,
            exact=lambda runs, fine: np.abs(1 - np.sqrt(fine / _threshold(runs))),
            exact_label="edge of the Marchenko-Pastur law",
            verticals=[VLine("samples", "features = samples")],
        ),
    ),
)
