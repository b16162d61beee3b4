"""The claims about random features: each a number of one seed's regressions and a rule."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from experiments.random_features.science import limit
from phenom_jax.claims import Claim, Source, agrees, below, need, within
from phenom_jax.claims.runs import last
from phenom_jax.store.axes import groups, settings

BELKIN = Source("Belkin et al. 2019", "https://arxiv.org/abs/1812.11118")
MEI = Source("Mei, Montanari 2022", "https://arxiv.org/abs/1908.05355")
NAKKIRAN = Source("Nakkiran et al. 2021", "https://arxiv.org/abs/2003.01897")
COURSE = Source("As printed in the course")

NEAR = 0.1  # N within this share of n counts as N = n
AWAY = np.log(1.25) - 1e-9  # log distance of N/n from 1 from which the variance over seeds is small


def on_the_sphere(results: xr.Dataset) -> xr.DataArray:
    """Runs with inputs on the sphere."""
    return results["inputs"] == "sphere"


def on_the_line(results: xr.Dataset) -> xr.DataArray:
    """Runs of the 1-D setting."""
    return results["inputs"] == "line"


def peak_place(runs: xr.Dataset) -> dict[str, float]:
    """N/n where the excess risk is largest, at the smallest ridge."""
    found = {
        name: float(ratio_N[risk_RxN[0].argmax()])
        for name, ratio_N, risk_RxN in _tables(runs, last(runs, "excess_risk"))
        if ratio_N[0] < 1 - NEAR and ratio_N[-1] > 1 + NEAR and 1 in ratio_N
    }
    need(found, "numbers of features below, at and above the number of samples")
    return found


def second_descent(runs: xr.Dataset) -> dict[str, float]:
    """Lowest excess risk beyond N = n over the lowest before, at the smallest ridge, where that falls in the limit."""
    found = {}
    measured, exact = (_tables(runs, values) for values in (last(runs, "excess_risk"), limit(runs)))
    for (name, ratio_N, risk_RxN), (_, _, exact_RxN) in zip(measured, exact, strict=True):
        before_N, beyond_N = ratio_N < 1, ratio_N > 1
        if min(before_N.sum(), beyond_N.sum()) >= 2 and exact_RxN[0, beyond_N].min() < exact_RxN[0, before_N].min():
            found[name] = float(risk_RxN[0, beyond_N].min() / risk_RxN[0, before_N].min())
    need(found, "two numbers of features on both sides of n, with a lower limit beyond")
    return found


def flattened(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk at N = n with the smallest ridge above 0 over that without."""
    need(runs["ridge"].min() == 0 and runs["ridge"].max() > 0, "runs without ridge and with one")
    tables = _tables(runs, last(runs, "excess_risk"))
    found = {name: risk_RxN[:, ratio_N == 1] for name, ratio_N, risk_RxN in tables if 1 in ratio_N}
    need(found, "as many features as samples")
    return {name: float(risk_Rx1[1, 0] / risk_Rx1[0, 0]) for name, risk_Rx1 in found.items()}


def rise_at_best_ridge(runs: xr.Dataset) -> dict[str, float]:
    """Largest factor by which the excess risk is above that of any smaller N, both with their best ridge."""
    tables = _tables(runs, last(runs, "excess_risk"))
    lowest = {name: risk_RxN.min(0) for name, _, risk_RxN in tables if min(risk_RxN.shape) > 2}
    need(lowest, "three ridges at three numbers of features")
    return {name: float((best_N / np.minimum.accumulate(best_N)).max()) for name, best_N in lowest.items()}


