"""The claims about double descent in linear regression, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from experiments.linear_double_descent.exact import expected
from phenom_jax.laws.bootstrap import Interval, bootstrap
from phenom_jax.laws.rank import rank_correlation
from phenom_jax.report.tables import final_values
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import cell_axes, cell_codes, show, words

ERRORS = 4.0  # standard errors
STEADY = (
    7  # ridgeless risks have a finite fourth moment, and so a standard error that can be trusted, for |d - n| above
)
VARIANCE = 3  # and a finite variance for |d - n| above
FEWEST = 10  # seeds
PEAK = 2.0  # how many times the risk on both sides a peak is


class Curve(NamedTuple):
    """Runs that are alike but for one size and their seed.

    Attributes:
      runs: one of each value of the size.
      values: of the size, ascending.
      risk: float[seed, value].
    """

    runs: xr.Dataset
    values: np.ndarray
    risk: np.ndarray

    def only(self, name: str) -> float:
        return float(self.runs[name].values[0])

    def exact(self, x: str) -> np.ndarray:
        return expected(self.runs, x, self.values).excess_risk

    def nearest(self, value: float) -> int:
        """Returns the index of the nearest size."""
        return int(np.abs(self.values - value).argmin())

    @property
    def name(self) -> str:
        return f"noise {show(self.only('noise'))}, ridge {show(self.only('ridge'))}"


def agrees(results: xr.Dataset) -> Decision:
    """Compares the mean risk of every cell with its exact mean, in standard errors of the cell."""
    runs = _over(results, ablation="none")
    misses, loose = [], []
    few = 0
    for cell in _cells(runs):
        risk = cell["excess_risk"].values
        n, d, ridge = (cell[name].values[0] for name in ("samples", "dimension", "ridge"))
        gap = np.inf if ridge > 0 else abs(int(d) - int(n))
        if len(risk) < FEWEST:
            few += 1
        elif gap > VARIANCE:
            exact = float(expected(cell, "dimension", np.array([d])).excess_risk[0])
            (misses if gap > STEADY else loose).append(_standard_errors(risk, exact))
    if not misses:
        return Decision("undecided", f"no cell away from the threshold has at least {FEWEST} seeds ({few} have fewer)")
    worst, outside = float(np.abs(misses).max()), int((np.abs(misses) > ERRORS).sum())
    near = f"; of {len(loose)} at |d - n| of 4 to {STEADY}, {int((np.abs(loose) > ERRORS).sum())}" if loose else ""
    return Decision(
        "fails" if outside else "holds",
        f"{outside} of {len(misses)} cells away from the threshold are more than {ERRORS:g} standard errors off, the "
        f"worst {worst:.2f}, root mean square {np.sqrt(np.mean(np.square(misses))):.2f}{near}",
        {"cells": len(misses), "outside": outside, "worst": worst, "near": len(loose)},
    )


def peak_at_threshold(results: xr.Dataset) -> Decision:
    """Finds the dimension with the highest median risk, with its bootstrap interval over seeds."""
    curves = [curve for curve in _noisy(results, "dimension") if _inside(curve, curve.only("samples"))]
    if not curves:
        return Decision("undecided", "no ridgeless runs with noise have dimensions below, at and above the samples")
    verdicts: list[Verdict] = []
    said = []
    for curve in curves:
        place = curve.values[curve.nearest(curve.only("samples"))]
        found = _bootstrap(curve, lambda risk, curve=curve: curve.values[np.median(risk, 0).argmax()])
        hit = found.low == found.high == place
        verdicts.append("holds" if hit else "fails" if not found.low <= place <= found.high else "undecided")
        said.append(f"{found.estimate:g} [{found.low:g}, {found.high:g}] ({curve.name})")
    return Decision(_all(verdicts), f"highest at d = {'; '.join(said)}", {"curves": len(curves)})


def noise_raises(results: xr.Dataset) -> Decision:
    """Correlates the ranks of noise and risk at the threshold inside settings that are otherwise equal."""
    return _ordered(results, "noise", 1, "noise level")


def ridge_lowers(results: xr.Dataset) -> Decision:
    """Correlates the ranks of ridge and risk at the threshold inside settings that are otherwise equal."""
    return _ordered(results, "ridge", -1, "ridge")


def second_descent(results: xr.Dataset) -> Decision:
    """Compares the mean risks at the two minima that theory names, one below and one above the threshold."""
    curves = _curves(results, "dimension", ridgeless=True)
    pairs = [(curve, pair) for curve in curves if (pair := _minima(curve)) is not None]
    below = [(curve, pair) for curve, pair in pairs if curve.exact("dimension")[pair[1]] < _first(curve, pair[0])]
    if not below:
        return Decision("undecided", f"theory puts the second minimum below the first in none of {len(pairs)} curves")
    found = [_log_ratio(curve, pair[1], pair[0], np.mean) for curve, pair in below]
    said = [
        f"{_factor(ratio)} at d = {curve.values[pair[1]]} against {curve.values[pair[0]]} ({curve.name})"
        for (curve, pair), ratio in zip(below, found)
    ]
    return Decision(
        _all([_sign(ratio, -1) for ratio in found]),
        f"the second minimum is {'; '.join(said)} times the first; "
        f"theory says it is below in {len(below)} of {len(pairs)} curves",
        {"curves": len(below), "ratio": float(np.exp(found[0].estimate))},
    )


def more_data_hurts(results: xr.Dataset) -> Decision:
    """Compares the median risk with as many samples as features to that with the best smaller number."""
    curves = [curve for curve in _noisy(results, "samples") if _inside(curve, curve.only("dimension"))]
    if not curves:
        return Decision("undecided", "no ridgeless runs with noise have sample counts below, at and above the features")
    found, said = [], []
    for curve in curves:
        worst = curve.nearest(curve.only("dimension"))
        best = int(curve.exact("samples")[:worst].argmin())
        found.append(_log_ratio(curve, worst, best, np.median))
        said.append(f"{_factor(found[-1])} from n = {curve.values[best]} to {curve.values[worst]} ({curve.name})")
    return Decision(
        _all([_sign(ratio, 1) for ratio in found]),
        f"the median risk grows by a factor of {'; '.join(said)}",
        {"curves": len(curves), "ratio": float(np.exp(found[0].estimate))},
    )


def ablations(results: xr.Dataset) -> Decision:
    """Compares the median risk at the threshold with the higher of those at half and at twice as many features."""
    removed = [name for name in np.unique(results["ablation"].values).tolist() if name != "none"]
    missing = sorted({"small_modes", "residuals", "test_directions", "none"} - {*removed, "none"})
    whole = _peaks(results, "none")
    if not whole or missing:
        lacking = "none" if not whole else ", ".join(missing)
        return Decision(
            "undecided", f"no ridgeless runs with noise on both sides of the threshold of ablation={lacking}"
        )
    verdicts: list[Verdict] = []
    verdicts.extend(_side(peak, 1) for peak in whole)
    said = [f"whole {_factors(whole)}"]
    for name in removed:
        peaks = _peaks(results, name)
        verdicts.extend(_side(peak, -1) for peak in peaks)
        said.append(f"without {words(name)} {_factors(peaks)}")
    return Decision(
        _all(verdicts),
        f"the peak is so many times the risk beside it: {', '.join(said)}",
        {"whole": float(np.exp(whole[0].estimate))},
    )


def _over(results: xr.Dataset, **fixed: str) -> xr.Dataset:
    """Returns what the runs that are over ended with, of these settings."""
    chosen = np.isin(results["status"].values, ("finished", "done"))
    for name, value in fixed.items():
        chosen &= results[name].values == value
    return final_values(results).isel(run=chosen)


def _cells(runs: xr.Dataset) -> Iterator[xr.Dataset]:
    """Yields the runs that differ in their seed alone."""
    codes = cell_codes(runs) if runs.sizes["run"] else np.zeros(0, int)
    order = np.argsort(codes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else ():
        yield runs.isel(run=rows)


def _curves(results: xr.Dataset, x: str, ridgeless: bool, ablation: str = "none") -> list[Curve]:
    """Returns the curves over a size of which every seed has all values."""
    runs = _over(results, ablation=ablation)
    if ridgeless:
        runs = runs.isel(run=(runs["ridge"] == 0).values)
    if not runs.sizes["run"]:
        return []
    axes = [runs[axis].values for axis in cell_axes(runs) if axis != x]
    codes = [np.unique(values, return_inverse=True)[1] for values in axes]
    together = np.unique(np.stack([np.zeros(runs.sizes["run"], int), *codes]), axis=1, return_inverse=True)[1]
    found = []
    for code in np.unique(together):
        alike = runs.isel(run=together.reshape(-1) == code)
        values, columns = np.unique(alike[x].values, return_inverse=True)
        seeds, rows = np.unique(alike["seed"].values, return_inverse=True)
        risk = np.full((len(seeds), len(values)), np.nan)
        risk[rows, columns] = alike["excess_risk"].values
        risk = risk[~np.isnan(risk).any(1)]
        if len(risk) >= FEWEST and len(values) > 2:
            found.append(Curve(alike.isel(run=np.unique(columns, return_index=True)[1]), values, risk))
    return found


def _noisy(results: xr.Dataset, x: str, ablation: str = "none") -> list[Curve]:
    return [curve for curve in _curves(results, x, ridgeless=True, ablation=ablation) if curve.only("noise") > 0]


def _inside(curve: Curve, threshold: float) -> bool:
    return 0 < curve.nearest(threshold) < len(curve.values) - 1


def _ordered(results: xr.Dataset, name: str, sign: int, said: str) -> Decision:
    runs = _over(results, ablation="none")
    runs = runs.isel(run=(runs["noise"].values > 0) & (runs["dimension"].values == runs["samples"].values))
    values = np.unique(runs[name].values)
    if len(values) < 2 or len(np.unique(runs["seed"].values)) < FEWEST:
        return Decision(
            "undecided", f"with as many features as samples, fewer than 2 values of {said} or {FEWEST} seeds"
        )
    axes = [np.unique(runs[axis].values, return_inverse=True)[1] for axis in cell_axes(runs) if axis != name]
    strata = np.unique(np.stack([np.zeros(runs.sizes["run"], int), *axes]), axis=1, return_inverse=True)[1].reshape(-1)
    found = rank_correlation(runs[name].values, runs["excess_risk"].values, runs["seed"].values, strata)
    medians = [np.median(runs["excess_risk"].values[runs[name].values == value]) for value in values]
    heights = ", ".join(f"{median:.3g} at {value:g}" for value, median in zip(values, medians))
    return Decision(
        _sign(found, sign),
        f"Spearman's ρ = {found} over {runs.sizes['run']} runs with d = n; medians {heights}",
        {"rho": found.estimate, "low": found.low, "high": found.high, "runs": runs.sizes["run"]},
    )


def _minima(curve: Curve) -> tuple[int, int] | None:
    """Returns where theory has the least risk below the threshold and above it, away from it."""
    exact, gap = curve.exact("dimension"), curve.values - curve.only("samples")
    first, second = np.flatnonzero(gap < -VARIANCE), np.flatnonzero(gap > VARIANCE)
    return (
        (int(first[exact[first].argmin()]), int(second[exact[second].argmin()])) if len(first) * len(second) else None
    )


def _first(curve: Curve, first: int) -> float:
    """Returns the lower of the exact risk at the first minimum and that of no feature at all."""
    return min(float(curve.exact("dimension")[first]), curve.only("signal") ** 2)


def _peaks(results: xr.Dataset, ablation: str) -> list[Interval]:
    """Returns the log ratio of the risk at the threshold to the higher of those at half and twice as many features."""
    found = []
    for curve in _noisy(results, "dimension", ablation):
        n = curve.only("samples")
        at, sides = curve.nearest(n), [curve.nearest(n / 2), curve.nearest(2 * n)]
        if sides[0] < at < sides[1]:
            found.append(
                _bootstrap(
                    curve,
                    lambda risk, at=at, sides=sides: np.log(
                        np.median(risk[:, at]) / np.median(risk[:, sides], axis=0).max()
                    ),
                )
            )
    return found


def _bootstrap(curve: Curve, statistic) -> Interval:
    return bootstrap(lambda rows: float(statistic(curve.risk[rows])), np.arange(len(curve.risk)))


def _log_ratio(curve: Curve, numerator: int, denominator: int, centre) -> Interval:
    return _bootstrap(curve, lambda risk: np.log(centre(risk[:, numerator]) / centre(risk[:, denominator])))


def _standard_errors(values: np.ndarray, exact: float) -> float:
    """Returns how many standard errors the mean is off, those of few values widened to a normal law's by Student's."""
    miss, error = values.mean() - exact, values.std(ddof=1) / np.sqrt(len(values))
    if abs(miss) < 1e-9 * max(exact, 1e-9) or (error == 0 and miss == 0):
        return 0.0
    tail = stats.t.logsf(abs(miss) / error, len(values) - 1)
    return float(np.sign(miss) * -stats.norm.ppf(np.exp(tail)))


def _factor(log_ratio: Interval) -> str:
    return str(Interval(*np.exp(log_ratio)))


def _factors(peaks: list[Interval]) -> str:
    return ", ".join(map(_factor, peaks)) or "not run"


def _sign(found: Interval, sign: int) -> Verdict:
    """Returns whether the whole interval has this sign, the other, or neither."""
    low, high = sorted((sign * found.low, sign * found.high))
    return "holds" if low > 0 else "fails" if high < 0 else "undecided"


def _side(peak: Interval, sign: int) -> Verdict:
    """Returns whether a log ratio's whole interval is above (sign 1) or below (-1) that of a peak."""
    limit = float(np.log(PEAK))
    return _sign(Interval(peak.estimate - limit, peak.low - limit, peak.high - limit), sign)


