"""What curves add to medians: means with their interval, theory on top, and a marked minimum."""

import numpy as np
import pytest
from synthetic import make
from there import there, xy

from phenom_jax.report.curves import draw_curves
from phenom_jax.report.marks import Clock, Curves, Line, Lines, Overlay, Scale

SCALE = Scale("loss")
LOSSES: Lines = {"train_loss": "--", "test_loss": "-"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make(tmp_path_factory.mktemp("curves") / "r", weight_decay=(0.0, 1.0), width=(128,), noise=0.5)


def test_a_mean_has_its_interval_and_no_single_runs(results):
    decayed = results.isel(run=(results.weight_decay == 0).values)
    figure = there(draw_curves(Curves({"test_loss": "-"}, SCALE, centre="mean"), decayed))
    (axis,) = figure.axes
    losses = decayed.test_loss.values.astype(float)
    np.testing.assert_allclose(xy(axis.lines[0])[:, 1], losses.mean(0), rtol=1e-6)
    (band,) = axis.collections
    half = 3.182 * losses.std(0, ddof=1) / 2  # Student's t of 3 degrees of freedom, 4 runs
    top = np.asarray(band.get_paths()[0].vertices)[:, 1].max()
    assert top == pytest.approx((losses.mean(0) + half).max(), rel=1e-3)
    assert figure.get_supxlabel() == "Mean and its 95 % interval of 4 runs"


def test_theory_is_drawn_over_each_curve_where_it_is_finite(results):
    seen = []

    def theory(runs, steps):
        seen.append((runs.weight_decay.values.tolist(), runs.sizes["run"]))
        return np.where(steps > 100, 1 / np.maximum(steps, 1), np.inf)

    overlay = Overlay("closed form", {"test_loss": theory})
    figure = there(draw_curves(Curves({"test_loss": "-"}, SCALE, colour="weight_decay", overlay=overlay), results))
    drawn = figure.axes[0].lines
    assert seen == [([0.0] * 4, 4), ([1.0] * 4, 4)] and len(drawn) == 4
    steps, values = xy(drawn[1]).T
    assert set(results.step.values) <= set(steps) and len(steps) > 2 * results.sizes["step"]
    assert np.isnan(values[steps <= 100]).all() and np.isfinite(values[steps > 100]).all()
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "closed form"


def test_the_legend_names_only_theory_that_is_drawn(results):
    overlay = Overlay("closed form", {"test_loss": lambda runs, steps: np.full(len(steps), np.nan)})
    figure = there(draw_curves(Curves({"test_loss": "-"}, SCALE, colour="weight_decay", overlay=overlay), results))
    assert "closed form" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_lowest_centre_is_marked_with_its_step(results):
    figure = there(
        draw_curves(
            Curves({"test_loss": "-"}, SCALE, colour="weight_decay", lowest="test_loss", centre="mean"), results
        )
    )
    (axis,) = figure.axes
    lines = [line for line in axis.lines if len(xy(line)) > 1]
    expected = [f"{xy(line)[np.argmin(line.get_ydata()), 0]:g}" for line in lines]
    assert [text.get_text() for text in axis.texts] == expected
    assert "dots: lowest mean of test cross-entropy" in figure.get_supxlabel().replace("\n", " ")


def test_without_a_colour_axis_each_variable_has_its_colour(results):
    figure = there(draw_curves(Curves(LOSSES, SCALE, panel="weight_decay", centre="mean"), results))
    train, test = figure.axes[0].lines
    assert train.get_color() != test.get_color()
    assert [handle.get_color() for handle in figure.legends[0].get_lines()] == [train.get_color(), test.get_color()]
    asked = there(draw_curves(Curves(LOSSES, SCALE, colour="width", centre="mean"), results))
    assert len({line.get_color() for line in asked.axes[0].lines}) == 1


def test_a_short_logarithmic_axis_has_plain_numbers_between_powers_of_ten(results):
    figure = there(draw_curves(Curves({"test_loss": "-"}, Scale("loss", log=True, limits=(0.04, 0.5))), results))
    axis = figure.axes[0].yaxis
    minor = axis.get_minor_formatter()
    minor.set_locs(list(axis.get_minorticklocs()))
    assert {minor(value) for value in (0.05, 0.2, 0.3)} - {""} <= {"0.05", "0.2", "0.3"}
    assert minor(0.2) == "0.2"


def test_a_line_may_have_words_of_its_own(results):
    figure = there(draw_curves(Curves({"train_loss": Line("--", "train"), "test_loss": "-"}, SCALE), results))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test cross-entropy"]
    assert figure.axes[0].lines[0].get_linestyle() == "--"


def test_a_clock_counts_in_a_hyperparameter_that_all_runs_share(results, tmp_path):
    clock = Clock("time", "learning_rate")
    mark = Curves({"test_loss": "-"}, SCALE, clock=clock, colour="learning_rate")
    axis = there(draw_curves(mark, results)).axes[0]
    assert axis.get_xlabel() == "time" and xy(axis.lines[0])[-1, 0] == pytest.approx(100)
    several = make(tmp_path / "r", seed=(0,), weight_decay=(1.0,), width=(128,), learning_rate=(1e-3, 1e-2))
    assert there(draw_curves(mark, several)).axes[0].get_xlabel() == "training step"


def test_a_scale_may_choose_to_be_logarithmic(results):
    def scale_of(name):
        return there(draw_curves(Curves({name: "-"}, Scale("", "auto")), results)).axes[0].get_yscale()

    assert scale_of("test_loss") == scale_of("weight_norm") == "linear"  # no decay: neither falls
    decayed = results.isel(run=(results.weight_decay == 1).values)
    assert there(draw_curves(Curves({"test_loss": "-"}, Scale("", "auto")), decayed)).axes[0].get_yscale() == "log"
