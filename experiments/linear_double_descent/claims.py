"""The claims about double descent in linear regression: a number of one training set's runs, then the claim on it."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy.stats import gmean

from phenom_jax.claims import Claim, Source, above, agrees, below, need
from phenom_jax.claims.runs import last
from phenom_jax.store.axes import settings, show, words

BELKIN = Source("Belkin et al. 2019", "https://arxiv.org/abs/1812.11118")
HASTIE = Source("Hastie et al. 2022", "https://arxiv.org/abs/1903.08560")
MORE_DATA = Source("Nakkiran 2019", "https://arxiv.org/abs/1912.07242")
OPTIMAL = Source("Nakkiran et al. 2021", "https://arxiv.org/abs/2003.01897")
SCHAEFFER = Source("Schaeffer et al. 2023", "https://arxiv.org/abs/2303.14151")
WEAK = Source("Belkin, Hsu, Xu 2020", "https://arxiv.org/abs/1903.07571")

VARIANCE, STEADY = 3, 7  # ridgeless risks have a finite variance, and four moments, for |d - n| above
PEAK = 2.0  # how many times the risk on both sides a peak is
POOLED, EACH = 0.05, 0.1  # of the exact mean: off by less is agreement, pooled over settings and in each regime
NEAR = 1.25  # a measured size within this factor of half or twice the threshold's counts as such
CAUSES = ("small_modes", "residuals", "test_directions")
ROUNDING = 1e-6  # heights below are none

Curve = tuple[int, dict[int, float], dict[int, float]]  # size of the threshold; by size the risk and its exact mean


def curves(runs: xr.Dataset, x: str = "dimension") -> Iterator[Curve]:
    """Yields the curve over x of each setting otherwise alike."""
    for _, alike in settings(runs, x):
        sizes = alike[x].values.tolist()
        threshold = int(alike["samples" if x == "dimension" else "dimension"].values[0])
        on_both_sides = min(sizes) < threshold < max(sizes)
        need(threshold in sizes and on_both_sides, f"numbers of {x} below, at and above the threshold")
        risk, exact = (dict(zip(sizes, last(alike, name))) for name in ("excess_risk", "exact_risk"))
        yield threshold, risk, exact


def whole(results: xr.Dataset) -> xr.DataArray:
    """Runs with noise and without ridge, nothing removed."""
    return (results["ridge"] == 0) & (results["noise"] > 0) & (results["ablation"] == "none")


def removed(results: xr.Dataset) -> xr.DataArray:
    """Runs with noise and without ridge, one cause of the peak removed."""
    return (results["ridge"] == 0) & (results["noise"] > 0) & (results["ablation"] != "none")


def away(results: xr.Dataset) -> xr.DataArray:
    """Runs with noise and |d − n| > 7, where the risk has four moments, nothing removed."""
    gap = abs(results["dimension"] - results["samples"])
    return (gap > STEADY) & (results["noise"] > 0) & (results["ablation"] == "none")


def away_or_regular(results: xr.Dataset) -> xr.DataArray:
    """Runs with noise and |d − n| > 7 or the largest ridge, nothing removed."""
    is_largest = (results["ridge"] == results["ridge"].max()) & (results["ridge"] > 0)
    return away(results) | (is_largest & (results["noise"] > 0) & (results["ablation"] == "none"))


def at_threshold(results: xr.Dataset) -> xr.DataArray:
    """Runs with d = n, noise, and a ridge up to the best one, σ²d / n|β|²; nothing removed."""
    d, n, noise, signal = (results[name] for name in ("dimension", "samples", "noise", "signal"))
    is_at_most_best = results["ridge"] * n * signal**2 <= noise**2 * d
    return (d == n) & (noise > 0) & is_at_most_best & (results["ablation"] == "none")


def over_exact(runs: xr.Dataset) -> float:
    """Risk over its exact mean, the mean over settings."""
    return float(last(runs, "relative_risk").mean())


def over_exact_by_regime(runs: xr.Dataset) -> dict[str, float]:
    """Risk over its exact mean, the mean over settings of a regime."""
    gap, relative = (runs["dimension"] - runs["samples"]).values, last(runs, "relative_risk")
    regimes = {"d < n": gap < -STEADY, "d > n": gap > STEADY, "d near n, largest ridge": np.abs(gap) <= STEADY}
    return {name: float(relative[chosen].mean()) for name, chosen in regimes.items() if chosen.any()}


def over_other_sizes(runs: xr.Dataset) -> dict[str, float]:
    """Risk at d = n over that at another measured d, the geometric mean over settings."""
    found: dict[str, list[float]] = {}
    for n, risk, _ in curves(runs):
        for d in sorted(risk.keys() - {n}):
            found.setdefault(f"d = n {'−' if d < n else '+'} {abs(d - n)}", []).append(risk[n] / risk[d])
    return {cell: gmean(quotients) for cell, quotients in found.items()}


def height(runs: xr.Dataset) -> float:
    """Risk at d = n over the higher of those at n/2 and 2n, the geometric mean over settings."""
    heights = []
    for n, risk, _ in curves(runs):
        beside = [min(risk, key=lambda d, size=size: abs(np.log(d / size))) for size in (n / 2, 2 * n)]
        need(beside[0] < n / 2 * NEAR and beside[1] * NEAR > 2 * n, "half and twice as many features as samples")
        heights.append(risk[n] / max(risk[d] for d in beside))
    return gmean(heights)


def growth_with_noise(runs: xr.Dataset) -> float:
    """Peak's height at the largest noise over that at the smallest (height: risk at d = n over that at n/2 and 2n)."""
    noise = runs["noise"].values
    need(noise.min() < noise.max(), "two levels of noise")
    small, large = (height(runs.isel(run=noise == level)) for level in (noise.min(), noise.max()))
    return large / small


