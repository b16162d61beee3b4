"""What is claimed of double descent of networks: over width, with label noise, with more data, and along training."""

import itertools
from functools import partial

import numpy as np
import xarray as xr

from experiments.deep_double_descent.science import by_width, fitting_width
from phenom_jax.claims import Claim, Source, above, need, within
from phenom_jax.claims.runs import at, last
from phenom_jax.laws.peak import inner_peak
from phenom_jax.store.axes import settings

NAKKIRAN = Source("Nakkiran et al. 2020", "https://arxiv.org/abs/1912.02292")
MARGIN = {"test_error": 0.01, "test_loss": 0.05}  # a point of error and 0.05 nat: the least that is worth a name
OCTAVE = 2.0  # times as wide, or half as wide: what lies well beside a threshold


def noisiest(results: xr.Dataset) -> xr.DataArray:
    """Runs with the most label noise"""
    return results["label_noise"] == results["label_noise"].max()


def peak_height(runs: xr.Dataset, name: str, word: str) -> dict[str, float]:
    """Test {word} at the width that just fits the train set, less that at half and at twice the width"""
    curves = _curves(runs)
    shares = (1, 1 / OCTAVE, OCTAVE)
    found = np.array([[_at_width(curve, name, share * fitting_width(curve)) for share in shares] for curve in curves])
    found = found[np.isfinite(found).all(1)]
    need(len(found), "a width that fits the train set, with half and twice of it")
    peak, half, twice = found.mean(0)
    return {"half as wide": peak - half, "twice as wide": peak - twice}


def peak_place(runs: xr.Dataset, name: str, word: str) -> float:
    """Width at which test {word} peaks, over the one that just fits the train set"""
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


def more_data(runs: xr.Dataset, name: str, word: str) -> float:
    """Change of test {word} from a train set to the next larger, at the width that just fits that, mean of pairs"""
    changes = []
    for _, alike in settings(runs, "width", "samples"):
        sizes = np.unique(alike["samples"].values)
        need(len(sizes) > 1, "train sets of two sizes")
        curves = [alike.isel(run=(alike["samples"] == size).values) for size in sizes]
        for fewer, more in itertools.pairwise(curves):
            width = fitting_width(more)
            changes.append(_at_width(more, name, width) - _at_width(fewer, name, width))
    return float(np.nanmean(changes)) if np.isfinite(changes).any() else np.nan


def widest_and_noisiest(results: xr.Dataset) -> xr.DataArray:
    """Runs of the widest networks on the largest train set with the most label noise"""
    largest = (results["width"] == results["width"].max()) & (results["samples"] == results["samples"].max())
    return noisiest(results) & largest


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


def _at_width(runs: xr.Dataset, name: str, width: float) -> float:
    """Returns a measure between the widths trained, NaN outside of them."""
    return float(np.interp(np.log(width), *by_width(runs, name), left=np.nan, right=np.nan))


def _peak_width(runs: xr.Dataset, name: str) -> float:
    """Returns the width of the inner peak, the vertex of a parabola through three values there; NaN without one."""
    log_widths_K, values_K = by_width(runs, name)
    peak = inner_peak(values_K).index
    if peak < 0:
        return np.nan
    near = slice(peak - 1, peak + 2)
    bend, slope, _ = np.polyfit(log_widths_K[near] - log_widths_K[peak], values_K[near], 2)
    return float(np.exp(log_widths_K[peak] - slope / (2 * bend)))


def over_width(word: str, height: str, place: str) -> tuple[Claim, Claim]:
    """Returns the two claims on the peak of test error or loss, with what MNIST-1D's authors found of each."""
    name, figure, presets = f"test_{word}", f"{word}_over_width", ("", "digits", "mnist5000")
    return (
        Claim(
            f"With noisy labels networks that just fit their train set have more test {word} than narrower and than "
            "wider ones.",
            NAKKIRAN["figure 1"],
            partial(peak_height, name=name, word=word),
            above(MARGIN[name]),
            about=noisiest,
            published=height,
            figure=figure,
            presets=presets,
        ),
        Claim(
            f"The peak of test {word} lies where networks just fit their train set.",
            NAKKIRAN["figure 1"],
            partial(peak_place, name=name, word=word),
            within(OCTAVE**-0.5, OCTAVE**0.5),  # nearer to that width than to half and to twice of it
            about=noisiest,
            scale="log",
            published=place,
            figure=figure,
            presets=presets,
        ),
    )


def over_samples(word: str, place: str) -> Claim:
    """Returns the claim on more data and test error or loss."""
    return Claim(
        f"More train examples raise test {word} where a network just fits them.",
        NAKKIRAN[place],
        partial(more_data, name=f"test_{word}", word=word),
        above(0),
        about=noisiest,
        published="more data hurts near the threshold",
        figure=f"{word}_over_samples",
        presets=("samplewise",),
    )


CLAIMS = (
    *over_width("error", "47.2 % at width 16, 54.1 % at 47, 45.5 % at 300 (MNIST-1D)", "47, fitted from 61 (MNIST-1D)"),
    *over_width("loss", "a peak of 5.8 nat (MNIST-1D)", "61, fitted from 61 (MNIST-1D)"),
    Claim(
        "Label noise raises the peak of test error.",
        NAKKIRAN["figure 4"],
        noise_raises,
        above(MARGIN["test_error"]),
        published="a peak with 15 % noise, none without (MNIST-1D)",
        figure="error_over_width",
    ),
    over_samples("error", "figure 11"),
    over_samples("loss", "section 7"),
    Claim(
        "In wide networks with noisy labels test error falls, rises and falls again along training.",
        NAKKIRAN["figure 9"],
        second_descent,
        above(MARGIN["test_error"]),
        about=widest_and_noisiest,
        published="a second descent after the train set is fitted",
        figure="error_over_time",
        presets=("", "epochwise"),
    ),
)
