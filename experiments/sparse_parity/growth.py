"""How the steps to 99 % test accuracy grow with the number of inputs n and the degree k."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.laws.bootstrap import bootstrap
from phenom_jax.laws.power_law import PowerLaw, fit_power_law
from phenom_jax.laws.rank import rank_correlation
from phenom_jax.report.figures import thin
from phenom_jax.results.claims import Decision, Verdict
from phenom_jax.store.axes import groups, hyperparameters

FEWEST = 3  # seeds of a setting
SAID = 6  # settings whose numbers are told in words


class Law(NamedTuple):
    """Steps to 99 % over the number of inputs in one setting: its runs, and the power law fitted to them."""

    label: str
    degree: int
    inputs_N: np.ndarray
    steps_N: np.ndarray
    seeds_N: np.ndarray
    fit: PowerLaw

    def __str__(self) -> str:
        low, high = self.inputs_N.min(), self.inputs_N.max()
        return (
            f"{self.label}: exponent {self.fit.exponent}, n = {low:.0f} to {high:.0f}, {len(self.inputs_N)} runs, "
            f"scatter {self.fit.scatter:.2g}"
        )


def power_of_inputs(results: xr.Dataset) -> Decision:
    """Fits the exponent of the steps to 99 % in n, in every setting with three values of n that all runs solve."""
    laws = list(_laws(results))
    if not laws:
        return Decision(
            "undecided", "no setting has 3 values of inputs at which all runs, of 3 seeds or more, are solved"
        )
    lows, highs = (np.array([getattr(law.fit.exponent, end) for law in laws]) for end in ("low", "high"))
    verdict: Verdict = "holds" if (lows > 0).all() else "fails" if (highs <= 0).any() else "undecided"
    said, left_out = thin([str(law) for law in laws], SAID, "the settings")
    numbers = {
        f"{end} {law.label}": value
        for law in laws
        for end, value in zip(("exponent", "low", "high"), law.fit.exponent, strict=True)
    }
    return Decision(verdict, "; ".join([*said, *([left_out] if left_out else [])]), numbers)


def exponent_grows(results: xr.Dataset) -> Decision:
    """Fits how fast the exponent in n grows with k, over all settings."""
    laws = list(_laws(results))
    degrees_L = np.array([law.degree for law in laws], float)
    if len(np.unique(degrees_L)) < 2:
        return Decision("undecided", f"the exponent is known at {len(np.unique(degrees_L))} degrees, 2 are needed")
    law_N = np.concatenate([np.full(len(law.inputs_N), row) for row, law in enumerate(laws)])
    log_inputs_N, log_steps_N = (
        np.log(np.concatenate([getattr(law, name) for law in laws])) for name in ("inputs_N", "steps_N")
    )

    def slope(rows: np.ndarray) -> float:
        inside = [rows[law_N[rows] == law] for law in range(len(laws))]
        exponents_L = np.array([_slope(log_inputs_N[some], log_steps_N[some]) for some in inside])
        known_L = np.isfinite(exponents_L)
        return _slope(degrees_L[known_L], exponents_L[known_L])

    found = bootstrap(slope, np.concatenate([law.seeds_N for law in laws]))
    verdict: Verdict = "holds" if found.low > 0 else "fails" if found.high <= 0 else "undecided"
    means = ", ".join(
        f"{np.mean([law.fit.exponent.estimate for law in laws if law.degree == degree]):.3g} at k = {degree:.0f}"
        for degree in np.unique(degrees_L)
    )
    return Decision(
        verdict,
        f"it grows by {found} per degree: {means}",
        {"slope": found.estimate, "low": found.low, "high": found.high},
    )


def degree_slows(results: xr.Dataset) -> Decision:
    """Correlates the ranks of k and steps to 99 % inside settings that are otherwise equal."""
    runs = over(results)
    degrees = np.unique(runs["degree"].values)
    if len(degrees) < 2:
        return Decision("undecided", f"{len(degrees)} degrees are over, at least 2 are needed")
    steps = runs["solved_step"].values
    if np.isnan(steps).all():
        return Decision("undecided", "no run is solved")
    found = rank_correlation(runs["degree"].values, steps, runs["seed"].values, _but_degree(runs))
    never = int(np.isnan(steps).sum())
    verdict: Verdict = "holds" if found.low > 0 else "fails" if found.high <= 0 else "undecided"
    medians = [
        f"{label}: {np.median(np.where(np.isnan(cell['solved_step']), np.inf, cell['solved_step'])):.0f}"
        for label, cell in groups(runs, ["degree"])
    ]
    return Decision(
        verdict,
        f"Spearman's ρ = {found} over {len(steps)} runs, {never} of them never solved; medians {', '.join(medians)}",
        {"rho": found.estimate, "low": found.low, "high": found.high, "runs": len(steps), "never": never},
    )


def over(results: xr.Dataset, chosen: xr.DataArray | bool = True) -> xr.Dataset:
    """Returns the chosen runs that came to their end without diverging."""
    return results.isel(run=(chosen & results["status"].isin(["finished", "done"])).values)


def _laws(results: xr.Dataset) -> Iterator[Law]:
    runs = over(results)
    for label, setting in groups(runs, [name for name in hyperparameters(runs) if name not in ("seed", "inputs")]):
        inputs_N, steps_N, seeds_N = (setting[name].values for name in ("inputs", "solved_step", "seed"))
        solved = [n for n in np.unique(inputs_N) if _all_solved(steps_N[inputs_N == n])]
        if len(solved) < 3:
            continue
        chosen_N = np.isin(inputs_N, solved)
        inputs_N, steps_N, seeds_N = inputs_N[chosen_N].astype(float), steps_N[chosen_N], seeds_N[chosen_N]
        fit = fit_power_law(inputs_N, steps_N, seeds_N)
        yield Law(label, int(setting["degree"].values[0]), inputs_N, steps_N, seeds_N, fit)


def _all_solved(steps_N: np.ndarray) -> bool:
    return len(steps_N) >= FEWEST and bool(np.all(steps_N > 0))


def _but_degree(runs: xr.Dataset) -> np.ndarray:
    """Returns int[run]: runs that agree in every hyperparameter but seed and degree have the same number."""
    names = [name for name in hyperparameters(runs) if name not in ("seed", "degree")]
    codes = np.stack([np.unique(runs[name].values, return_inverse=True)[1] for name in names])
    return np.unique(codes, axis=1, return_inverse=True)[1].reshape(-1)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    spread = ((x - x.mean()) ** 2).sum() if len(x) else 0.0
    return float(((x - x.mean()) * y).sum() / spread) if spread > 1e-12 else np.nan
