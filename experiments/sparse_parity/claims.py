"""The claims about sparse parity, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import xarray as xr

from experiments.sparse_parity.growth import FEWEST, degree_slows, exponent_grows, over, power_of_inputs
from experiments.sparse_parity.prediction import predictions
from phenom_jax.laws.bootstrap import bootstrap
from phenom_jax.laws.rank import sign_test
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import groups
from phenom_jax.theory.parity import neuron_gradient, usual_bias

ERRORS = 4  # standard errors
PREDICTED = (
    "Every solved run is predicted from the other seeds of its setting, 8 runs or more, at the last measured step at "
    "which all of them are at chance. Holds if the share of the variance of log remaining steps that the predictor "
    "explains, beyond the mean of the other seeds, is above 0 with its whole 95 % bootstrap interval over seeds; fails "
    "if below."
)


def progress_leads(results: xr.Dataset) -> Decision:
    """Compares when a deciding input's weight has moved farthest with when test accuracy leaves chance."""
    runs = over(results, results["rise_step"].notnull())
    if runs.sizes["run"] < FEWEST:
        return Decision("undecided", f"test accuracy leaves chance in {runs.sizes['run']} runs, at least 3 are needed")
    lead, rise = runs["lead_step"].values, runs["rise_step"].values
    never = np.isnan(lead)
    led, led_after = np.where(never, np.inf, lead), np.where(never, np.inf, runs["lead_after"].values)
    order = np.where(led <= runs["rise_after"].values, 1, np.where(rise <= led_after, -1, 0))
    signs = sign_test(order.astype(float))
    ratio = rise / led
    found = bootstrap(lambda rows: float(np.median(ratio[rows])), runs["seed"].values)
    verdict: Verdict = "holds" if signs.p_value < 0.05 else "fails" if signs.positive * 2 < signs.total else "undecided"
    return Decision(
        verdict,
        f"it leads in {signs.positive} of {signs.total} runs whose measured steps tell the order (sign test p = "
        f"{signs.p_value:.2g}), {len(order) - signs.total} tell nothing; accuracy leaves chance after {found} times as "
        f"many steps (median)",
        {
            "leads": signs.positive,
            "told": signs.total,
            "p": signs.p_value,
            "ratio": found.estimate,
            "low": found.low,
            "high": found.high,
        },
    )


def remaining_time(results: xr.Dataset, predictor: str) -> Decision:
    """Predicts each run's remaining steps from the other seeds, with and without the movement of its weights."""
    found = predictions(results)
    if not found:
        return Decision(
            "undecided", "no setting has 8 solved runs and a measured step at which all are still at chance"
        )
    seeds = np.concatenate([item.seeds for item in found])
    actual, baseline, predicted = (
        np.log(np.concatenate(parts))
        for parts in zip(*((item.actual, item.baseline, item.predicted[predictor]) for item in found))
    )
    errors, plain = actual - predicted, actual - baseline
    share = bootstrap(lambda rows: 1 - (errors[rows] ** 2).sum() / (plain[rows] ** 2).sum(), seeds)
    correlation = bootstrap(lambda rows: _correlation(predicted[rows] - baseline[rows], plain[rows]), seeds)
    typical, without = (f"{np.expm1(np.median(np.abs(values))):.0%}".replace("%", " %") for values in (errors, plain))
    verdict: Verdict = "holds" if share.low > 0 else "fails" if share.high <= 0 else "undecided"
    return Decision(
        verdict,
        f"it explains {share} of the variance of {len(seeds)} runs in {len(found)} settings (correlation "
        f"{correlation}, median error {typical} in place of {without})",
        {
            "explained": share.estimate,
            "low": share.low,
            "high": share.high,
            "correlation": correlation.estimate,
            "runs": len(seeds),
        },
    )


