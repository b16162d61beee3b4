"""The claims about polynomial regression: a number of one dataset, or of a block of them, then the claim on it."""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from scipy.stats import gmean

from experiments.polynomial.science import CHECKED, CHECKED_IN, exact, setting
from phenom_jax.claims import Claim, Source, above, agrees, below, need
from phenom_jax.claims.runs import last
from phenom_jax.store.axes import settings

GEMAN = Source("Geman, Bienenstock, Doursat 1992", "https://doi.org/10.1162/neco.1992.4.1.1")
ESL = Source("Hastie, Tibshirani, Friedman 2009")
SCHAEFFER = Source("Schaeffer et al. 2023", "https://arxiv.org/abs/2303.14151")

MARGIN, QUANTILE = 0.05, 0.1  # agreement is to be off by less: of what is exact; from half of the datasets below

ByFunctions = dict[int, float]


def curves(runs: xr.Dataset, name: str) -> Iterator[tuple[xr.Dataset, ByFunctions]]:
    """Yields the runs of each setting otherwise alike, with the mean of a measure by number of functions."""
    for _, alike in settings(runs, "functions"):
        counts, values = alike["functions"].values, last(alike, name)
        need(np.isfinite(values).any(), "a block of 20 datasets that are over")
        yield alike, {count: float(np.nanmean(values[counts == count])) for count in np.unique(counts).tolist()}


def best_over(runs: xr.Dataset, name: str, end: Callable[[ByFunctions], int]) -> list[float]:
    """Returns a measure at the best number of functions over that at the fewest (min) or the most (max), by setting.

    The best is that of the least exact risk on inputs on a grid: no dataset chooses its own.
    """
    found = []
    for alike, values in curves(runs, name):
        risk = {count: exact(**setting(alike) | {"functions": count}).total for count in values}
        best = min(risk, key=risk.__getitem__)
        need(min(values) < best < max(values), "fewer and more functions than the best number, below the samples")
        found.append(values[best] / values[end(values)])
    return found


def few(results: xr.Dataset) -> xr.DataArray:
    """Runs with noise and fewer functions than samples."""
    return (results["functions"] < results["samples"]) & (results["noise"] > 0)


def least_norm(results: xr.Dataset) -> xr.DataArray:
    """Runs without ridge."""
    return results["ridge"] == 0


def as_checked(results: xr.Dataset) -> xr.DataArray:
    """Runs on 15 drawn inputs of 2x + cos 25x, fitted by Legendre polynomials from P1, without noise or ridge."""
    chosen = (results["noise"] == 0) & (results["ridge"] == 0) & results["functions"].isin(list(CHECKED))
    for name, value in CHECKED_IN.items():
        chosen &= results[name] == value
    return chosen


def error_over_ends(runs: xr.Dataset) -> dict[str, float]:
    """Test error at the best number of functions over that at the fewest, or the most; geometric mean over settings."""
    ends = {"against the fewest": min, "against the most": max}
    return {cell: gmean(best_over(runs, "test_error", end)) for cell, end in ends.items()}


def parts_over_ends(runs: xr.Dataset) -> dict[str, float]:
    """Bias² of 20 datasets at the best number of functions over that at the fewest; variance over that at the most."""
    ends = {"bias²": ("bias2", min), "variance": ("variance", max)}
    return {cell: float(np.mean(best_over(runs, name, end))) for cell, (name, end) in ends.items()}


def sum_over_error(runs: xr.Dataset) -> float:
    """Bias² + variance of 20 datasets + noise², over their mean test error, the mean over numbers of functions."""
    need((runs["inputs"] == "grid").all(), "inputs alike in every dataset")
    pairs = zip(curves(runs, "sum_of_parts"), curves(runs, "test_error"))
    return float(np.mean([total[count] / error[count] for (_, total), (_, error) in pairs for count in total]))


def over_exact(runs: xr.Dataset) -> float:
    """Excess risk over its exact mean, the mean over numbers of functions."""
    return float(last(runs, "relative_risk").mean())


def around_n(runs: xr.Dataset) -> Iterator[tuple[int, ByFunctions]]:
    """Yields n and the excess risk by number of functions, of each setting otherwise alike."""
    for alike, risk in curves(runs, "excess_risk"):
        n = int(alike["samples"].values[0])
        need(n in risk and min(risk) < n < max(risk), "numbers of functions below, at and above the samples")
        yield n, risk


def over_other_numbers(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk with p = n functions over that with another measured p, the geometric mean over settings."""
    found: dict[str, list[float]] = {}
    for n, risk in around_n(runs):
        for p in sorted(risk.keys() - {n}):
            found.setdefault(f"p = {p}", []).append(risk[n] / risk[p])
    return {cell: gmean(quotients) for cell, quotients in found.items()}


def beyond_over_before(runs: xr.Dataset) -> float:
    """Lowest excess risk of a dataset at any p > n over its lowest at any p < n, the geometric mean over settings."""
    lowest = [(min(risk[p] for p in risk if p > n), min(risk[p] for p in risk if p < n)) for n, risk in around_n(runs)]
    return gmean([beyond / before for beyond, before in lowest])


def below_the_checked(runs: xr.Dataset) -> dict[str, float]:
    """Share of datasets whose excess risk is below the median found by others."""
    _, risk = next(curves(runs, "excess_risk"))
    return {f"p = {p}": float(error < CHECKED[p]) for p, error in risk.items()}


CLAIMS = (
    Claim(
        "The test error first falls and then grows with the number of functions.",
        GEMAN,
        error_over_ends,
        below(1),
        about=few,
        scale="log",
        published="0.176 at degree 2, 1.009 at degree 15 (course's table)",
        figure="descent",
        presets=("", "course"),
    ),
    Claim(
        "With more functions bias² falls and variance grows.",
        GEMAN,
        parts_over_ends,
        below(1),
        about=few,
        unit="block",
        figure="bias_variance",
        presets=("", "course"),
    ),
    Claim(
        "On fixed inputs bias² + variance + noise variance is the mean test error.",
        GEMAN,
        sum_over_error,
        agrees(1, MARGIN),
        about=few,
        unit="block",
        figure="bias_variance",
    ),
    Claim(
        "On fixed inputs the mean excess risk is the exact bias² + variance of a linear estimate.",
        ESL["section 7.3"],
        over_exact,
        agrees(1, MARGIN),
        about=few,
        figure="bias_variance",
    ),
    Claim(
        "Of least-norm fits, the one with as many functions as samples is worst.",
        SCHAEFFER["figure 1"],
        over_other_numbers,
        above(1),
        about=least_norm,
        scale="log",
        figure="descent",
        presets=("legendre",),
    ),
    Claim(
        "Beyond as many functions as samples the error falls below its classical minimum.",
        SCHAEFFER["figure 1"],
        beyond_over_before,
        below(1),
        about=least_norm,
        scale="log",
        published="0.351 at 30 functions, 0.79 at 5",
        figure="descent",
        presets=("legendre",),
    ),
    Claim(
        "The median errors are those found by others.",
        SCHAEFFER["its setting, medians checked elsewhere"],
        below_the_checked,
        agrees(0.5, QUANTILE),
        about=as_checked,
        published=", ".join(f"{median:g} at {p}" for p, median in CHECKED.items()),
        figure="descent",
        presets=("legendre",),
    ),
)
