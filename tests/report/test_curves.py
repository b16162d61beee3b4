"""What curves add to medians: means with their interval, theory on top, and a marked minimum."""

import numpy as np
import pytest
from synthetic import make

from phenom_jax.report.curves import Overlay, Scale, curves

SCALE = Scale("loss")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make(tmp_path_factory.mktemp("curves") / "r", weight_decay=(0.0, 1.0), width=(128,), noise=0.5)


def test_a_mean_has_its_interval_and_no_single_runs(results):
    decayed = results.isel(run=(results.weight_decay == 0).values)
    figure = curves(decayed, {"test_loss": "-"}, SCALE, centre="mean")
    (axis,) = figure.axes
    losses = decayed.test_loss.values.astype(float)
    np.testing.assert_allclose(axis.lines[0].get_ydata(), losses.mean(0), rtol=1e-6)
    (band,) = axis.collections
    half = 3.182 * losses.std(0, ddof=1) / 2  # Student's t of 3 degrees of freedom, 4 runs
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx((losses.mean(0) + half).max(), rel=1e-3)
    assert figure.get_supxlabel() == "Mean and its 95 % interval of 4 runs"


def test_theory_is_drawn_over_each_curve_where_it_is_finite(results):
    seen = []

    def theory(runs, steps):
        seen.append((runs.weight_decay.values.tolist(), runs.sizes["run"]))
        return np.where(steps > 100, 1 / np.maximum(steps, 1), np.inf)

    overlay = Overlay("closed form", {"test_loss": theory})
    figure = curves(results, {"test_loss": "-"}, SCALE, colour="weight_decay", overlay=overlay)
    drawn = figure.axes[0].lines
    assert seen == [([0.0] * 4, 4), ([1.0] * 4, 4)] and len(drawn) == 4
    steps, values = drawn[1].get_xdata(), drawn[1].get_ydata()
    assert set(results.step.values) <= set(steps) and len(steps) > 2 * results.sizes["step"]
    assert np.isnan(values[steps <= 100]).all() and np.isfinite(values[steps > 100]).all()
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "closed form"


def test_the_lowest_centre_is_marked_with_its_step(results):
    figure = curves(results, {"test_loss": "-"}, SCALE, colour="weight_decay", minimum_of="test_loss", centre="mean")
    (axis,) = figure.axes
    lines = [line for line in axis.lines if len(line.get_xdata()) > 1]
    expected = [str(line.get_xdata()[np.argmin(line.get_ydata())]) for line in lines]
    assert [text.get_text() for text in axis.texts] == expected
    assert "dots: lowest mean of test cross-entropy" in figure.get_supxlabel()


def test_without_a_colour_axis_each_variable_has_its_colour(results):
    figure = curves(results, {"train_loss": "--", "test_loss": "-"}, SCALE, panel="weight_decay", centre="mean")
    train, test = figure.axes[0].lines
    assert train.get_color() != test.get_color()
    assert [handle.get_color() for handle in figure.legends[0].get_lines()] == [train.get_color(), test.get_color()]
    asked = curves(results, {"train_loss": "--", "test_loss": "-"}, SCALE, colour="width", centre="mean")
    assert len({line.get_color() for line in asked.axes[0].lines}) == 1


def test_a_short_logarithmic_axis_has_plain_numbers_between_powers_of_ten(results):
    figure = curves(results, {"test_loss": "-"}, Scale("loss", log=True, limits=(0.04, 0.5)))
    axis = figure.axes[0].yaxis
    minor = axis.get_minor_formatter()
    minor.set_locs(axis.get_minorticklocs())
    assert {minor(value) for value in (0.05, 0.2, 0.3)} - {""} <= {"0.05", "0.2", "0.3"}
    assert minor(0.2) == "0.2"
