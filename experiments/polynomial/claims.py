"""The claims about polynomial regression, each decided on a sweep with its statistic over datasets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from experiments.polynomial.curve import decompose, exact, predictions
from phenom_jax.laws.bootstrap import Interval, bootstrap
from phenom_jax.report.tables import final_values
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import groups

SETTING = ("curve", "basis", "lowest_degree", "inputs", "samples", "noise", "ridge")
ERRORS = 4.0  # standard errors
LEAST_SEEDS = 10
NO_PEAK = "no setting has p = n and numbers of functions on both sides of it (preset legendre)"


def u_shape(results: xr.Dataset) -> Decision:
    """Compares the median test error at the best number of functions with those at the fewest and the most."""
    found: dict[str, tuple[Interval, Interval, float]] = {}
    for name, runs in _settings(results):
        runs = runs.isel(run=runs["functions"].values < runs["samples"].values)
        counts, medians = _medians(runs)
        if len(counts) >= 3 and runs["noise"].values[0] > 0:
            best = counts[medians.argmin()]
            over_fewest, over_most = (_ratio(runs, best, other) for other in (counts[0], counts[-1]))
            found[name] = over_fewest, over_most, float(best)
    if not found:
        return Decision("undecided", "no setting with noise has 3 numbers of functions below its number of samples")
    highs = [max(first.high, last.high) for first, last, _ in found.values()]
    lows = [max(first.low, last.low) for first, last, _ in found.values()]
    return Decision(
        "holds" if max(highs) < 1 else "fails" if max(lows) >= 1 else "undecided",
        "; ".join(
            f"{name}: lowest at {best:g} functions, {first} of that at the fewest, {last} of that at the most"
            for name, (first, last, best) in found.items()
        ),
        {f"best_{index}": best for index, (_, _, best) in enumerate(found.values())},
    )


def bias_falls_variance_grows(results: xr.Dataset) -> Decision:
    """Compares bias² at the best and the fewest functions, and variance at the most and the best."""
    found: dict[str, tuple[Interval, Interval]] = {}
    for name, runs in _settings(results):
        runs = runs.isel(run=runs["functions"].values < runs["samples"].values)
        counts, medians = _medians(runs)
        if len(counts) < 3 or not 0 < medians.argmin() < len(counts) - 1:
            continue
        fewest, best, most = (_at(runs, counts[index]) for index in (0, medians.argmin(), -1))
        kind, seeds = str(runs["curve"].values[0]), np.arange(min(map(len, (fewest, best, most))))
        found[name] = (
            bootstrap(
                lambda rows, a=best, b=fewest, k=kind: decompose(a[rows], k).bias2 / decompose(b[rows], k).bias2, seeds
            ),
            bootstrap(
                lambda rows, a=most, b=best, k=kind: np.log10(
                    decompose(a[rows], k).variance / decompose(b[rows], k).variance
                ),
                seeds,
            ),
        )
    if not found:
        return Decision("undecided", "no setting has its lowest median test error at an inner number of functions")
    holds = all(bias.high < 1 and growth.low > 0 for bias, growth in found.values())
    fails = any(bias.low > 1 or growth.high < 0 for bias, growth in found.values())
    return Decision(
        "holds" if holds else "fails" if fails else "undecided",
        "; ".join(
            f"{name}: bias² at the best is {bias} of that at the fewest functions, variance grows by 10^{growth} "
            "from the best to the most"
            for name, (bias, growth) in found.items()
        ),
        {f"growth_{index}": growth.estimate for index, (_, growth) in enumerate(found.values())},
    )


def sum_is_error(results: xr.Dataset) -> Decision:
    """Compares bias² + variance + noise² with the mean error on the test sets, cell by cell."""
    distances = []
    for _, runs in groups(_over(results), (*SETTING, "functions")):
        if runs.sizes["run"] >= LEAST_SEEDS:
            parts = decompose(predictions(runs), str(runs["curve"].values[0]))
            expected = parts.total + float(runs["noise"].values[0]) ** 2
            errors = final_values(runs)["test_error"].values
            # a run's error and its part of the sum share the dataset: the noise of their difference is the test set's
            noise = (errors - final_values(runs)["excess_risk"].values).std(ddof=1) / np.sqrt(len(errors))
            distances.append((errors.mean() - expected) / noise)
    if not distances:
        return Decision("undecided", f"no cell has {LEAST_SEEDS} datasets")
    return _within(distances, f"{np.sqrt(np.mean(np.square(distances))):.2g} in root mean square")


def agrees_with_exact(results: xr.Dataset) -> Decision:
    """Compares the mean excess risk with its exact value, for inputs on the grid."""
    distances, variances = [], []
    runs = _over(results)
    for _, cell in groups(runs.isel(run=(runs["inputs"] == "grid").values), (*SETTING, "functions")):
        risks = final_values(cell)["excess_risk"].values
        parts = exact(cell, int(cell["functions"].values[0]))
        if len(risks) >= LEAST_SEEDS and risks.std() > 1e-9 * risks.mean():
            distances.append((risks.mean() - parts.total) / (risks.std(ddof=1) / np.sqrt(len(risks))))
            variances.append(decompose(predictions(cell), str(cell["curve"].values[0])).variance / parts.variance)
    if not distances:
        return Decision("undecided", f"no cell with noise has {LEAST_SEEDS} datasets on the grid")
    return _within(distances, f"estimated over exact variance {min(variances):.3g} to {max(variances):.3g}")


def peak_at_interpolation(results: xr.Dataset) -> Decision:
    """Finds the number of functions with the largest median excess risk."""
    found = {
        name: bootstrap(lambda rows, runs=runs: _highest(runs, rows), runs["seed"].values)
        for name, runs in _beyond(results)
    }
    if not found:
        return Decision(
            "undecided", "no setting has p = n and numbers of functions on both sides of it (preset legendre)"
        )
    inside = [interval.low == interval.high == 1 for interval in found.values()]
    outside = [interval.low > 1 or interval.high < 1 for interval in found.values()]
    return Decision(
        "holds" if all(inside) else "fails" if any(outside) else "undecided",
        "p/n at the peak: " + "; ".join(f"{name} {interval}" for name, interval in found.items()),
        {f"peak_{index}": interval.estimate for index, interval in enumerate(found.values())},
    )


def second_descent(results: xr.Dataset) -> Decision:
    """Compares the lowest median excess risk beyond p = n with the lowest before."""
    found: dict[str, Interval] = {}
    for name, runs in _beyond(results):
        few, many = (runs.isel(run=chosen) for chosen in (_count(runs) < 0, _count(runs) > 0))
        seeds = np.unique(runs["seed"].values)
        found[name] = bootstrap(
            lambda rows, few=few, many=many, seeds=seeds: _lowest(many, seeds[rows]) / _lowest(few, seeds[rows]), seeds
        )
    if not found:
        return Decision(
            "undecided", "no setting has p = n and numbers of functions on both sides of it (preset legendre)"
        )
    verdict: Verdict = (
        "holds"
        if all(interval.high < 1 for interval in found.values())
        else "fails"
        if any(interval.low > 1 for interval in found.values())
        else "undecided"
    )
    return Decision(
        verdict,
        "lowest median beyond p = n over lowest before: "
        + "; ".join(f"{name} {interval}" for name, interval in found.items()),
        {f"ratio_{index}": interval.estimate for index, interval in enumerate(found.values())},
    )


def _within(distances: list[float], more: str) -> Decision:
    """Returns whether all cells lie within 4 standard errors; `more` is added to the statistic."""
    within, worst = np.abs(distances) <= ERRORS, np.abs(distances).max()
    return Decision(
        "holds" if within.all() else "fails",
        f"{within.sum()} of {len(within)} cells within 4 standard errors, the largest distance is {worst:.2g}; {more}",
        {"within": within.sum(), "cells": len(within), "worst": worst},
    )


def _over(results: xr.Dataset) -> xr.Dataset:
    return results.isel(run=results["status"].isin(["finished", "done"]).values)


def _settings(results: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the runs that agree in all but functions and seed, where there are enough seeds."""
    for name, runs in groups(_over(results), SETTING):
        if len(np.unique(runs["seed"].values)) >= LEAST_SEEDS:
            yield name, runs


