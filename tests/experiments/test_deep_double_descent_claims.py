"""The claims of deep double descent on sweeps in closed form."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.deep_double_descent.claims import CLAIMS
from experiments.deep_double_descent.figures import FIGURES, around_threshold
from experiments.deep_double_descent.threshold import curves_over_width, threshold, threshold_of
from phenom_jax.results.claims import decide_all

WIDTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
STEPS = np.array([0, 10, 100, 1000])


def sweep(peak_at=16, fits_at=16, noise=(0.0, 0.2), samples=(1000,), seeds=4, hurts=0.0, again=0.0):
    """Returns results whose test error falls with log width and has a bump, as high as the label noise, at a width."""
    axes = {"width": WIDTHS, "label_noise": noise, "samples": samples, "seed": tuple(range(seeds))}
    points = list(itertools.product(*axes.values()))
    columns = {name: np.array(column) for name, column in zip(axes, zip(*points), strict=True)}
    random = np.random.default_rng(0)
    log_width = np.log(columns["width"])
    bump = columns["label_noise"] * np.exp(-((log_width - np.log(peak_at)) ** 2) / 0.1)
    jitter = 0.002 * random.standard_normal(len(points))
    more = hurts * (columns["samples"] - samples[0]) / 1000
    final = {
        "test_error": 0.5 - 0.05 * log_width + bump + more + jitter,
        "test_loss": 2 - 0.1 * log_width + 5 * bump - more + jitter,
        "train_error": np.where(columns["width"] >= fits_at, 0.0, 0.3),
        "train_loss": np.where(columns["width"] >= fits_at, 0.01, 1.0),
    }
    time = np.array([0.4, -0.05, again, 0.0])
    curves = {name: values[:, None] + ("test" in name) * time[None, :] for name, values in final.items()}
    statuses = ("run", ["finished"] * len(points))
    coords = {n: ("run", c, {"hyperparameter": "size"}) for n, c in columns.items()} | {
        "step": STEPS,
        "status": statuses,
    }
    results = xr.Dataset({n: (("run", "step"), c) for n, c in curves.items()}, coords, {"order": list(axes)})
    return results.assign(epochs=(("run", "step"), np.tile(STEPS / 10, (len(points), 1))))


def verdicts(**options):
    return {name: decision.verdict for name, decision in decide_all(CLAIMS, sweep(**options)).items()}


def test_claims_that_are_true_hold():
    found = decide_all(CLAIMS, sweep(samples=(1000, 2000), hurts=0.05, again=0.03))
    assert {name: decision.verdict for name, decision in found.items()} == {
        "error_peaks_at_threshold": "holds",
        "loss_peaks_at_threshold": "holds",
        "noise_raises_peak": "holds",
        "more_data_raises_error": "holds",
        "more_data_raises_loss": "fails",
        "falls_twice_in_time": "holds",
    }
    numbers = found["error_peaks_at_threshold"].numbers
    assert numbers["peak_width"] == numbers["threshold"] == 16
    assert found["noise_raises_peak"].numbers["low"] > 0.1
    assert found["more_data_raises_error"].numbers["change"] == pytest.approx(0.05, abs=0.01)
    assert found["falls_twice_in_time"].numbers["prominence"] == pytest.approx(0.03, abs=0.005)


def test_a_peak_elsewhere_fails():
    found = verdicts(peak_at=16, fits_at=48)
    assert found["error_peaks_at_threshold"] == found["loss_peaks_at_threshold"] == "fails"


def test_a_curve_without_a_peak_fails():
    found = verdicts(noise=(0.0,))
    assert found["error_peaks_at_threshold"] == "fails"
    assert found["noise_raises_peak"] == found["falls_twice_in_time"] == "undecided"
    assert verdicts(again=-0.06)["falls_twice_in_time"] == "fails"


def test_what_cannot_be_decided_says_why():
    found = decide_all(CLAIMS, sweep(seeds=1))
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    nothing = decide_all(CLAIMS, sweep().isel(run=slice(0, 0)))
    assert {decision.verdict for decision in nothing.values()} == {"undecided"}
    narrow = sweep()
    narrow = decide_all(CLAIMS, narrow.isel(run=(narrow["width"] < 8).values))
    assert narrow["error_peaks_at_threshold"].statistic == "no setting has three widths that are over"
    for decided in (found, nothing, narrow):
        assert not any("could not be computed" in decision.statistic for decision in decided.values())


def test_the_threshold_is_the_width_from_which_on_the_mean_fits():
    widths = np.array([2, 4, 8, 16])
    assert threshold(np.array([[0.5, 0.0, 0.02, 0.0], [0.5, 0.04, 0.0, 0.01]]), widths) == 8
    assert threshold(np.array([[0.5, 0.005, 0.2, 0.0]]), widths) == 16
    assert np.isnan(threshold(np.array([[0.5, 0.4, 0.3, 0.2]]), widths))
    assert threshold_of(sweep(noise=(0.2,), fits_at=24)) == 24
    assert np.isnan(threshold_of(sweep()))  # more than one setting


def test_curves_leave_out_seeds_that_lack_a_width():
    results = sweep(noise=(0.2,), seeds=3)
    lost = (results["seed"] == 1) & (results["width"] == 8)
    results["status"] = ("run", np.where(lost, "diverged", "finished"))
    (curve,) = curves_over_width(results, ("test_error",))
    assert curve.values_SxK["test_error"].shape == (2, len(WIDTHS))


def test_figures_are_drawn_from_what_there_is():
    results = sweep(samples=(1000, 2000))
    drawn = {figure.name for figure in FIGURES if figure.draw(results) is not None}
    assert drawn == {figure.name for figure in FIGURES}
    alone = {figure.name for figure in FIGURES if figure.draw(sweep(noise=(0.2,), seeds=1)) is not None}
    assert alone == {"error_over_width", "loss_over_width", "phases", "error_over_time"}
    assert set(around_threshold(sweep())["width"].values.tolist()) == {8, 16, 32, 64}
