"""The figures of linear double descent."""

from __future__ import annotations

import numpy as np
import xarray as xr

from experiments.linear_double_descent.exact import expected
from phenom_jax.report.curves import Scale
from phenom_jax.report.figures import Figure
from phenom_jax.report.maps import final_map
from phenom_jax.report.profile import Mark, profile
from phenom_jax.report.tables import final_values

PLAIN = {"ridge": min, "noise": max, "ablation": lambda values: "none" if "none" in values else values[0]}
MARKS = {
    "dimension": [Mark(lambda runs: _only(runs, "samples"), "features = samples")],
    "samples": [Mark(lambda runs: _only(runs, "dimension"), "samples = features")],
}
_SOLVED = 60  # sizes at which a ridge's exact curve is computed; between them it is a straight line in log-log


def _against_exact(results: xr.Dataset, x: str, name: str, scale: Scale, colour: str = "ridge"):
    """Returns the mean of one measure over `x` with its exact value, a panel per noise."""
    return profile(
        results,
        x,
        {name: "-"},
        scale,
        colour=colour,
        panel="noise",
        at=PLAIN,
        exact=_exact(name, x),
        exact_label="exact mean",
        centre="mean",
        marks=MARKS[x],
    )


def _exact(name: str, x: str):
    """Returns what `profile` draws as theory of one measure over `x`."""

    def curve(runs: xr.Dataset, fine: np.ndarray) -> np.ndarray:
        if runs["ridge"].values[0] == 0 or len(fine) <= _SOLVED:
            return getattr(expected(runs, x, fine), name)
        middle = _only(runs, "samples" if x == "dimension" else "dimension")
        near = fine[np.argsort(np.abs(np.log(fine / middle)))[: _SOLVED // 3]] if np.isfinite(middle) else fine[:0]
        coarse = np.geomspace(max(fine[0], 1), fine[-1], _SOLVED).round()
        chosen = np.unique(np.concatenate([near, fine[[0, -1]], coarse]).astype(int))
        found = getattr(expected(runs, x, chosen), name)
        with np.errstate(divide="ignore"):
            return np.exp(np.interp(np.log(fine), np.log(chosen), np.log(found)))

    return curve


def _risk_scale(results: xr.Dataset) -> Scale:
    """Returns the scale of the risk, from where nearly all runs lie, for a single feature would take half of it."""
    risk = final_values(results)["excess_risk"].values
    risk = risk[np.isfinite(risk) & (risk > 0)]
    low = float(np.quantile(risk, 0.01)) / 2 if len(risk) else 0.0
    return Scale("excess test risk", log=True, limits=(max(1e-3, low), None))


def _only(runs: xr.Dataset, name: str) -> float:
    values = np.unique(runs[name].values)
    return float(values[0]) if len(values) == 1 else np.nan


FIGURES = (
    Figure(
        "risk",
        "Double descent",
        "Mean excess test risk |w - β|² over the number of features, a panel per noise, a colour per ridge. Dashed: "
        "the exact mean over training sets; without ridge it is infinite within one of the threshold, and within three "
        "the mean of however many training sets is that of the few worst.",
        lambda results: _against_exact(results, "dimension", "excess_risk", _risk_scale(results)),
    ),
    Figure(
        "samples",
        "More data hurts",
        "The same risk over the number of samples at a fixed number of features: just below the threshold more samples "
        "make it worse.",
        lambda results: _against_exact(results, "samples", "excess_risk", _risk_scale(results)),
    ),
    Figure(
        "train_error",
        "Train error",
        "Mean squared error on the training set. Without ridge it ends at the threshold, beyond which every training "
        "set is fitted.",
        lambda results: _against_exact(
            results, "dimension", "train_error", Scale("train mean squared error", log=True, limits=(1e-7, None))
        ),
    ),
    Figure(
        "norm",
        "Norm of the weights",
        "The squared norm of the weights peaks where the risk does: noise in weak directions takes large weights.",
        lambda results: _against_exact(results, "dimension", "squared_norm", Scale("|w|²", log=True)),
    ),
    Figure(
        "map",
        "Where the risk is high",
        "Median excess test risk over the number of features and the ridge (or the number of samples, or the noise).",
        lambda results: final_map(
            results,
            "excess_risk",
            "dimension",
            ("samples", "ridge", "noise"),
            "excess test risk",
            at=PLAIN,
        ),
        format="svg",
    ),
    Figure(
        "sample_map",
        "Where the risk is high, over samples",
        "Median excess test risk over the number of samples and the ridge (or the noise), features fixed.",
        lambda results: final_map(results, "excess_risk", "samples", ("ridge", "noise"), "excess test risk", at=PLAIN),
        format="svg",
    ),
    Figure(
        "ablation",
        "What makes the peak",
        "The risk with each of its three causes removed: small singular values of the training inputs, residuals of "
        "the labels, and test inputs along the training inputs' small modes. The exact mean is that with all three.",
        lambda results: _over_ablations(results),
    ),
    Figure(
        "singular_value",
        "The smallest singular value",
        "Of the training inputs, over √n, where it was measured: at the threshold it comes close to 0.",
        lambda results: profile(
            results,
            "dimension",
            {"smallest_singular_value": "-"},
            Scale("smallest singular value / √n", log=True),
            at=PLAIN,
            exact=lambda runs, fine: np.abs(1 - np.sqrt(fine / _only(runs, "samples"))),
            exact_label="edge of the Marchenko-Pastur law",
            marks=MARKS["dimension"],
        ),
    ),
)


def _over_ablations(results: xr.Dataset):
    if len(np.unique(results["ablation"].values)) < 2:
        return None
    return _against_exact(results, "dimension", "excess_risk", _risk_scale(results), colour="ablation")