def over_smaller_ridge(runs: xr.Dataset) -> dict[str, float]:
    """Risk at d = n with a ridge over that with the next smaller one, the geometric mean over settings."""
    found: dict[str, list[float]] = {}
    for _, alike in settings(runs, "ridge"):
        alike = alike.isel(run=np.argsort(alike["ridge"].values))
        risk = last(alike, "excess_risk")
        for ridge, quotient in zip(alike["ridge"].values[1:].tolist(), risk[1:] / risk[:-1]):
            found.setdefault(f"ridge {show(ridge)}", []).append(quotient)
    need(found, "two ridges up to the best one, with as many features as samples")
    return {cell: gmean(quotients) for cell, quotients in found.items()}


def second_over_first(runs: xr.Dataset) -> float:
    """Risk at the second minimum over that at the first, where theory has them, the geometric mean over settings."""
    quotients, no_feature = [], runs["signal"].values.min() ** 2  # the risk without any
    for n, risk, exact in curves(runs):
        sides = [[d for d in risk if d < n - VARIANCE], [d for d in risk if d > n + VARIANCE]]
        need(all(sides), "numbers of features well below and well above the samples")
        first, second = (min(side, key=exact.__getitem__) for side in sides)
        if exact[second] < min(exact[first], no_feature):
            quotients.append(risk[second] / risk[first])
    need(quotients, "a setting in which theory puts the second minimum below the first")
    return gmean(quotients)


def over_fewer_samples(runs: xr.Dataset) -> float:
    """Risk with n = d samples over that with the fewer samples theory has best, the geometric mean over settings."""
    quotients = []
    for d, risk, exact in curves(runs, "samples"):
        best = min((n for n in risk if n < d), key=exact.__getitem__)
        quotients.append(risk[d] / risk[best])
    return gmean(quotients)


def height_without(runs: xr.Dataset) -> dict[str, float]:
    """Risk at d = n over the higher of those at n/2 and 2n, one cause of the peak removed."""
    need(set(CAUSES) <= set(runs["ablation"].values.tolist()), "each of the three ablations")
    heights = {cause: height(runs.isel(run=(runs["ablation"] == cause).values)) for cause in CAUSES}
    return {f"without {words(cause)}": max(found, ROUNDING) for cause, found in heights.items()}


CLAIMS = (
    Claim(
        "The mean risk is the exact one, pooled over settings.",
        HASTIE["with ridge by the eigenvalues of real Wishart matrices"],
        over_exact,
        agrees(1, POOLED),
        about=away,
        figure="relative",
        presets=("", "samples", "threshold", "weak_features"),
    ),
    Claim(
        "The mean risk is the exact one below the threshold, above it, and at it with a ridge.",
        HASTIE["with ridge by the eigenvalues of real Wishart matrices"],
        over_exact_by_regime,
        agrees(1, EACH),
        about=away_or_regular,
        figure="relative",
        presets=("", "samples", "threshold", "weak_features"),
    ),
    Claim(
        "Without ridge the risk is highest where there are as many features as samples.",
        BELKIN,
        over_other_sizes,
        above(1),
        about=whole,
        scale="log",
        figure="risk",
        presets=("", "threshold", "weak_features", "ablation"),
    ),
    Claim(
        "Without ridge the risk has a peak where there are as many features as samples.",
        HASTIE["theorem 1"],
        height,
        above(PEAK),
        about=whole,
        scale="log",
        published="infinite",
        figure="risk",
        presets=("", "weak_features", "ablation"),
    ),
    Claim(
        "The peak grows with the noise.",
        HASTIE["theorem 1"],
        growth_with_noise,
        above(PEAK),
        about=whole,
        scale="log",
        figure="risk",
    ),
    Claim(
        "The peak falls with the ridge, up to the best one.",
        OPTIMAL,
        over_smaller_ridge,
        below(1),
        about=at_threshold,
        scale="log",
        figure="map",
        presets=("", "samples", "threshold"),
    ),
    Claim(
        "The second descent goes below the first minimum where theory says so.",
        WEAK,
        second_over_first,
        below(1),
        about=whole,
        scale="log",
        published="0.667 against 1.04 (prediction risk, noise 0.2)",
        figure="risk",
        presets=("weak_features",),
    ),
    Claim(
        "Just below the threshold more samples make the risk worse.",
        MORE_DATA,
        over_fewer_samples,
        above(1),
        about=whole,
        scale="log",
        figure="risk",
        presets=("samples",),
    ),
    Claim(
        "Without small singular values, residuals, or test inputs along small modes there is no peak.",
        SCHAEFFER,
        height_without,
        below(PEAK),
        about=removed,
        scale="log",
        published="no peak",
        figure="risk",
        presets=("ablation",),
    ),
)
