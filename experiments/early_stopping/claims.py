"""The claims about early stopping: each a number of one seed's runs and a rule."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from experiments.early_stopping.science import closed_form
from phenom_jax.claims import Claim, Source, above, agrees, below, need
from phenom_jax.laws.peak import inner_peak
from phenom_jax.store.axes import settings
from phenom_jax.theory.epochwise import turning_points

HECKEL = Source("Heckel, Yilmaz 2021", "https://arxiv.org/abs/2007.10099")
NAKKIRAN = Source("Nakkiran et al. 2020", "https://arxiv.org/abs/1912.02292")
PRECHELT = Source("Prechelt 1998")
ALI = Source("Ali, Kolter, Tibshirani 2019", "https://arxiv.org/abs/1810.10082")

HUMP = 0.02  # by which share of the risk a minimum must be left for two minima to count as two


class Curve(NamedTuple):
    """The measured excess risk of one run, and its closed form at the same steps."""

    run: xr.Dataset
    steps: np.ndarray
    risk: np.ndarray
    exact: np.ndarray


def exact_runs(results: xr.Dataset) -> xr.DataArray:
    """Linear models on evenly spaced inputs, where the closed form is exact, with the most features per scale."""
    return linear_runs(results) & (results["inputs"] == "grid")


def linear_runs(results: xr.Dataset) -> xr.DataArray:
    """Linear models with the most features per scale, where single runs are most like their mean."""
    return (results["model"] == "linear") & (results["features"] == results["features"].max())


def noisy_runs(results: xr.Dataset) -> xr.DataArray:
    """Runs with label noise."""
    return results["noise"] > 0


def one_scale_runs(results: xr.Dataset) -> xr.DataArray:
    """Linear models of one scale of Gaussian features, where the bound is proven."""
    return (results["model"] == "linear") & (results["inputs"] == "gaussian") & (results["scales"] == "one")


def over_closed_form(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk over the closed form, the mean over the measured steps."""
    return {name: float((curve.risk / curve.exact)[1:].mean()) for name, curve in _curves(runs)}


def turns(runs: xr.Dataset) -> dict[str, float]:
    """Change of the excess risk between steps where the closed form turns, over its change there."""
    found = {}
    for name, curve, places in _with_two_minima(runs, "equal"):
        lower = curve.exact[places[-1]] < curve.exact[places[0]]
        for early, late in [*itertools.pairwise(places), *([(places[0], places[-1])] if lower else [])]:
            change, expected = (risk[late] - risk[early] for risk in (curve.risk, curve.exact))
            steps = f"steps {curve.steps[early]} to {curve.steps[late]}"
            found[f"{name}, {steps}" if name else steps] = float(change / expected)
    need(found, "equal step sizes whose closed form has two minima")
    return found


