"""The claims about random features, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from experiments.random_features.limit import limit
from phenom_jax.laws.bootstrap import Interval, bootstrap
from phenom_jax.laws.rank import rank_correlation
from phenom_jax.report.tables import final_values
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import groups, show

SETTING = ("activation", "frequency", "samples", "dimension", "noise", "ridge")
NEAR = 0.1  # N within this share of n counts as N = n
AWAY = np.log(1.25) - 1e-9  # log distance of N/n from 1 from which the variance over seeds is small
FINITE_SIZE = 5.0  # over d: the share of the limit that finite sizes may add
ERRORS = 4.0  # standard errors


def peak_at_threshold(results: xr.Dataset) -> Decision:
    """Finds the number of features with the largest median excess risk at the smallest ridge."""
    runs = _over(results, "sphere")
    found: dict[str, Interval] = {}
    for name, setting in _settings(_smallest_ridge(runs)):
        counts, n = np.unique(setting["features"].values), int(setting["samples"].values[0])
        inside = np.any(np.abs(counts / n - 1) <= NEAR) and counts[0] < n * (1 - NEAR) and counts[-1] > n * (1 + NEAR)
        if inside:
            risks, features = setting["excess_risk"].values, setting["features"].values
            found[name] = bootstrap(
                lambda rows, r=risks, f=features, n=n: _highest(r[rows], f[rows]) / n, setting["seed"].values
            )
    if not found:
        return Decision("undecided", "no setting has numbers of features below, at and above its number of samples")
    inside = [low >= 1 - NEAR and high <= 1 + NEAR for _, low, high in found.values()]
    outside = [high < 1 - NEAR or low > 1 + NEAR for _, low, high in found.values()]
    verdict: Verdict = "holds" if all(inside) else "fails" if any(outside) else "undecided"
    return Decision(
        verdict,
        "N/n at the peak: " + "; ".join(f"{name} {interval}" for name, interval in found.items()),
        {f"peak_{index}": interval.estimate for index, interval in enumerate(found.values())},
    )


def ridge_flattens(results: xr.Dataset) -> Decision:
    """Correlates the ridge with the excess risk at N = n, where the peak is."""
    runs = _over(results, "sphere")
    runs = runs.isel(run=np.abs(runs["features"].values / runs["samples"].values - 1) <= NEAR)
    ridges = np.unique(runs["ridge"].values)
    if len(ridges) < 2 or len(np.unique(runs["seed"].values)) < 3:
        return Decision("undecided", f"{len(ridges)} ridges at N = n, at least 2 are needed, and 3 seeds")
    strata = _codes(runs, [name for name in (*SETTING, "features") if name != "ridge"])
    found = rank_correlation(runs["ridge"].values, runs["excess_risk"].values, runs["seed"].values, strata)
    highest = {ridge: _tops(runs.isel(run=(runs["ridge"] == ridge).values)) for ridge in (ridges[0], ridges[-1])}
    return Decision(
        "holds" if found.high < 0 else "fails" if found.low > 0 else "undecided",
        f"rank correlation of ridge and excess risk within 10 % of N = n: {found} over {runs.sizes['run']} runs; the "
        f"largest median is {highest[ridges[0]]:.3g} at ridge {show(float(ridges[0]))} and {highest[ridges[-1]]:.3g} "
        f"at ridge {show(float(ridges[-1]))}",
        {"correlation": found.estimate, "low": found.low, "high": found.high},
    )


def agrees_with_limit(results: xr.Dataset) -> Decision:
    """Counts the cells away from N = n whose mean lies within 4 standard errors and 5/d of the limit."""
    runs = _over(results, "sphere")
    runs = runs.isel(run=np.abs(np.log(runs["features"].values / runs["samples"].values)) >= AWAY)
    gaps, errors, allowed = [], [], []
    for _, cell in groups(runs, (*SETTING, "features")):
        if cell.sizes["run"] >= 3:
            values, exact = cell["excess_risk"].values, float(limit(cell)[0])
            error = values.std(ddof=1) / np.sqrt(len(values))
            gaps.append((values.mean() - exact) / exact)
            errors.append(error / exact)
            allowed.append(ERRORS * error / exact + FINITE_SIZE / float(cell["dimension"].values[0]))
    if not gaps:
        return Decision("undecided", "no cell away from N = n has 3 runs that are over")
    gap, error = np.array(gaps), np.array(errors)
    inside, strict = np.abs(gap) <= allowed, np.abs(gap) <= ERRORS * error
    return Decision(
        "holds" if inside.all() else "fails",
        f"{inside.sum()} of {len(gap)} cells agree, {strict.sum()} without the allowance for finite sizes; the largest "
        f"gap is {100 * np.abs(gap).max():.2g} % of the limit, the mean gap {100 * gap.mean():+.2g} %",
        {"agree": inside.sum(), "strictly": strict.sum(), "cells": len(gap), "largest": np.abs(gap).max()},
    )


def approaches_limit(results: xr.Dataset) -> Decision:
    """Extrapolates the mean excess risk at fixed N/d and n/d to infinite d and compares it with the limit."""
    runs = _over(results, "sphere")
    ratio = runs["features"].values / runs["samples"].values
    runs = runs.assign_coords(
        feature_ratio=("run", ratio), sample_ratio=("run", runs["samples"].values / runs["dimension"].values)
    )
    runs = runs.isel(run=np.abs(np.log(ratio)) >= AWAY)
    distances = []
    for _, family in groups(runs, ("activation", "frequency", "noise", "ridge", "feature_ratio", "sample_ratio")):
        sizes, seeds = np.unique(family["dimension"].values), np.unique(family["seed"].values)
        if len(sizes) >= 3 and len(seeds) >= 3 and family.sizes["run"] == len(sizes) * len(seeds):
            order = np.lexsort((family["seed"].values, family["dimension"].values))
            values_DxS = family["excess_risk"].values[order].reshape(len(sizes), len(seeds))
            intercept_S = _intercept(sizes, values_DxS)
            error = intercept_S.std(ddof=1) / np.sqrt(len(seeds))
            distances.append((intercept_S.mean() - float(limit(family)[0])) / error)
    if not distances:
        return Decision("undecided", "no N/d and n/d was run at 3 dimensions with the same seeds (preset finite_size)")
    worst = np.abs(distances).max()
    return Decision(
        "holds" if worst <= ERRORS else "fails",
        f"at infinite d {len(distances)} families lie {worst:.2g} standard errors or less from the limit, "
        f"{np.sqrt(np.mean(np.square(distances))):.2g} in root mean square",
        {"worst": worst, "families": len(distances)},
    )


def second_descent(results: xr.Dataset) -> Decision:
    """Compares the lowest median beyond N = n with the lowest before it, where the limit says that it is lower."""
    runs = _over(results, "sphere")
    expected, found = {}, {}
    for name, setting in _settings(_smallest_ridge(runs)):
        features, n = setting["features"].values, float(setting["samples"].values[0])
        counts = np.unique(features)
        exact = limit(setting, counts)
        if min(np.sum(counts < n), np.sum(counts > n)) < 2:
            continue
        expected[name] = exact[counts > n].min() / exact[counts < n].min()
        risks = setting["excess_risk"].values
        found[name] = bootstrap(
            lambda rows, r=risks, f=features, n=n: (
                _lowest(r[rows], f[rows], f[rows] > n) / _lowest(r[rows], f[rows], f[rows] < n)
            ),
            setting["seed"].values,
        )
    told = [name for name in found if expected[name] < 1]
    if not told:
        return Decision(
            "undecided", "no setting with two numbers of features on both sides of n has a lower limit beyond"
        )
    verdict: Verdict = (
        "holds"
        if all(found[name].high < 1 for name in told)
        else "fails"
        if any(found[name].low > 1 for name in told)
        else "undecided"
    )
    return Decision(
        verdict,
        "lowest beyond N = n over lowest before: "
        + "; ".join(f"{name} {found[name]}, in the limit {expected[name]:.3g}" for name in told),
        {f"ratio_{index}": found[name].estimate for index, name in enumerate(told)},
    )


def one_dimension(results: xr.Dataset) -> Decision:
    """Compares the test error of the 1-D setting at the most features with that at N = n."""
    runs = _over(results, "line")
    found: dict[str, Interval] = {}
    for name, setting in _settings(runs):
        counts, n = np.unique(setting["features"].values), float(setting["samples"].values[0])
        at = counts[np.abs(np.log(counts / n)).argmin()]
        if counts[-1] < 5 * n or abs(at / n - 1) > NEAR:
            continue
        features, errors = setting["features"].values, setting["test_error"].values
        found[name] = bootstrap(
            lambda rows, e=errors, f=features, most=counts[-1], at=at: (
                np.median(e[rows][f[rows] == most]) / np.median(e[rows][f[rows] == at])
            ),
            setting["seed"].values,
        )
    if not found:
        return Decision("undecided", "no runs on the line with N = n and 5 n or more features (preset course)")
    verdict: Verdict = (
        "holds"
        if all(interval.high < 1 for interval in found.values())
        else "fails"
        if all(interval.low > 1 for interval in found.values())
        else "undecided"
    )
    return Decision(
        verdict,
        "median test error at the most features over that at N = n: "
        + "; ".join(f"{name} {interval}" for name, interval in found.items()),
        {f"ratio_{index}": interval.estimate for index, interval in enumerate(found.values())},
    )


def _over(results: xr.Dataset, inputs: str) -> xr.Dataset:
    """Returns the finished runs on the sphere or on the line with what they measured last."""
    chosen = (results["inputs"] == inputs) & results["status"].isin(["finished", "done"])
    return final_values(results).isel(run=chosen.values)


def _smallest_ridge(runs: xr.Dataset) -> xr.Dataset:
    return runs.isel(run=(runs["ridge"] == runs["ridge"].min()).values) if runs.sizes["run"] else runs


def _settings(runs: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the runs that agree in all but features and seed, where there are 3 seeds, named by what varies."""
    for name, setting in groups(runs, SETTING):
        if len(np.unique(setting["seed"].values)) >= 3:
            yield name, setting


