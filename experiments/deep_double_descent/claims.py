"""The claims about double descent of networks, each decided on a sweep with its bootstrap interval over seeds."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import xarray as xr

from experiments.deep_double_descent.threshold import Curve, curves_over_width, threshold
from phenom_jax.laws.bootstrap import Interval, bootstrap
from phenom_jax.laws.peak import inner_peak
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import cell_axes, show

NEAR = 1.5  # a peak is at the threshold if their widths differ by no more than this factor
NAMES = ("train_error", "test_error", "test_loss")
LEAST = {"test_error": 0.01, "test_loss": 0.05}  # prominence from which a rise is a peak: a point of error, 0.05 nat
SAID = {"test_error": "test error", "test_loss": "test loss"}


class _Found(NamedTuple):
    peak: Interval  # width
    prominence: Interval
    threshold: Interval  # width


def peak_at_threshold(results: xr.Dataset, name: str) -> Decision:
    """Compares the width at which the mean over seeds peaks with the width at which the train set is fitted."""
    curves, short = _noisiest(results)
    if short:
        return Decision("undecided", short)
    found = [_peak(curve, name) for curve in curves]
    verdicts = [_at_threshold(item, LEAST[name]) for item in found]
    verdict: Verdict = "holds" if set(verdicts) == {"holds"} else "fails" if "fails" in verdicts else "undecided"
    sentences = [_sentence(curve, name, item) for curve, item in zip(curves, found, strict=True)]
    first = found[0]
    return Decision(
        verdict,
        "; ".join(sentences),
        {
            "peak_width": first.peak.estimate,
            "prominence": first.prominence.estimate,
            "prominence_low": first.prominence.low,
            "prominence_high": first.prominence.high,
            "threshold": first.threshold.estimate,
            "threshold_low": first.threshold.low,
            "threshold_high": first.threshold.high,
        },
    )


def noise_raises_peak(results: xr.Dataset) -> Decision:
    """Compares the prominence of the peak of test error with the most and with the least label noise."""
    curves = list(curves_over_width(results, NAMES))
    levels = sorted({curve.setting.get("label_noise", 0) for curve in curves})
    if len(levels) < 2:
        return Decision("undecided", f"{len(levels)} label noises with three widths, at least 2 are needed")
    low, high = (
        [curve for curve in curves if curve.setting["label_noise"] == level] for level in (levels[0], levels[-1])
    )
    pairs = [(one, other) for one in low for other in high if _others(one) == _others(other)]
    pairs = [(one, other) for one, other in pairs if _comparable(one, other)]
    if not pairs:
        return Decision("undecided", "no seeds and widths are common to the least and the most label noise")
    seeds = min(len(one.values_SxK["test_error"]) for one, _ in pairs)

    def difference(rows: np.ndarray) -> float:
        return float(np.mean([_prominence(other, rows) - _prominence(one, rows) for one, other in pairs]))

    found = bootstrap(difference, np.arange(seeds))
    return Decision(
        _sign(found),
        f"with label noise {show(levels[-1])} the peak of test error is higher by {found} than with {show(levels[0])} "
        f"({seeds} seeds, {len(pairs)} settings)",
        {"difference": found.estimate, "low": found.low, "high": found.high, "seeds": seeds},
    )


def more_data_hurts(results: xr.Dataset, name: str) -> Decision:
    """Compares train sets of successive sizes at the width that just fits the larger one."""
    curves = list(curves_over_width(results, NAMES))
    if len({curve.setting.get("samples") for curve in curves}) < 2:
        return Decision("undecided", "one number of train examples with three widths, at least 2 are needed")
    level = max(curve.setting.get("label_noise", 0) for curve in curves)
    curves = [curve for curve in curves if curve.setting.get("label_noise", 0) == level]
    curves.sort(key=lambda curve: curve.setting["samples"])
    changes, said = [], []
    for fewer, more in itertools.pairwise(curves):
        if not _comparable(fewer, more) or fewer.setting["samples"] == more.setting["samples"]:
            continue
        width = threshold(more.values_SxK["train_error"], more.widths_K)
        if np.isnan(width):
            continue
        column = int(np.searchsorted(more.widths_K, width))
        changes.append(more.values_SxK[name][:, column] - fewer.values_SxK[name][:, column])
        said.append(
            f"{changes[-1].mean():+.3g} from {fewer.setting['samples']} to {more.setting['samples']} at {width:g}"
        )
    if not changes:
        return Decision("undecided", "no width that fits the larger of two train sets was trained on both")
    seeds = min(map(len, changes))
    found = bootstrap(lambda rows: float(np.mean([change[rows].mean() for change in changes])), np.arange(seeds))
    return Decision(
        _sign(found),
        f"at the width that just fits the larger train set {SAID[name]} changes by {found} on average "
        f"({'; '.join(said)}; {seeds} seeds)",
        {"change": found.estimate, "low": found.low, "high": found.high, "seeds": seeds},
    )


def falls_twice_in_time(results: xr.Dataset) -> Decision:
    """Looks for a peak of test error along training in the widest networks with the most label noise."""
    axes = cell_axes(results)
    runs = results.isel(run=results["status"].isin(["finished", "done"]).values)
    for axis in axes:
        if axis in ("width", "label_noise", "samples", "steps") and runs.sizes["run"]:
            runs = runs.isel(run=(runs[axis] == runs[axis].max()).values)
    others = [axis for axis in axes if len(np.unique(runs[axis].values)) > 1]
    if others or runs.sizes["run"] < 2:
        said = f"{', '.join(others)} varies" if others else f"{runs.sizes['run']} runs of the widest networks"
        return Decision("undecided", f"{said}, at least 2 alike are needed")
    noise, width = runs["label_noise"].values[0].item(), runs["width"].values[0].item()
    if noise == 0:
        return Decision("undecided", "no run has label noise, of which the second descent is expected")
    measured = np.isfinite(runs["test_error"].values).all(0)
    errors_SxT, steps_T = runs["test_error"].values[:, measured], runs["step"].values[measured]
    found = bootstrap(lambda rows: inner_peak(errors_SxT[rows].mean(0)).prominence, runs["seed"].values)
    index = inner_peak(errors_SxT.mean(0)).index
    where = f"peaks at step {steps_T[index]:g}" if index >= 0 else "has no peak"
    mean_T = errors_SxT.mean(0)
    return Decision(
        _above(found, LEAST["test_error"]),
        f"width {width}, label noise {show(noise)}: test error {where}, by {found}; it ends at {mean_T[-1]:.3g}, its "
        f"least is {mean_T.min():.3g} at step {steps_T[mean_T.argmin()]:g} ({len(errors_SxT)} seeds)",
        {"prominence": found.estimate, "low": found.low, "high": found.high, "last": mean_T[-1], "least": mean_T.min()},
    )


def _noisiest(results: xr.Dataset) -> tuple[list[Curve], str]:
    """Returns the curves over width with the most label noise, or what is missing in words."""
    curves = list(curves_over_width(results, NAMES))
    if not curves:
        return [], "no setting has three widths that are over"
    noise = max(float(curve.setting.get("label_noise", 0)) for curve in curves)
    return [curve for curve in curves if float(curve.setting.get("label_noise", 0)) == noise], ""


def _peak(curve: Curve, name: str) -> _Found:
    values_SxK, errors_SxK, widths_K = curve.values_SxK[name], curve.values_SxK["train_error"], curve.widths_K

    def width(rows: np.ndarray) -> float:
        index = inner_peak(values_SxK[rows].mean(0)).index
        return float(widths_K[index]) if index >= 0 else np.nan

    seeds = np.arange(len(values_SxK))
    return _Found(
        bootstrap(width, seeds),
        bootstrap(lambda rows: inner_peak(values_SxK[rows].mean(0)).prominence, seeds),
        bootstrap(lambda rows: threshold(errors_SxK[rows], widths_K), seeds),
    )


def _at_threshold(found: _Found, least: float) -> Verdict:
    """Returns whether there is a peak, and the threshold is within the factor NEAR of it."""
    there = _above(found.prominence, least)
    if there != "holds" or np.isnan(found.threshold.estimate):
        return "undecided" if there == "holds" else there
    ratio = found.threshold.estimate / found.peak.estimate
    return "holds" if 1 / NEAR <= ratio <= NEAR else "fails"


def _above(found: Interval, least: float) -> Verdict:
    """Returns whether an interval lies above a value, below it, or neither; without an interval nothing is decided."""
    return "holds" if found.low > least else "fails" if found.high < least else "undecided"


def _sign(found: Interval) -> Verdict:
    return _above(found, 0.0)


def _prominence(curve: Curve, rows: np.ndarray) -> float:
    return inner_peak(curve.values_SxK["test_error"][rows].mean(0)).prominence


def _others(curve: Curve) -> dict:
    return {name: value for name, value in curve.setting.items() if name != "label_noise"}


def _comparable(one: Curve, other: Curve) -> bool:
    """Whether two curves have the same widths and as many seeds."""
    same = np.array_equal(one.widths_K, other.widths_K)
    return same and len(one.values_SxK["test_error"]) == len(other.values_SxK["test_error"])


def _sentence(curve: Curve, name: str, found: _Found) -> str:
    """Returns what was found on one curve in words."""
    setting = f"{curve.said}: " if curve.said else ""
    peaks = f"peaks at width {_width(found.peak)} by {_number(found.prominence)}"
    fits = f"is at most 1 % from width {_width(found.threshold)} on"
    return (
        f"{setting}{SAID[name]} {'has no peak' if np.isnan(found.peak.estimate) else peaks}, train error "
        f"{'is above 1 % at the largest width' if np.isnan(found.threshold.estimate) else fits}, "
        f"{len(curve.values_SxK[name])} seeds"
    )


def _width(found: Interval) -> str:
    """Returns a width with its interval in whole numbers."""
    return f"{found.estimate:.0f}" + ("" if np.isnan(found.low) else f" [{found.low:.0f}, {found.high:.0f}]")


def _number(found: Interval) -> str:
    return f"{found.estimate:.3g}" if np.isnan(found.low) else str(found)


_PEAK_RULE = (
    "In every setting with the most label noise. Holds if the mean over seeds has a peak inside whose prominence (its "
    "height above the higher of the lowest values on its two sides) exceeds {least} with its whole 95 % bootstrap "
    "interval over seeds, and whose width is within a factor of 1.5 of the least from which on mean train error is at "
    "most 1 %; fails if the prominence lies below, or the width is elsewhere."
)

_SAMPLES_RULE = (
    "With the most label noise, at the least width whose train error on the larger set is at most 1 %. Holds if the "
    "mean change from the smaller train set to the larger is above 0 with its whole 95 % bootstrap interval over "
    "seeds; fails if below."
)

CLAIMS = (
    Claim(
        "error_peaks_at_threshold",
        "Test error peaks where networks just fit their train set.",
        "Nakkiran et al. 2020, figure 1; Belkin et al. 2019",
        lambda results: peak_at_threshold(results, "test_error"),
        rule=_PEAK_RULE.format(least="0.01"),
    ),
    Claim(
        "loss_peaks_at_threshold",
        "Test loss peaks where networks just fit their train set.",
        "Nakkiran et al. 2020, figure 1; Belkin et al. 2019",
        lambda results: peak_at_threshold(results, "test_loss"),
        rule=_PEAK_RULE.format(least="0.05 nat"),
    ),
    Claim(
        "noise_raises_peak",
        "Label noise raises the peak of test error.",
        "Nakkiran et al. 2020, figure 4",
        noise_raises_peak,
        rule="Holds if the prominence of the peak of mean test error over width, 0 without a peak, is larger with the "
        "most label noise than with the least, with the whole 95 % bootstrap interval over seeds; fails if smaller.",
    ),
    Claim(
        "more_data_raises_error",
        "At the threshold more train examples raise test error.",
        "Nakkiran et al. 2020, figure 11",
        lambda results: more_data_hurts(results, "test_error"),
        rule=_SAMPLES_RULE,
    ),
    Claim(
        "more_data_raises_loss",
        "At the threshold more train examples raise test loss.",
        "Nakkiran et al. 2020, section 7 (transformers)",
        lambda results: more_data_hurts(results, "test_loss"),
        rule=_SAMPLES_RULE,
    ),
    Claim(
        "falls_twice_in_time",
        "In wide networks with noisy labels test error falls, rises and falls again along training.",
        "Nakkiran et al. 2020, figure 9 (epoch-wise double descent)",
        falls_twice_in_time,
        rule="At the largest width and the most label noise. Holds if the mean over seeds has a peak inside training "
        "of prominence above 0.01 with its whole 95 % bootstrap interval over seeds; fails if it lies below.",
    ),
)