def _all(verdicts: list[Verdict]) -> Verdict:
    return "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds"


CLAIMS = (
    Claim(
        "agrees",
        "The mean risk is the exact one.",
        "Hastie et al. 2022; Belkin, Hsu, Xu 2020; with ridge by the eigenvalue density of real Wishart matrices",
        agrees,
        rule=f"Holds if the mean over seeds of every cell is within {ERRORS:g} of its standard errors (Student's for "
        f"few seeds) of the exact mean, in all cells with a ridge and those without where |d - n| > {STEADY}, so that "
        f"four moments of the risk exist; cells down to |d - n| = {VARIANCE + 1} are counted and decide nothing.",
    ),
    Claim(
        "peak_at_threshold",
        "Without ridge the risk peaks where there are as many features as samples.",
        "Belkin et al. 2019; Hastie et al. 2022",
        peak_at_threshold,
        rule="Holds if on every curve the median risk is highest at the measured dimension nearest n, and so in the "
        "whole 95 % bootstrap interval over seeds; fails if the interval of one curve leaves it out.",
    ),
    Claim(
        "noise_raises",
        "The peak grows with the noise.",
        "Hastie et al. 2022, theorem 1",
        noise_raises,
        rule="Holds if the rank correlation between noise and risk at d = n, inside otherwise equal settings, is above "
        "0 with its whole 95 % bootstrap interval over seeds; fails if below.",
    ),
    Claim(
        "ridge_lowers",
        "The peak falls with the ridge.",
        "Hastie et al. 2022, section 6; Nakkiran et al. 2021",
        ridge_lowers,
        rule="Holds if the rank correlation between ridge and risk at d = n, inside otherwise equal settings, is below "
        "0 with its whole 95 % bootstrap interval over seeds; fails if above.",
    ),
    Claim(
        "second_descent",
        "The second descent goes below the first minimum where theory says so.",
        "Belkin, Hsu, Xu 2020",
        second_descent,
        rule="On every ridgeless curve whose exact risk has, among the measured dimensions with |d - n| > 3, a lower "
        "minimum above n than both below n and with no feature at all: holds if the ratio of the mean risks at these "
        "two minima is below 1 with its whole 95 % bootstrap interval over seeds, on every such curve.",
    ),
    Claim(
        "more_data_hurts",
        "Just below the threshold more samples make the risk worse.",
        "Nakkiran 2019",
        more_data_hurts,
        rule="Holds if on every ridgeless curve the median risk at the sample count nearest d is above that at the "
        "smaller count of least exact risk, with the whole 95 % bootstrap interval of their ratio over seeds.",
    ),
    Claim(
        "ablations",
        "The peak needs small singular values, residuals and test inputs along small modes: without one it is gone.",
        "Schaeffer et al. 2023",
        ablations,
        rule=f"A peak: a median risk at d = n more than {PEAK:g} times the higher of those at n/2 and 2n. Holds if the "
        "whole setting has it and none of the three ablations, with their whole 95 % bootstrap intervals over seeds.",
    ),
)