def _codes(runs: xr.Dataset, names: Sequence[str]) -> np.ndarray:
    """Returns int[run]: runs that agree in `names` have the same number."""
    ranks = np.stack([np.unique(runs[name].values, return_inverse=True)[1] for name in names])
    return np.unique(ranks, axis=1, return_inverse=True)[1].reshape(-1)


def _medians(risks: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.unique(features)
    return counts, np.array([np.median(risks[features == count]) for count in counts])


def _highest(risks: np.ndarray, features: np.ndarray) -> float:
    """Returns the number of features with the largest median."""
    counts, medians = _medians(risks, features)
    return float(counts[medians.argmax()])


def _lowest(risks: np.ndarray, features: np.ndarray, among: np.ndarray) -> float:
    return float(_medians(risks[among], features[among])[1].min())


def _tops(runs: xr.Dataset) -> float:
    """Returns the largest median over seeds of any cell."""
    return max(float(cell["excess_risk"].median()) for _, cell in groups(runs, (*SETTING, "features")))


def _intercept(sizes_D: np.ndarray, values_DxS: np.ndarray) -> np.ndarray:
    """Returns float[S], the line in 1/d through each seed's values at 1/d = 0, weighted by the spread over seeds."""
    design_Dx2 = np.stack([np.ones(len(sizes_D)), 1 / sizes_D], 1) / values_DxS.std(1, ddof=1)[:, None]
    return np.linalg.lstsq(design_Dx2, values_DxS / values_DxS.std(1, ddof=1)[:, None])[0][0]


CLAIMS = (
    Claim(
        "peak_at_threshold",
        "With little or no ridge the test error peaks where there are as many features as samples.",
        "Belkin et al. 2019, figure 2; Mei, Montanari 2022, figure 1",
        peak_at_threshold,
        rule="The N with the largest median over seeds, at the smallest ridge of the sweep. Holds if in every setting "
        "the 95 % bootstrap interval of N/n over seeds lies between 0.9 and 1.1; fails if one lies outside.",
    ),
    Claim(
        "ridge_flattens",
        "A ridge flattens the peak.",
        "Mei, Montanari 2022, figure 4; Nakkiran et al. 2021 (optimal regularization)",
        ridge_flattens,
        rule="Holds if the rank correlation of ridge and excess risk within 10 % of N = n, inside otherwise equal "
        "settings, is below 0 with its whole 95 % bootstrap interval over seeds; fails if above.",
    ),
    Claim(
        "agrees_with_limit",
        "Away from the peak the mean excess risk is the asymptotic one.",
        "Mei, Montanari 2022, theorem 2",
        agrees_with_limit,
        rule="Holds if in every cell with N/n at most 0.8 or at least 1.25 the mean over seeds lies within 4 standard "
        "errors and 5/d of the limit: the limit leaves out terms of order 1/d (preset finite_size measures them).",
    ),
    Claim(
        "approaches_limit",
        "What finite sizes add to the limit vanishes as 1/d.",
        "Mei, Montanari 2022, theorem 2, a limit at fixed N/d and n/d",
        approaches_limit,
        rule="Away from the peak, a line in 1/d through the excess risks of every seed at 3 dimensions or more. Holds "
        "if its mean value at 1/d = 0 lies within 4 standard errors of the limit in every family; fails otherwise.",
    ),
    Claim(
        "second_descent",
        "Beyond the threshold the test error falls below its lowest value before it, where the limit says so.",
        "Belkin et al. 2019; Mei, Montanari 2022, figure 1",
        second_descent,
        rule="The ratio of the lowest medians over seeds beyond and before N = n, at the smallest ridge. Holds if its "
        "95 % bootstrap interval over seeds lies below 1 in every setting whose limit is below 1; fails if one lies "
        "above.",
    ),
    Claim(
        "one_dimension",
        "In the 1-D setting (100 samples of sin 3x, Fourier features, ridge 1e-8) the test error falls again beyond "
        "N = n.",
        "As printed in the course",
        one_dimension,
        rule="The ratio of the median test errors at the most features (5 n or more) and at N = n. Holds if its 95 % "
        "bootstrap interval over seeds lies below 1 at every frequency; fails if above 1 at every one.",
    ),
)
