"""The claims of deep double descent on sweeps in closed form, and its figures."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.deep_double_descent.claims import CLAIMS, peak_height, peak_place
from experiments.deep_double_descent.figures import FIGURES, around_threshold, threshold
from experiments.deep_double_descent.science import fitting_width
from phenom_jax.claims.lift import decide_all
from phenom_jax.report.draw import draw

WIDTHS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
STEPS = np.array([0, 10, 100, 1000])
ERROR_PEAK, ERROR_PLACE, LOSS_PEAK, LOSS_PLACE, NOISE, MORE_ERROR, MORE_LOSS, TWICE = range(8)


def sweep(peak_at=16, fits_at=16, noise=(0.0, 0.2), samples=(1000,), seeds=8, hurts=0.0, again=0.0, scatter=0.002):
    """Returns results whose test error falls with log width and has a bump, as high as the label noise, at a width."""
    axes = {"width": WIDTHS, "label_noise": noise, "samples": samples, "seed": tuple(range(seeds))}
    points = list(itertools.product(*axes.values()))
    columns = {name: np.array(column) for name, column in zip(axes, zip(*points), strict=True)}
    log_width = np.log(columns["width"])
    bump = columns["label_noise"] * np.exp(-((log_width - np.log(peak_at)) ** 2) / 0.1)
    jitter = scatter * np.random.default_rng(0).standard_normal(len(points))
    more = hurts * (columns["samples"] - samples[0]) / 1000
    final = {
        "test_error": 0.5 - 0.05 * log_width + bump + more + jitter,
        "test_loss": 2 - 0.1 * log_width + 5 * bump - more + jitter,
        "train_error": np.where(columns["width"] >= fits_at, 0.0, 0.3),
        "train_loss": np.where(columns["width"] >= fits_at, 0.01, 1.0),
    }
    time = np.array([0.4, -0.05, again, 0.0])
    curves = {name: values[:, None] + ("test" in name) * time[None, :] for name, values in final.items()}
    fit_step = np.where(columns["width"] >= fits_at, 100.0, np.nan)
    coords = {name: ("run", column, {"hyperparameter": "size"}) for name, column in columns.items()}
    coords |= {"step": STEPS, "status": ("run", ["finished"] * len(points))}
    results = xr.Dataset({n: (("run", "step"), c) for n, c in curves.items()}, coords, {"order": list(axes)})
    return results.assign(
        epochs=(("run", "step"), np.tile(STEPS / 10, (len(points), 1))),
        fit_step=("run", fit_step),
        best_step=("run", np.full(len(points), 10)),
    )


def decided(results):
    return decide_all(CLAIMS, results, strict=True)


def verdicts(**options):
    return [finding.verdict for finding in decided(sweep(**options))]


def test_claims_that_are_true_hold():
    found = decided(sweep(samples=(1000, 2000), hurts=0.05, again=0.03))
    expected = ["holds"] * 8
    expected[MORE_LOSS] = "fails"  # test loss falls with more data there
    assert [finding.verdict for finding in found] == expected
    assert found[ERROR_PEAK].numbers["half as wide"].mean() == pytest.approx(0.2 - 0.05 * np.log(2), abs=0.02)
    assert found[ERROR_PLACE].estimate.estimate == pytest.approx(1, abs=0.15)
    assert found[MORE_ERROR].estimate.estimate == pytest.approx(0.05, abs=0.01)
    assert found[TWICE].numbers["at the end"].mean() == pytest.approx(0.03, abs=0.005)


def test_a_peak_elsewhere_fails():
    found = verdicts(peak_at=8, fits_at=24)
    assert {found[claim] for claim in (ERROR_PEAK, ERROR_PLACE, LOSS_PEAK, LOSS_PLACE)} == {"fails"}


def test_a_curve_without_a_peak_fails_and_noise_alone_makes_none():
    """The height is that at a width told from train error, not a largest value, which noise of seeds would raise."""
    found = verdicts(noise=(0.0,), scatter=0.0)
    assert found[ERROR_PEAK] == found[LOSS_PEAK] == "fails"
    assert found[ERROR_PLACE] == found[NOISE] == found[TWICE] == "not tested"
    noisy = decided(sweep(noise=(0.0,), scatter=0.02, seeds=12))
    assert noisy[ERROR_PEAK].verdict != "holds" and noisy[ERROR_PEAK].estimate.estimate < 0.01
    assert verdicts(again=-0.06)[TWICE] == "fails"
    assert verdicts(again=0.0)[TWICE] == "fails"  # above its earlier best is not enough: it must fall again


def test_what_a_sweep_lacks_is_not_tested_and_few_seeds_decide_nothing():
    found = decided(sweep(seeds=4, samples=(1000, 2000), hurts=0.05, again=0.03))
    assert {finding.verdict for finding in found} == {"undecided"}
    one = decided(sweep(noise=(0.2,), fits_at=100, again=0.03))
    assert {one[claim].verdict for claim in range(8)} == {"not tested"}
    assert "fits its train set" in one[TWICE].reason and "train sets of two sizes" in one[MORE_ERROR].reason
    everything = sweep()
    narrow = decided(everything.isel(run=(everything["width"] < 8).values))
    assert narrow[ERROR_PEAK].verdict == "not tested" and "three widths" in narrow[ERROR_PEAK].reason


def test_the_threshold_is_the_width_from_which_on_train_sets_are_fitted():
    runs = sweep(noise=(0.2,), seeds=1)
    errors = np.array([0.5, 0.2, 0.005, 0.3, 0.04, 0.0, 0.0, 0.0, 0.0])  # fitted by 8 alone of the narrow ones
    runs["train_error"] = (("run", "step"), np.tile(errors[:, None], 4))
    assert fitting_width(runs) == pytest.approx(16 * 1.5**0.75)
    runs["train_error"] = (("run", "step"), np.full((len(WIDTHS), 4), 0.3))
    assert np.isnan(fitting_width(runs))
    assert threshold(sweep(noise=(0.2,), fits_at=24)) == pytest.approx(16 * 1.5 ** (29 / 30))
    assert np.isnan(threshold(sweep(samples=(1000, 2000))))


def test_heights_and_places_are_read_between_the_widths():
    runs = sweep(noise=(0.2,), seeds=1, scatter=0.0, peak_at=18, fits_at=16)
    assert peak_place(runs, "test_loss", "") == pytest.approx(18 / fitting_width(runs), rel=0.07)
    assert set(peak_height(runs, "test_error", "")) == {"half as wide", "twice as wide"}


def test_figures_are_drawn_from_what_there_is():
    drawn = {figure.name for figure in FIGURES if draw(figure, sweep(samples=(1000, 2000))) is not None}
    assert drawn == {figure.name for figure in FIGURES} >= {claim.figure for claim in CLAIMS}
    alone = {figure.name for figure in FIGURES if draw(figure, sweep(noise=(0.2,), seeds=1)) is not None}
    assert alone == {"error_over_width", "loss_over_width", "phases", "error_over_time"}
    assert set(around_threshold(sweep())["width"].values.tolist()) == {8, 16, 32, 64}