def _beyond(results: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the settings with numbers of functions below, at and above the number of samples."""
    for name, runs in _settings(results):
        if set(_count(runs)) == {-1, 0, 1}:
            yield name, final_values(runs)


def _count(runs: xr.Dataset) -> np.ndarray:
    """Returns whether a run has fewer functions than samples (-1), as many (0) or more (1)."""
    return np.sign(runs["functions"].values - runs["samples"].values)


def _medians(runs: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of functions and the median test error at each."""
    errors, functions = final_values(runs)["test_error"].values, runs["functions"].values
    counts = np.unique(functions)
    return counts, np.array([np.median(errors[functions == count]) for count in counts])


def _ratio(runs: xr.Dataset, best: int, other: int) -> Interval:
    """Returns the ratio of two median test errors, with its interval over seeds."""
    errors, functions = final_values(runs)["test_error"].values, runs["functions"].values
    return bootstrap(
        lambda rows: (
            np.median(errors[rows][functions[rows] == best]) / np.median(errors[rows][functions[rows] == other])
        ),
        runs["seed"].values,
    )


def _at(runs: xr.Dataset, functions: int) -> np.ndarray:
    """Returns float[S, Q], predictions at one number of functions in the order of the seeds."""
    return predictions(runs.isel(run=(runs["functions"] == functions).values).sortby("seed"))


def _highest(runs: xr.Dataset, rows: np.ndarray) -> float:
    functions, risks = runs["functions"].values[rows], runs["excess_risk"].values[rows]
    counts = np.unique(functions)
    medians = [np.median(risks[functions == count]) for count in counts]
    return float(counts[int(np.argmax(medians))] / runs["samples"].values[0])


def _lowest(runs: xr.Dataset, seeds: np.ndarray) -> float:
    """Returns the lowest median excess risk of any number of functions, over seeds that may repeat."""
    ordered = runs.sortby(["functions", "seed"])
    counts, each = np.unique(ordered["functions"].values, return_counts=True)
    if each.min() < each.max():
        return np.nan
    places = np.searchsorted(ordered["seed"].values[: each[0]], seeds)
    return float(np.median(ordered["excess_risk"].values.reshape(len(counts), -1)[:, places], axis=1).min())


CLAIMS = (
    Claim(
        "u_shape",
        "The test error first falls and then grows with the number of functions.",
        "Geman, Bienenstock, Doursat 1992; the course's table",
        u_shape,
        rule="Medians over datasets, fewer functions than samples. Holds if the lowest test error is below those at "
        "the fewest and at the most functions with its whole 95 % bootstrap interval over seeds, in every setting with "
        "noise.",
    ),
    Claim(
        "bias_falls_variance_grows",
        "With more functions bias² falls and variance grows.",
        "Geman, Bienenstock, Doursat 1992",
        bias_falls_variance_grows,
        rule="Holds if bias² at the number of functions with the lowest median test error is below that at the fewest, "
        "and the variance at the most functions above that at the lowest, both with their whole 95 % bootstrap "
        "intervals over datasets.",
    ),
    Claim(
        "sum_is_error",
        "Bias² + variance + noise variance is the mean test error.",
        "Geman, Bienenstock, Doursat 1992",
        sum_is_error,
        rule="Bias² and variance are estimated from the predictions at fixed inputs, the test error on 1000 fresh "
        "noisy samples of every run. Holds if they agree within 4 standard errors of their difference in every cell.",
    ),
    Claim(
        "agrees_with_exact",
        "On fixed inputs the mean excess risk is the exact bias² + variance of a linear estimate.",
        "Hastie, Tibshirani, Friedman 2009, section 7.3",
        agrees_with_exact,
        rule="Holds if the mean over datasets lies within 4 standard errors of it in every cell on the grid.",
    ),
    Claim(
        "peak_at_interpolation",
        "Of least-norm fits, the one with as many functions as samples is worst.",
        "Schaeffer et al. 2023, figure 1",
        peak_at_interpolation,
        rule="Medians over datasets. Holds if the whole 95 % bootstrap interval of p/n at the largest median is 1.",
    ),
    Claim(
        "second_descent",
        "Beyond as many functions as samples the error falls below its classical minimum.",
        "Schaeffer et al. 2023, figure 1; Belkin et al. 2019",
        second_descent,
        rule="The ratio of the lowest median excess risks beyond and before p = n. Holds if its whole 95 % bootstrap "
        "interval over seeds is below 1; fails if above.",
    ),
)