def fourier_gap(results: xr.Dataset) -> Decision:
    """Compares the mean gradient of a neuron with weights 1 with the closed form, for every n and k."""
    runs = results.isel(run=results["relevant_gradient"].notnull().any("step").values)
    worst, place, cells, ratios = -1.0, "", 0, []
    for (inputs, degree), cell in _by_task(runs):
        _, first = np.unique(cell["seed"].values, return_index=True)
        cell = cell.isel(run=first)
        if cell.sizes["run"] < FEWEST:
            continue
        exact = neuron_gradient(inputs, degree, float(usual_bias(degree)))
        cells += 1
        means = []
        for name, value in zip(("relevant_gradient", "irrelevant_gradient"), exact, strict=True):
            measured = cell[name].max("step").values.astype(float)
            means.append(measured.mean())
            if not np.isfinite(value):
                continue
            error = measured.std(ddof=1) / np.sqrt(len(measured))
            errors = abs(measured.mean() - value) / error if error > 0 else np.inf * (measured.mean() != value)
            if errors > worst:
                worst, place = float(errors), f"n = {inputs}, k = {degree}"
        ratios.append(f"n = {inputs}, k = {degree}: {abs(means[0]) - abs(means[1]):.3g} ({exact.gap:.3g})")
    if not cells:
        return Decision("undecided", "no n and k have 3 seeds or more")
    shown = ratios if len(ratios) <= 4 else [*ratios[:2], "…", *ratios[-2:]]
    return Decision(
        "holds" if worst <= ERRORS else "fails",
        f"at most {worst:.2f} standard errors apart ({place}) over {cells} pairs of n and k; gap (closed form) "
        + ", ".join(shown),
        {"errors": worst, "pairs": cells},
    )


def groks(results: xr.Dataset) -> Decision:
    """Compares the steps to 99 % on the test and on the train examples of finite samples with weight decay."""
    chosen = (results["data"] == "finite") & (results["weight_decay"] > 0) & results["memorised_step"].notnull()
    runs = over(results, chosen)
    total = runs.sizes["run"]
    if total < FEWEST:
        return Decision("undecided", f"{total} runs with data=finite and weight decay fit their samples, 3 are needed")
    solved, memorised = runs["solved_step"].values, runs["memorised_step"].values
    ratio = np.where(np.isnan(solved), np.inf, solved) / memorised
    found = bootstrap(lambda rows: _upper_median(ratio[rows]), runs["seed"].values)
    never = int(np.isnan(solved).sum())
    epoch = np.ceil(runs["samples"].values / runs["batch_size"].values)
    verdict: Verdict = "fails" if never * 2 >= total or found.high <= 2 else "holds" if found.low > 2 else "undecided"
    epochs = ", ".join(f"{name} {_range(steps / epoch)}" for name, steps in (("train", memorised), ("test", solved)))
    return Decision(
        verdict,
        f"test examples take {found} times as many steps as train examples (median of {total} runs, {never} never get "
        f"there); epochs to 99 %: {epochs}",
        {"ratio": found.estimate, "low": found.low, "high": found.high, "runs": total, "never": never},
    )


def neurons_shrink(results: xr.Dataset) -> Decision:
    """Compares the number of active neurons when the test examples are solved and when the train set is fitted."""
    chosen = (results["data"] == "finite") & (results["weight_decay"] > 0)
    chosen = chosen & (results["solved_step"] > results["memorised_step"]) & (results["model"] == "mlp")
    runs = over(results, chosen)
    if runs.sizes["run"] < FEWEST:
        return Decision("undecided", f"{runs.sizes['run']} runs fit their samples and generalise later, 3 are needed")
    counts = {event: _at(runs, "active_neurons", event) for event in ("memorised", "solved")}
    measured = runs["active_neurons"].values
    counts["last"] = np.array([row[np.isfinite(row)][-1] for row in measured])
    change = np.log(counts["solved"] / counts["memorised"])
    found = bootstrap(lambda rows: float(change[rows].mean()), runs["seed"].values)
    ratio, low, high = np.exp(found)
    verdict: Verdict = "holds" if high < 1 else "fails" if low > 1 else "undecided"
    medians = {event: float(np.median(values)) for event, values in counts.items()}
    return Decision(
        verdict,
        f"{medians['memorised']:.0f} when fitted, {medians['solved']:.0f} when solved, {medians['last']:.0f} at the "
        f"end (medians of {len(change)} runs): {ratio:.3g} [{low:.3g}, {high:.3g}] times as many when solved",
        {"ratio": ratio, "low": low, "high": high, "runs": len(change)} | medians,
    )


