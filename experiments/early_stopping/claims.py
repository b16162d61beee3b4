"""The claims about early stopping, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from experiments.early_stopping.scales import closed_form
from phenom_jax.laws.bootstrap import bootstrap
from phenom_jax.report.figures import thin
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import cell_axes, cell_codes, show, words
from phenom_jax.theory.epochwise import turning_points

FEWEST = 10  # runs of a cell
SAID = 6  # cells whose numbers are told in words
ROUNDING = 1e-4  # of a risk: what thousands of float32 steps may have lost
ERRORS = 4  # standard errors
ALI = 1.22  # Ali, Kolter, Tibshirani 2019


class Cell(NamedTuple):
    """Runs that differ in their seeds alone, what sets them apart, and their risks float[run, step]."""

    label: str
    runs: xr.Dataset
    steps: np.ndarray
    risk: np.ndarray


class Change(NamedTuple):
    """The mean of a difference over runs and half of its 95 % interval (Student's t)."""

    mean: float
    half: float

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval lies on one side of zero, else 0."""
        return int(np.sign(self.mean)) if abs(self.mean) > self.half else 0

    def __str__(self) -> str:
        return f"{self.mean:+.3g} ± {self.half:.2g}"


def closed_form_holds(results: xr.Dataset) -> Decision:
    """Compares the mean excess risk of every cell with the closed form at every measured step."""
    cells = list(_cells(results, model="linear", inputs="grid"))
    if not cells:
        return _lacking(results, "with model=linear and inputs=grid, where the closed form is exact")
    worst, place = -np.inf, ""
    for cell in cells:
        exact = closed_form(cell.runs, cell.steps).total
        error = cell.risk.std(0, ddof=1) / np.sqrt(len(cell.risk))
        beyond = np.maximum(np.abs(cell.risk.mean(0) - exact) - ROUNDING * exact, 0)
        errors = np.divide(beyond, error, out=np.where(beyond > 0, np.inf, 0), where=error > 0)
        if errors.max() > worst:
            worst, place = float(errors.max()), f"at step {cell.steps[errors.argmax()]}, {cell.label}"
    return Decision(
        "holds" if worst <= ERRORS else "fails",
        f"at most {worst:.2f} standard errors apart ({place}) over {len(cells)} cell(s) of "
        f"{min(len(cell.risk) for cell in cells)} runs or more and {len(cells[0].steps)} steps",
        {"errors": worst, "cells": len(cells), "runs": sum(len(cell.risk) for cell in cells)},
    )


def second_minimum(results: xr.Dataset) -> Decision:
    """Compares the mean risk between the steps at which the closed form turns."""
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for cell in _cells(results, model="linear", inputs="grid", step_sizes="equal"):
        exact = closed_form(cell.runs, cell.steps).total
        turns = turning_points(exact)
        if len(turns) < 3:
            continue
        pairs = [*itertools.pairwise(turns), (turns[0], turns[-1])]
        changes = [_change(cell.risk[:, late] - cell.risk[:, early]) for early, late in pairs]
        expected = [np.sign(exact[late] - exact[early]) for early, late in pairs]
        agree = [change.sign * sign for change, sign in zip(changes, expected)]
        verdicts.append("holds" if min(agree) > 0 else "fails" if min(agree) < 0 else "undecided")
        means = ", ".join(f"{cell.risk[:, turn].mean():.4g} at step {cell.steps[turn]}" for turn in turns)
        said.append(
            f"{cell.label}: {means}; rise {changes[0]}, last minimum against first {changes[-1]} "
            f"(closed form {exact[turns[-1]] - exact[turns[0]]:+.3g})"
        )
        numbers |= {f"rise {cell.label}": changes[0].mean, f"last against first {cell.label}": changes[-1].mean}
    if not verdicts:
        return Decision("undecided", "no cell with inputs=grid and equal step sizes has two minima in closed form")
    return Decision(_together(verdicts), _listed(said), numbers)


def patience_misses(results: xr.Dataset) -> Decision:
    """Counts the runs that a patience rule stops before the hump although their later minimum is lower."""
    counted = []
    for cell in _cells(results, model="linear", step_sizes="equal"):
        exact = closed_form(cell.runs, cell.steps).total
        turns = turning_points(exact)
        if len(turns) < 3 or exact[turns[-1]] >= exact[turns[0]]:
            continue
        early = cell.runs["patience_step"].values <= cell.steps[turns[1]]
        worse = cell.runs["patience_risk"].values > cell.runs["stopping_risk"].values
        counted.append((int(cell.runs["features"].values[0]), int((early & worse).sum()), cell))
    if not counted:
        return Decision(
            "undecided",
            "no cell of a linear model with equal step sizes has a later minimum that is lower in closed form",
        )
    most = max(features for features, _, _ in counted)
    counted.sort(key=lambda item: -item[0])
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for features, misses, cell in counted:
        total = len(cell.risk)
        interval = stats.binomtest(misses, total).proportion_ci(method="wilson")
        text = f"{cell.label}: {misses} of {total} ({100 * interval.low:.0f}–{100 * interval.high:.0f} %)"
        if features == most:
            verdicts.append("holds" if interval.low > 0.5 else "fails" if interval.high < 0.5 else "undecided")
            risk, later = (cell.runs[f"{name}_risk"].values.mean() for name in ("patience", "stopping"))
            text += f", mean excess risk {risk:.4g} where they stop, {later:.4g} at the lowest validation loss"
        said.append(text)
        numbers |= {f"missed {cell.label}": misses, f"runs {cell.label}": total}
    return Decision(_together(verdicts), _listed(said), numbers)


def stopping_beats_the_end(results: xr.Dataset) -> Decision:
    """Compares the excess risk at the lowest validation loss with that of the last step, inside each cell."""
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for cell in _cells(results):
        if float(cell.runs["noise"].values[0]) == 0:
            continue
        last = cell.risk[:, -1]
        change = _change(cell.runs["stopping_risk"].values - last)
        verdicts.append("holds" if change.sign < 0 else "fails" if change.sign > 0 else "undecided")
        said.append(
            f"{cell.label}: {cell.runs['stopping_risk'].values.mean():.4g} against {last.mean():.4g} ({change})"
        )
        numbers[cell.label] = change.mean
    if not verdicts:
        return _lacking(results, "with label noise")
    return Decision(_together(verdicts), _listed(said), numbers)


def aligned_has_one_minimum(results: xr.Dataset) -> Decision:
    """Looks for a second descent with aligned step sizes, and compares the lowest mean risks."""
    equal = {_label(cell, "step_sizes"): cell for cell in _cells(results, model="linear", step_sizes="equal")}
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for cell in _cells(results, model="linear", step_sizes="aligned"):
        label = _label(cell, "step_sizes")
        if label not in equal or not np.array_equal(cell.runs["seed"].values, equal[label].runs["seed"].values):
            continue
        other = equal[label]
        lowest, lowest_other = cell.risk.mean(0).argmin(), other.risk.mean(0).argmin()
        hump, hump_other = _second_descent(cell.risk), _second_descent(other.risk)
        gain = _change(cell.risk[:, lowest] - other.risk[:, lowest_other])
        one_minimum = hump <= ERRORS
        verdicts.append(
            "holds" if one_minimum and gain.sign < 0 else "fails" if not one_minimum or gain.sign > 0 else "undecided"
        )
        said.append(
            f"{label}: aligned, at most {hump:.2g} standard errors of a second descent (equal: {hump_other:.2g}); "
            f"lowest {cell.risk[:, lowest].mean():.4g} at step {cell.steps[lowest]} against "
            f"{other.risk[:, lowest_other].mean():.4g} at {other.steps[lowest_other]} ({gain})"
        )
        numbers |= {f"errors {label}": hump, f"gain {label}": gain.mean}
    if not verdicts:
        return Decision("undecided", "no cell was trained with equal and with aligned step sizes over the same seeds")
    return Decision(_together(verdicts), _listed(said), numbers)


def close_to_ridge(results: xr.Dataset) -> Decision:
    """Compares the lowest mean risk over steps with the lowest mean risk over penalties."""
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for cell in _cells(results, model="linear", inputs="gaussian", scales="one"):
        ridge = cell.runs["ridge_excess_risk"].max("step").values
        found = bootstrap(
            lambda rows, risk=cell.risk, ridge=ridge: risk[rows].mean(0).min() / ridge[rows].mean(0).min(),
            cell.runs["seed"].values,
        )
        verdicts.append("holds" if found.high <= ALI else "fails" if found.low > ALI else "undecided")
        said.append(f"{cell.label}: ratio {found}")
        numbers[cell.label] = found.estimate
    if not verdicts:
        return _lacking(results, "with model=linear, inputs=gaussian and scales=one, where the bound is proven")
    return Decision(_together(verdicts), _listed(said), numbers)


def _cells(results: xr.Dataset, **setting: str) -> Iterator[Cell]:
    """Yields the cells of runs that came to their end, of this setting, with at least `FEWEST` runs."""
    over = results["status"] == "finished"
    for name, value in setting.items():
        over = over & (results[name] == value)
    codes = cell_codes(results)
    for code in np.unique(codes[over.values]):
        runs = results.isel(run=over.values & (codes == code)).sortby("seed")
        if runs.sizes["run"] < FEWEST:
            continue
        measured = np.isfinite(runs["excess_risk"].values).all(0)
        risk = runs["excess_risk"].values[:, measured].astype(float)
        varying = [name for name in cell_axes(results) if name != "inputs" or "inputs" not in setting]
        label = ", ".join(f"{words(name)} {show(runs[name].values[0].item())}" for name in varying)
        yield Cell(label or "all runs", runs, runs["step"].values[measured], risk)


def _label(cell: Cell, without: str) -> str:
    parts = [part for part in cell.label.split(", ") if not part.startswith(words(without))]
    return ", ".join(parts) or "all runs"


def _change(differences: np.ndarray) -> Change:
    count = len(differences)
    error = differences.std(ddof=1) / np.sqrt(count)
    return Change(float(differences.mean()), float(stats.t.ppf(0.975, count - 1) * error))


def _second_descent(risk: np.ndarray) -> float:
    """Returns how many standard errors the mean risk falls, at most, after having risen: to its left or right.

    Of the pairs of steps before the lowest mean those that rise count, of those after it those that fall.
    """
    mean = risk.mean(0)
    low = int(mean.argmin())
    most = 0.0
    for early in range(len(mean)):
        for late in range(early + 1, len(mean)):
            sign = 1 if late <= low else -1 if early >= low else 0
            contrary = sign * (mean[late] - mean[early]) - ROUNDING * mean[late]
            if sign and contrary > 0:
                error = (risk[:, late] - risk[:, early]).std(ddof=1) / np.sqrt(len(risk))
                most = max(most, contrary / error if error > 0 else np.inf)
    return most


def _together(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns "holds" if all do, "fails" if any does."""
    return "fails" if "fails" in verdicts else "holds" if set(verdicts) == {"holds"} else "undecided"


def _listed(said: Sequence[str]) -> str:
    shown, left_out = thin(said, SAID, "the cells")
    return "; ".join([*shown, *([left_out] if left_out else [])])


def _lacking(results: xr.Dataset, what: str) -> Decision:
    finished = int((results["status"] == "finished").sum())
    return Decision("undecided", f"none of the cells of {finished} finished runs has {FEWEST} runs {what}")


CLAIMS = (
    Claim(
        "closed_form",
        "The mean excess risk of gradient descent is the closed form.",
        "Heckel, Yilmaz 2021, linear regression; here on inputs whose features are exactly uncorrelated",
        closed_form_holds,
        rule="Holds if in every cell the mean over seeds is within 4 standard errors of it at every measured step, "
        "give or take 0.01 % for rounding; fails otherwise.",
    ),
    Claim(
        "second_minimum",
        "Where the closed form has two minima, so has the mean risk, and the last is lower than the first where the "
        "closed form says so.",
        "Heckel, Yilmaz 2021, linear regression",
        second_minimum,
        rule="At the measured steps where the closed form turns. Holds if every mean difference over seeds from one to "
        "the next, and from the first minimum to the last, has the sign of the closed form with its whole 95 % "
        "interval; fails if one has the other sign with its whole interval.",
    ),
    Claim(
        "patience_misses",
        "Early stopping at the first minimum misses a second one that is lower.",
        "Heckel, Yilmaz 2021; Nakkiran et al. 2020",
        patience_misses,
        rule="A run misses it if the patience rule (until the steps have doubled without a lower validation loss) "
        "stops before the closed form's maximum, with a higher excess risk than at the lowest validation loss "
        "of all steps. Holds if the Wilson 95 % interval of the share that misses lies above one half, fails if "
        "below, in every cell with the most features per scale, where single runs look like their mean; cells "
        "with fewer stand beside.",
    ),
    Claim(
        "stopping_beats_the_end",
        "With noisy labels, stopping where the validation loss is lowest beats training to the end.",
        "Prechelt 1998; Nakkiran et al. 2020",
        stopping_beats_the_end,
        rule="Holds if in every cell with label noise the mean difference of the two excess risks over seeds is "
        "negative with its whole 95 % interval; fails if in one it is positive with its whole interval.",
    ),
    Claim(
        "aligned_has_one_minimum",
        "Step sizes that let all scales be lowest at the same step remove the second descent, and lower the minimum.",
        "Heckel, Yilmaz 2021, linear regression",
        aligned_has_one_minimum,
        rule="Over the same seeds. Holds if with aligned step sizes the mean risk never rises before its lowest step "
        "and never falls after it by more than 4 standard errors, and the lowest mean risk is below that of equal "
        "step sizes with the whole 95 % interval of the difference; fails if it does, or the interval lies above.",
    ),
    Claim(
        "close_to_ridge",
        "The best stopped gradient descent has at most 1.22 times the risk of the best ridge regression.",
        "Ali, Kolter, Tibshirani 2019 (gradient flow, uncorrelated features of one scale, many of them)",
        close_to_ridge,
        rule="The lowest mean excess risk over steps by the lowest over penalties, features of one scale. Holds if in "
        "every cell the 95 % bootstrap interval over seeds lies below 1.22, fails if it lies above in one.",
    ),
)
