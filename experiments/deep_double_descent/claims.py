"""What is claimed of double descent of networks: over width, with label noise, with more data, and along training."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import xarray as xr

from experiments.deep_double_descent.science import FITTED
from phenom_jax.claims import Claim, Source, above, at, last, need, settings, within
from phenom_jax.laws.peak import inner_peak
from phenom_jax.laws.transition import first_crossing

NAKKIRAN = Source("Nakkiran et al. 2020", "https://arxiv.org/abs/1912.02292")
MARGIN = {"test_error": 0.01, "test_loss": 0.05}  # a point of error and 0.05 nat: the least that is worth a name
OCTAVE = 2.0  # times as wide, or half as wide: what lies well beside a threshold
MNIST1D = "MNIST-1D, 15 % noise: {}"


def fitting_width(runs: xr.Dataset) -> float:
    """Returns the width from which on train error is at most 1 %, between those trained; NaN without one.

    Args:
      runs: alike but for their width.
    """
    log_widths_K, errors_K = _over_width(runs, "train_error")
    worst_K = np.maximum.accumulate(errors_K[::-1])[::-1]  # of this width and of all wider ones
    return float(np.exp(first_crossing(worst_K[None], log_widths_K, FITTED, "down").between[0]))


def noisiest(results: xr.Dataset) -> xr.DataArray:
    """Runs with the most label noise"""
    return results["label_noise"] == results["label_noise"].max()


def peak_height(runs: xr.Dataset, name: str, said: str) -> dict[str, float]:
    """{said} at the width that just fits the train set, less that at half and at twice the width"""
    curves = _curves(runs)
    middle, *sides = ([_at_width(curve, name, share) for curve in curves] for share in (1, 1 / OCTAVE, OCTAVE))
    heights = {f"{word} as wide": np.subtract(middle, side) for word, side in zip(("half", "twice"), sides)}
    need(np.isfinite(sides).all(0).any(), "a width that fits the train set, with half and twice of it")
    return {side: float(np.nanmean(values)) for side, values in heights.items()}


def peak_place(runs: xr.Dataset, name: str, said: str) -> float:
    """Width at which {said} peaks, over the one that just fits the train set"""
    ratios = [_peak_width(curve, name) / fitting_width(curve) for curve in _curves(runs)]
    return float(np.exp(np.nanmean(np.log(ratios)))) if np.isfinite(ratios).any() else np.nan


def noise_raises(runs: xr.Dataset) -> float:
    """Test error at the width that just fits, less its mean at half and at twice the width: most noise less least"""
    noises = np.unique(runs["label_noise"].values)
    need(len(noises) > 1, "two levels of label noise")
    most, least = (
        np.mean(list(peak_height(runs.isel(run=(runs["label_noise"] == noise).values), "test_error", "").values()))
        for noise in (noises[-1], noises[0])
    )
    return float(most - least)


def more_data(runs: xr.Dataset, name: str, said: str) -> float:
    """Change of {said} from a train set to the next larger at the width that just fits the latter, mean of pairs"""
    changes = []
    for _, alike in settings(runs, "width", "samples"):
        sizes = np.unique(alike["samples"].values)
        need(len(sizes) > 1, "train sets of two sizes")
        curves = [alike.isel(run=(alike["samples"] == size).values) for size in sizes]
        for fewer, more in itertools.pairwise(curves):
            width = fitting_width(more)
            changes.append(_interpolated(more, name, width) - _interpolated(fewer, name, width))
    return float(np.nanmean(changes)) if np.isfinite(changes).any() else np.nan


def widest_and_noisiest(results: xr.Dataset) -> xr.DataArray:
    """Runs of the widest networks on the largest train set with the most label noise"""
    largest = [results[axis] == results[axis].max() for axis in ("label_noise", "width", "samples")]
    return largest[0] & largest[1] & largest[2]


def second_descent(runs: xr.Dataset) -> dict[str, float]:
    """Test error when the train set is just fitted, less that when right labels were told best and at the end"""
    need((runs["label_noise"] > 0).all(), "label noise")
    need(runs["fit_step"].notnull().any(), "a network that fits its train set")
    peak = at(runs, "test_error", "fit")
    before, after = peak - at(runs, "test_error", "best"), peak - last(runs, "test_error")
    return {"before it": float(np.nanmean(before)), "at the end": float(np.nanmean(after))}


def _curves(runs: xr.Dataset) -> list[xr.Dataset]:
    """Returns the runs of one seed by setting otherwise alike."""
    curves = [curve for _, curve in settings(runs, "width")]
    need(all(curve.sizes["run"] > 2 for curve in curves), "three widths")
    return curves


def _over_width(runs: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logarithms of widths in ascending order, and a measure's last values there."""
    order = runs["width"].values.argsort()
    return np.log(runs["width"].values[order]), last(runs, name)[order]