def _by_task(runs: xr.Dataset) -> Iterator[tuple[tuple[int, int], xr.Dataset]]:
    """Yields the runs of each (n, k)."""
    for _, cell in groups(runs, ["inputs", "degree"]):
        yield (int(cell["inputs"].values[0]), int(cell["degree"].values[0])), cell


def _at(runs: xr.Dataset, name: str, event: str) -> np.ndarray:
    return runs[name].sel(step=runs[f"{event}_step"].astype(int)).values


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else np.nan


def _upper_median(values: np.ndarray) -> float:
    return float(np.sort(values)[len(values) // 2])


def _range(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return f"{known.min():.0f}–{known.max():.0f}" if len(known) else "never"


CLAIMS = (
    Claim(
        "power_of_inputs",
        "Steps to 99 % accuracy grow as a power of the number of inputs.",
        "Barak et al. 2022, section 3 (their lower bound is n^Ω(k))",
        power_of_inputs,
        rule="Log-log slope inside each setting, over the n at which every run is solved, at least three. Holds if the "
        "95 % bootstrap interval over seeds lies above 0 in every setting, fails if it lies below in one.",
    ),
    Claim(
        "exponent_grows",
        "The exponent in the number of inputs grows with the degree.",
        "Barak et al. 2022, section 3 (n^Ω(k))",
        exponent_grows,
        rule="Slope of the fitted exponents over k. Holds if its 95 % bootstrap interval over seeds lies above 0, "
        "fails if below.",
    ),
    Claim(
        "degree_slows",
        "Parities of more inputs take more steps.",
        "Barak et al. 2022, figure 1",
        degree_slows,
        rule="Holds if the rank correlation between k and steps to 99 %, inside otherwise equal settings, is above 0 "
        "with its whole 95 % bootstrap interval over seeds; fails if below.",
    ),
    Claim(
        "progress_leads",
        "Weights of the deciding inputs move ahead before accuracy leaves chance.",
        "Barak et al. 2022, section 5 (hidden progress)",
        progress_leads,
        rule="Ahead: a first-layer weight of a deciding input has moved 1.5 times as far as any of another input. "
        "Left: 60 % test accuracy. Holds if the sign test over the runs whose measured steps tell the order gives "
        "p < 0.05; fails if most tell the opposite.",
    ),
    Claim(
        "remaining_time",
        "While accuracy is at chance, how far the weights have moved tells the remaining time.",
        "Barak et al. 2022, section 5 (|w_t - w_0|_∞ as a progress measure)",
        functools.partial(remaining_time, predictor="movement"),
        rule=f"The predictor is the movement of any first-layer weight. {PREDICTED}",
    ),
    Claim(
        "relevant_remaining_time",
        "While accuracy is at chance, how far the weights of deciding inputs have moved tells the remaining time.",
        "The same, for who knows the answer",
        functools.partial(remaining_time, predictor="relevant_movement"),
        rule=f"The predictor is the movement of deciding inputs' weights. {PREDICTED}",
    ),
    Claim(
        "fourier_gap",
        "The first gradient of a neuron with weights 1 has the Fourier gap of its threshold function.",
        "Barak et al. 2022, section 4.1 (majority for even k; bias 2 for odd k)",
        fourier_gap,
        rule="Holds if for every n and k the mean over seeds, on deciding and on other inputs, is within 4 standard "
        "errors of the closed form; fails otherwise.",
    ),
    Claim(
        "groks",
        "With weight decay, networks that fit finite samples generalise much later.",
        "Merrill et al. 2023, figure 1 (train at epoch 20, test at 117 to 141)",
        groks,
        rule="Steps to 99 % on test by those on train examples. Holds if the 95 % bootstrap interval over seeds of the "
        "median ratio lies above 2, fails if below or if half of the runs never get there.",
    ),
    Claim(
        "neurons_shrink",
        "Meanwhile the number of active neurons falls.",
        "Merrill et al. 2023, section 4 (a sparse subnetwork takes over)",
        neurons_shrink,
        rule="Active: mean |u h| over test examples at least 1 % of the largest unit's. Holds if the mean log ratio of "
        "the counts when test examples are solved and when the train set is fitted is below 0 with its whole 95 % "
        "bootstrap interval over seeds; fails if above.",
    ),
)