def patience_cost(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk where patience stops over that at the lowest validation loss of all steps."""
    found = {
        name: (curve.run["patience_risk"] / curve.run["stopping_risk"]).item()
        for name, curve, places in _with_two_minima(runs, "equal")
        if curve.exact[places[-1]] < curve.exact[places[0]]
    }
    need(found, "equal step sizes whose closed form has a later minimum that is lower")
    return found


def stopping_gain(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk at the lowest validation loss over that of the last step."""
    return {name: (run["stopping_risk"] / run["last_risk"]).item() for name, run in settings(runs)}


def hump(runs: xr.Dataset) -> dict[str, float]:
    """Hump of the log excess risk above the lowest before and after it, with aligned step sizes."""
    curves = _with_two_minima(runs, "aligned")
    found = {name: inner_peak(np.log(curve.risk[1:])).prominence for name, curve, _ in curves}
    need(found, "aligned step sizes where equal ones have two minima in closed form")
    return found


def aligned_lowest(runs: xr.Dataset) -> dict[str, float]:
    """Lowest excess risk with aligned step sizes over that with equal ones, at the steps the closed form names."""
    lowest = [
        {name: float(curve.risk[curve.exact.argmin()]) for name, curve, _ in _with_two_minima(runs, schedule)}
        for schedule in ("aligned", "equal")
    ]
    found = {name: risk / lowest[1][name] for name, risk in lowest[0].items() if name in lowest[1]}
    need(found, "equal and aligned step sizes where equal ones have two minima in closed form")
    return found


def over_ridge(runs: xr.Dataset) -> dict[str, float]:
    """Lowest excess risk over steps over the lowest of ridge regression over penalties."""
    return {name: (run["best_risk"] / run["best_ridge_risk"]).item() for name, run in settings(runs)}


def _curves(runs: xr.Dataset) -> Iterator[tuple[str, Curve]]:
    """Yields the curve of every run of one seed after its setting in words."""
    for name, run in settings(runs):
        risk_P = run["excess_risk"].values[0].astype(float)
        steps_P = run["step"].values[np.isfinite(risk_P)]
        yield name, Curve(run, steps_P, risk_P[np.isfinite(risk_P)], closed_form(run, steps_P).total)


def _with_two_minima(runs: xr.Dataset, schedule: str) -> Iterator[tuple[str, Curve, np.ndarray]]:
    """Yields curves of a schedule and where the closed form turns with equal step sizes, if that has two minima."""
    for name, curve in _curves(runs.isel(run=(runs["step_sizes"] == schedule).values)):
        exact = closed_form(curve.run, curve.steps, "equal").total
        places = turning_points(exact)
        if len(places) >= 3 and np.abs(np.diff(np.log(exact[places]))).min() >= HUMP:
            yield name, curve, places


CLAIMS = (
    Claim(
        "The mean excess risk of gradient descent is the closed form.",
        HECKEL["linear regression"],
        over_closed_form,
        agrees(1, 0.05),
        about=exact_runs,
        published="0.2596 at step 12, 0.2694 at 30, 0.1669 at 491 (noise 1)",
        figure="closed_form",
        presets=("", "three_scales"),
    ),
    Claim(
        "Where the closed form has two minima, so has the mean risk, and the last is lower than the first where the "
        "closed form says so.",
        HECKEL["linear regression"],
        turns,
        above(
            0.5
        ),  # of the closed form's rise or fall: 1 where it holds, 0 where the risk stays, below where it goes back
        about=exact_runs,
        published="rises by 4 %, then falls by 38 % (noise 1)",
        figure="closed_form",
        presets=("", "three_scales"),
    ),
    Claim(
        "Early stopping at the first minimum misses a second one that is lower: patience costs risk.",
        NAKKIRAN,
        patience_cost,
        above(1.1),  # a tenth of the risk
        about=linear_runs,
        scale="log",
        figure="rules",
        presets=("", "gaussian", "three_scales"),
    ),
    Claim(
        "With noisy labels, stopping where the validation loss is lowest beats training to the end.",
        PRECHELT,
        stopping_gain,
        below(1),
        about=noisy_runs,
        scale="log",
        figure="rules",
        presets=("", "gaussian", "ridge", "network"),
    ),
    Claim(
        "Step sizes that let all scales be lowest at the same step remove the second descent.",
        HECKEL["linear regression"],
        hump,
        below(HUMP),
        about=exact_runs,
        published="one minimum",
        figure="closed_form",
        presets=("aligned",),
    ),
    Claim(
        "Step sizes that let all scales be lowest at the same step lower the minimum.",
        HECKEL["linear regression"],
        aligned_lowest,
        below(0.95),
        about=exact_runs,
        scale="log",
        figure="closed_form",
        presets=("aligned",),
    ),
    Claim(
        "The best stopped gradient descent has at most 1.22 times the risk of the best ridge regression.",
        ALI["gradient flow, many uncorrelated features of one scale"],
        over_ridge,
        below(1.22),
        about=one_scale_runs,
        scale="log",
        published="1.22",
        figure="ridge",
        presets=("ridge",),
    ),
)
