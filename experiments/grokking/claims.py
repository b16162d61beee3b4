"""The claims about grokking, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from phenom_jax.laws.bootstrap import bootstrap
from phenom_jax.laws.power_law import fit_power_law
from phenom_jax.laws.rank import rank_correlation, sign_test
from phenom_jax.laws.transition import first_crossing
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import cell_axes


def without_decay(results: xr.Dataset) -> Decision:
    """Counts the runs without weight decay that memorise and that generalise, with Wilson intervals."""
    runs = _over(results, results["weight_decay"] == 0)
    total = runs.sizes["run"]
    if total < 3:
        return Decision("undecided", f"{total} runs without weight decay are over, at least 3 are needed")
    memorised, generalised = (
        int(runs[f"{event}_step"].notnull().sum()) for event in ("memorisation", "generalisation")
    )
    holds = memorised >= 0.9 * total and generalised <= 0.1 * total
    steps = int(runs["last_step"].max())
    return Decision(
        "holds" if holds else "fails",
        f"within {steps} steps {_share(memorised, total)} memorise and {_share(generalised, total)} generalise",
        {"runs": total, "memorised": memorised, "generalised": generalised, "steps": steps},
    )


def decay_speeds_up(results: xr.Dataset) -> Decision:
    """Correlates the ranks of weight decay and generalisation step inside settings that are otherwise equal."""
    runs = _over(results, results["weight_decay"] > 0)
    decays = np.unique(runs["weight_decay"].values)
    if len(decays) < 2:
        return Decision("undecided", f"{len(decays)} positive weight decays, at least 2 are needed")
    steps = runs["generalisation_step"].values
    if np.isnan(steps).all():
        return Decision("undecided", "no run generalised")
    found = rank_correlation(
        runs["weight_decay"].values, steps, runs["seed"].values, _settings(runs, without=("weight_decay",))
    )
    never = int(np.isnan(steps).sum())
    return Decision(
        _side(found.low, found.high),
        f"Spearman's ρ = {found} over {len(steps)} runs at weight decay {decays[0]:g} to {decays[-1]:g}; "
        f"{never} never generalise and rank last",
        {"rho": found.estimate, "low": found.low, "high": found.high, "runs": len(steps), "never": never},
    )


def delay_scales(results: xr.Dataset) -> Decision:
    """Fits the exponent of the delay in learning rate x weight decay, where every run of a setting generalised."""
    runs = _over(results, results["weight_decay"] > 0)
    rate, delay = (runs["learning_rate"] * runs["weight_decay"]).values, runs["generalisation_delay"].values
    whole = _settings(runs)
    complete = ~np.isin(whole, whole[~(delay > 0)])
    strata = _settings(runs, without=("weight_decay", "learning_rate"))[complete]
    rate, delay, seeds = rate[complete], delay[complete], runs["seed"].values[complete]
    rates = np.unique(rate.round(12))
    if not any(len(np.unique(rate[strata == stratum].round(12))) > 1 for stratum in np.unique(strata)):
        return Decision("undecided", f"every run generalises at {len(rates)} of the needed 3 values of lr·wd")
    law = fit_power_law(rate, delay, seeds, strata)
    low, high = law.exponent.low, law.exponent.high
    short = len(rates) < 3 or rates[-1] < 9.99 * rates[0]
    inside, outside = low >= -1.2 and high <= -0.8, high < -1.2 or low > -0.8
    verdict: Verdict = "holds" if inside and not short else "fails" if outside and not short else "undecided"
    span = f"{len(rates)} values of lr·wd from {rates[0]:.2g} to {rates[-1]:.2g}"
    return Decision(
        verdict,
        f"delay ∝ (lr·wd)^k with k = {law.exponent} over {len(delay)} runs, {span}"
        + ("; fewer than 3 values over a factor of 10 decide nothing" if short else ""),
        {"exponent": law.exponent.estimate, "low": low, "high": high, "scatter": law.scatter, "runs": len(delay)},
    )


def norm_falls(results: xr.Dataset) -> Decision:
    """Compares the squared weight norm at generalisation with that at memorisation."""
    runs = _over(results, results["generalisation_delay"] > 0)
    if runs.sizes["run"] < 3:
        return Decision("undecided", f"{runs.sizes['run']} runs generalise after they memorise, at least 3 are needed")
    at_memorisation, at_generalisation = (
        _at(runs, "weight_norm", event) for event in ("memorisation", "generalisation")
    )
    change = np.log(at_generalisation / at_memorisation)
    found = bootstrap(lambda rows: change[rows].mean(), runs["seed"].values)
    signs = sign_test(-change)
    ratio, low, high = np.exp(found)
    between = (runs["step"] >= runs["memorisation_step"]) & (runs["step"] <= runs["generalisation_step"])
    from_peak = float(np.median(at_generalisation / runs["weight_norm"].where(between).max("step").values))
    return Decision(
        _side(found.low, found.high),
        f"the norm falls in {signs.positive} of {signs.total} runs (sign test p = {signs.p_value:.2g}); at "
        f"generalisation it is {ratio:.3g} [{low:.3g}, {high:.3g}] times that at memorisation, and {from_peak:.3g} "
        f"times its highest in between (median)",
        {
            "ratio": ratio,
            "low": low,
            "high": high,
            "falls": signs.positive,
            "runs": signs.total,
            "p": signs.p_value,
            "from_peak": from_peak,
        },
    )


def progress_leads(results: xr.Dataset) -> Decision:
    """Compares when the restricted loss of the test pairs has halved with when half of them are answered right."""
    runs = _over(results, results["generalisation_step"].notnull())
    runs = runs.isel(run=(runs["restricted_test_loss"].isel(step=0) > 0).values)
    if runs.sizes["run"] < 3:
        return Decision(
            "undecided", f"{runs.sizes['run']} generalising runs have a restricted loss, at least 3 are needed"
        )
    loss, accuracy, steps = runs["restricted_test_loss"].values, runs["test_accuracy"].values, runs["step"].values
    fall = first_crossing(loss, steps, loss[:, 0] / 2, "down")
    rise = first_crossing(accuracy, steps, 0.5)
    never = np.isnan(fall.step)
    fallen, fallen_after = np.where(never, np.inf, fall.step), np.where(never, np.inf, fall.after)
    order = np.where(fallen <= rise.after, 1, np.where(rise.step <= fallen_after, -1, 0))
    signs = sign_test(order.astype(float))
    lead = np.log(rise.step) - np.log(fallen)
    found = bootstrap(lambda rows: np.median(lead[rows]), runs["seed"].values)
    ratio, low, high = np.exp(found)
    verdict: Verdict = "holds" if signs.p_value < 0.05 else "fails" if signs.positive * 2 < signs.total else "undecided"
    return Decision(
        verdict,
        f"it leads in {signs.positive} of {signs.total} runs whose measured steps tell the order (sign test p = "
        f"{signs.p_value:.2g}), {len(order) - signs.total} tell nothing; test accuracy takes {ratio:.3g} "
        f"[{low:.3g}, {high:.3g}] times as many steps (median)",
        {"leads": signs.positive, "told": signs.total, "p": signs.p_value, "ratio": ratio, "low": low, "high": high},
    )


def _over(results: xr.Dataset, chosen: xr.DataArray) -> xr.Dataset:
    """Returns the chosen runs that came to their end without diverging."""
    return results.isel(run=(chosen & results["status"].isin(["finished", "done"])).values)


def _settings(runs: xr.Dataset, without: tuple[str, ...] = ()) -> np.ndarray:
    """Returns int[run]: runs that agree in every swept axis but seeds and `without` have the same number."""
    axes = [axis for axis in cell_axes(runs) if axis not in without]
    codes = [np.unique(runs[axis].values, return_inverse=True)[1] for axis in axes]
    return np.unique(np.stack([np.zeros(runs.sizes["run"], int), *codes]), axis=1, return_inverse=True)[1].reshape(-1)


def _at(runs: xr.Dataset, name: str, event: str) -> np.ndarray:
    return runs[name].sel(step=runs[f"{event}_step"].astype(int)).values


def _share(count: int, total: int) -> str:
    interval = stats.binomtest(count, total).proportion_ci(method="wilson")
    return f"{count} of {total} ({100 * interval.low:.0f}–{100 * interval.high:.0f} %)"


def _side(low: float, high: float) -> Verdict:
    """Returns whether an interval lies below zero, above it, or neither."""
    return "holds" if high < 0 else "fails" if low > 0 else "undecided"


CLAIMS = (
    Claim(
        "without_decay",
        "Without weight decay runs memorise and do not generalise within their steps.",
        "Power et al. 2022; Nanda et al. 2023, section 5",
        without_decay,
        rule="Holds if at least 90 % of the runs reach 99 % train accuracy and at most 10 % reach 95 % test accuracy.",
    ),
    Claim(
        "decay_speeds_up",
        "Of positive weight decays, the larger generalises sooner.",
        "Power et al. 2022, figure 2; Liu et al. 2023 (Omnigrok)",
        decay_speeds_up,
        rule="Holds if the rank correlation between weight decay and generalisation step, inside otherwise equal "
        "settings, is below 0 with its whole 95 % bootstrap interval over seeds; fails if above.",
    ),
    Claim(
        "delay_scales",
        "The delay from memorisation to generalisation scales as 1/(lr·wd).",
        "T_grok - T_memorise ~ log(V_mem/V*) / (2 κ lr wd), V the squared norm",
        delay_scales,
        rule="Holds if the 95 % bootstrap interval over seeds of the fitted exponent, with a prefactor for each "
        "setting, lies between -1.2 and -0.8, fails if it lies outside; undecided if it does neither, or with fewer "
        "than 3 values of lr·wd over a factor of 10 at which every run generalises.",
    ),
    Claim(
        "norm_falls",
        "The weight norm falls between memorisation and generalisation.",
        "Nanda et al. 2023, section 5 (cleanup); Liu et al. 2023 (Omnigrok)",
        norm_falls,
        rule="Holds if the mean log ratio of the sums of squared weights at the two steps is below 0 with its whole "
        "95 % bootstrap interval over seeds; fails if above.",
    ),
    Claim(
        "progress_leads",
        "Restricted loss falls before test accuracy rises.",
        "Nanda et al. 2023, section 5 (progress measures)",
        progress_leads,
        rule="Both on the test pairs. Fallen: at most half of its value at step 0; risen: half of the pairs right. "
        "Holds if the sign test over the runs whose measured steps tell the order gives p < 0.05; fails if most "
        "tell the opposite.",
    ),
)
