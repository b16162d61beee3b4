"""One number of each run against another."""

import numpy as np
import pytest
from synthetic import make, with_steps
from there import there, xy

from phenom_jax.report.marks import Points, Scale
from phenom_jax.report.points import draw_points

X, Y = Scale("weight decay", log=True), Scale("steps", log=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    found = make(tmp_path_factory.mktemp("points") / "r", weight_decay=(0.0, 0.3, 1.0))
    with np.errstate(divide="ignore"):
        steps = found.width.values / found.weight_decay.values**1.5
    return with_steps(found, when=np.where(np.isfinite(steps), steps, np.nan), first=steps / 2)


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_dot_for_each_run_and_the_exponent_of_each_colour(results):
    figure = there(draw_points(Points("weight_decay", "when", X, Y, colour="width", fit="power law"), results))
    (axis,) = figure.axes
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [len(xy(line)) for line in dots] == [8, 8]
    assert labels(figure) == ["width 32, exponent −1.5", "width 128, exponent −1.5"]
    fits = [line for line in axis.lines if line.get_marker() != "o"]
    x, y = xy(fits[1]).T
    np.testing.assert_allclose(y, 128 / x**1.5)
    said = figure.get_supxlabel().replace("\n", " ")
    assert "A dot for each of 16 runs (seed vary)" in said and "8 runs are left out" in said
    assert axis.get_xscale() == axis.get_yscale() == "log"


def test_the_exponents_of_several_panels_are_named_in_them(results):
    figure = there(draw_points(Points("weight_decay", "when", X, Y, panel="width", fit="power law"), results))
    assert [[text.get_text() for text in axis.texts] for axis in figure.axes] == [["exponent −1.5"]] * 2


def test_a_variable_may_be_x_and_the_diagonal_drawn(results):
    figure = there(
        draw_points(Points(("absent", "first"), "when", Y, Y, colour="weight_decay", diagonal=True), results)
    )
    *dots, diagonal = figure.axes[0].lines
    for line in dots:
        x, y = xy(line).T
        np.testing.assert_allclose(y, 2 * x)
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert labels(figure)[-1] == "equal"


def test_what_is_held_is_said(results):
    figure = there(draw_points(Points("first", "when", Y, Y, at={"width": max}), results))
    assert len(xy(figure.axes[0].lines[0])) == 8
    assert "Width 128 of 2 values" in figure.get_supxlabel()


@pytest.mark.parametrize("x, y", [("learning_rate", "when"), ("weight_decay", "absent"), ("absent", "when")])
def test_nothing_to_draw_is_none(results, x, y):
    assert draw_points(Points(x, y, X, Y), results) is None