def over_limit(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk over its limit at the largest d, the mean over ridges and N, at most 0.8 n or at least 1.25 n."""
    runs = runs.isel(run=(runs["dimension"] == runs["dimension"].max()).values & _away(runs))
    need(runs.sizes["run"], "numbers of features away from the number of samples")
    cells = groups(runs.assign_coords(N=("run", np.where(_ratio(runs) < 1, "< n", "> n"))), ["activation", "N"])
    return {name: float(cell["of_limit"].mean()) for name, cell in cells}


def at_infinite_size(runs: xr.Dataset) -> dict[str, float]:
    """Excess risk over its limit where a line in 1/d through it reaches 1/d = 0, the mean over ridges, N/d and n/d."""
    need(len(np.unique(runs["dimension"].values)) >= 3, "three dimensions at the same N/d and n/d")
    load = (runs["samples"] / runs["dimension"]).values.round(6)
    runs = runs.assign_coords({"N/n": ("run", _ratio(runs).round(6)), "n/d": ("run", load)})
    found: dict[str, list[float]] = {}
    for _, family in groups(runs.isel(run=_away(runs)), ["activation", "ridge", "N/n", "n/d"]):
        sizes = family["dimension"].values
        if len(np.unique(sizes)) >= 3:  # weights: the variance over seeds falls about as 1/d
            line = np.polyfit(1 / sizes, family["of_limit"].values, 1, w=np.sqrt(sizes))
            found.setdefault(family["activation"].values[0].item(), []).append(line[1])
    need(found, "N and n in proportion to three dimensions")
    return {activation: float(np.mean(values)) for activation, values in found.items()}


def end_over_peak(runs: xr.Dataset) -> dict[str, float]:
    """Test error at the most features, at least 5 n, over that at N = n."""
    tables = _tables(runs, last(runs, "test_error"))
    found = {name: table for name, *table in tables if table[0][-1] >= 5 and 1 in table[0]}
    need(found, "as many features as samples and five times as many")
    return {
        name: float(error_RxN[0, -1] / error_RxN[0, ratio_N == 1][0]) for name, (ratio_N, error_RxN) in found.items()
    }


def _tables(runs: xr.Dataset, values: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields N/n and values over ridges and N, all ascending, of every setting otherwise alike, after its name."""
    for name, setting in settings(runs.assign_coords(value=("run", values)), "ridge", "features"):
        ordered = setting.sortby(["ridge", "features"])
        shape = [len(np.unique(ordered[axis])) for axis in ("ridge", "features")]
        need(ordered.sizes["run"] == shape[0] * shape[1], "every ridge at every number of features")
        yield name, _ratio(ordered)[: shape[1]], ordered["value"].values.reshape(shape)


def _ratio(runs: xr.Dataset) -> np.ndarray:
    return runs["features"].values / runs["samples"].values


def _away(runs: xr.Dataset) -> np.ndarray:
    return abs(np.log(_ratio(runs))) >= AWAY


CLAIMS = (
    Claim(
        "With little or no ridge the test error peaks where there are as many features as samples.",
        MEI["figure 1"],
        peak_place,
        within(1 - NEAR, 1 + NEAR),
        about=on_the_sphere,
        scale="log",
        published="N/n = 1",
        figure="risk",
        presets=("", "course"),
    ),
    Claim(
        "Beyond the threshold the test error falls below its lowest value before it, where the limit says so.",
        BELKIN["figure 2"],
        second_descent,
        below(0.9),  # a tenth lower: less would be no second descent to the eye
        about=on_the_sphere,
        scale="log",
        figure="risk",
        presets=("", "course"),
    ),
    Claim(
        "A small ridge flattens the peak.",
        MEI["figure 4"],
        flattened,
        below(0.5),  # to half its height
        about=on_the_sphere,
        scale="log",
        published="6.9 falls to 1.2 at N/n = 0.95, ridge 1e-3",
        figure="risk",
    ),
    Claim(
        "With the best ridge at each number of features, more features do not hurt: no peak is left.",
        NAKKIRAN,
        rise_at_best_ridge,
        below(1.1),  # a rise of less than a tenth is no peak
        about=on_the_sphere,
        published="monotone",
        figure="risk",
    ),
    Claim(
        "Away from the peak the excess risk is the asymptotic one, at the largest dimension of the sweep.",
        MEI["theorem 2"],
        over_limit,
        agrees(1, 0.1),  # 5/d at the default's d: terms of order 1/d are left out of the limit
        about=on_the_sphere,
        figure="risk",
        presets=("", "finite_size"),
    ),
    Claim(
        "What finite sizes add to the limit vanishes as 1/d.",
        MEI["theorem 2, a limit at fixed N/d and n/d"],
        at_infinite_size,
        agrees(1, 0.05),  # better than the limit itself at any size of the sweep is asked to be
        about=on_the_sphere,
        figure="finite_sizes",
        presets=("finite_size",),
    ),
    Claim(
        "In the 1-D setting (100 samples of sin 3x, Fourier features, ridge 1e-8) the test error falls again "
        "beyond N = n.",
        COURSE,
        end_over_peak,
        below(1),
        about=on_the_line,
        scale="log",
        published="falls again (said, not measured)",
        figure="line",
        presets=("course",),
    ),
)