def _at_width(runs: xr.Dataset, name: str, share: float) -> float:
    """Returns a measure at this share of the fitting width, NaN outside of what was trained."""
    return _interpolated(runs, name, share * fitting_width(runs))


def _interpolated(runs: xr.Dataset, name: str, width: float) -> float:
    return float(np.interp(np.log(width), *_over_width(runs, name), left=np.nan, right=np.nan))


def _peak_width(runs: xr.Dataset, name: str) -> float:
    """Returns the width of the inner peak, the vertex of a parabola through three values there; NaN without one."""
    log_widths_K, values_K = _over_width(runs, name)
    peak = inner_peak(values_K).index
    if peak < 0:
        return np.nan
    near = slice(peak - 1, peak + 2)
    bend, slope, _ = np.polyfit(log_widths_K[near] - log_widths_K[peak], values_K[near], 2)
    return float(np.exp(log_widths_K[peak] - slope / (2 * bend)))


ERROR, LOSS = {"name": "test_error", "said": "test error"}, {"name": "test_loss", "said": "test cross-entropy"}
NETWORKS = ("", "digits", "mnist5000")
CLAIMS = (
    Claim(
        "With noisy labels test error peaks over width: networks that just fit their train set do worse than narrower "
        "and than wider ones.",
        NAKKIRAN["figure 1"],
        partial(peak_height, **ERROR),
        above(MARGIN["test_error"]),
        about=noisiest,
        published=MNIST1D.format("47.2 % at width 16, 54.1 % at 47, 45.5 % at 300"),
        figure="error_over_width",
        presets=NETWORKS,
    ),
    Claim(
        "The peak of test error lies where networks just fit their train set.",
        NAKKIRAN["figure 1"],
        partial(peak_place, **ERROR),
        within(OCTAVE**-0.5, OCTAVE**0.5),
        about=noisiest,
        scale="log",
        published=MNIST1D.format("peak at width 47, train error 0 from 61 on"),
        figure="error_over_width",
        presets=NETWORKS,
    ),
    Claim(
        "Test loss peaks over width: networks that just fit their train set do worse than narrower and than wider "
        "ones.",
        NAKKIRAN["figure 1"],
        partial(peak_height, **LOSS),
        above(MARGIN["test_loss"]),
        about=noisiest,
        published=MNIST1D.format("peak of 5.8 nat"),
        figure="loss_over_width",
        presets=NETWORKS,
    ),
    Claim(
        "The peak of test loss lies where networks just fit their train set.",
        NAKKIRAN["figure 1"],
        partial(peak_place, **LOSS),
        within(OCTAVE**-0.5, OCTAVE**0.5),
        about=noisiest,
        scale="log",
        published=MNIST1D.format("peak at width 61, train error 0 from there on"),
        figure="loss_over_width",
        presets=NETWORKS,
    ),
    Claim(
        "Label noise raises the peak of test error.",
        NAKKIRAN["figure 4"],
        noise_raises,
        above(MARGIN["test_error"]),
        published="MNIST-1D: a peak with 15 % noise, none without",
        figure="error_over_width",
        presets=("", "digits"),
    ),
    Claim(
        "More train examples raise test error where a network just fits them.",
        NAKKIRAN["figure 11"],
        partial(more_data, **ERROR),
        above(0),
        about=noisiest,
        figure="error_over_samples",
        presets=("samplewise",),
    ),
    Claim(
        "More train examples raise test loss where a network just fits them.",
        NAKKIRAN["section 7"],
        partial(more_data, **LOSS),
        above(0),
        about=noisiest,
        figure="loss_over_samples",
        presets=("samplewise",),
    ),
    Claim(
        "In wide networks with noisy labels test error falls, rises and falls again along training.",
        NAKKIRAN["figure 9"],
        second_descent,
        above(MARGIN["test_error"]),
        about=widest_and_noisiest,
        figure="error_over_time",
        presets=("", "epochwise"),
    ),
)
