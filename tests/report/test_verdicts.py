"""The interval figure of a page's claims."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from there import there, xy

from phenom_jax.report.figures import rendered
from phenom_jax.report.verdicts import COLOURS, VerdictRow, verdicts

ROW = VerdictRow(
    "It falls.", "holds", 0.4, 0.3, 0.5, (-np.inf, 0.9), np.array([0.3, 0.35, 0.5]), False, "mean of 3 seeds"
)


def lines(axis, **wanted):
    return [line for line in axis.lines if all(getattr(line, f"get_{key}")() == value for key, value in wanted.items())]


def test_a_strip_shows_zone_dots_and_interval():
    figure = there(verdicts([ROW]))
    (axis,) = figure.axes
    low, high = axis.get_xlim()
    assert low < 0.3 and high > 0.9
    zone = axis.patches[0].get_extents().transformed(axis.transData.inverted())
    assert (zone.x0, zone.x1) == (pytest.approx(low), pytest.approx(0.9))
    np.testing.assert_allclose(xy(lines(axis, marker="o", markersize=4.5)[0])[:, 0], ROW.points)
    (bar,) = lines(axis, linewidth=4)
    assert xy(bar)[:, 0].tolist() == [0.3, 0.5] and to_hex(bar.get_color()) == COLOURS["holds"]
    said = [text.get_text() for text in figure.texts]
    assert said == ["It falls.", "holds", "mean of 3 seeds"]
    assert figure.get_figwidth() == 9 and rendered(figure, "png") == rendered(there(verdicts([ROW])), "png")


def test_infinite_ends_are_arrows_to_the_limits():
    (axis,) = there(verdicts([ROW._replace(low=-np.inf, high=np.inf, verdict="undecided")])).axes
    (bar,) = lines(axis, linewidth=4)
    assert tuple(xy(bar)[:, 0]) == axis.get_xlim()
    assert len(lines(axis, marker="<", markersize=10)) == len(lines(axis, marker=">", markersize=10)) == 1


def test_far_ends_do_not_squeeze_the_dots_and_infinite_units_are_arrows():
    (axis,) = there(verdicts([ROW._replace(low=-1e6, points=np.array([0.3, 0.5, np.inf, np.nan]))])).axes
    assert axis.get_xlim()[0] > -10
    assert [len(xy(line)) for line in lines(axis, marker=">")] == [1]


def test_claims_not_tested_are_left_out():
    untested = ROW._replace(verdict="not tested", estimate=np.nan, low=np.nan, high=np.nan, points=np.empty(0))
    assert len(there(verdicts([untested, ROW])).axes) == 1
    assert verdicts([untested]) is None and verdicts([]) is None


def test_a_family_has_a_row_for_each_cell_and_is_thinned():
    middle = np.linspace(1, 10, 30)
    family = ROW._replace(
        estimate=middle,
        low=middle / 2,
        high=middle * 2,
        zone=(2.0, np.inf),
        points=[np.array([value, value]) for value in middle],
        log=True,
        labels=[f"width {index}" for index in range(30)],
        cells=["fails"] + ["holds"] * 29,
    )
    figure = there(verdicts([family]))
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert len(names) == 12 and names[0] == "width 0" and names[-1] == "width 29"
    assert figure.texts[-1].get_text() == "mean of 3 seeds; 12 of 30 cells shown"
    bars = lines(axis, linewidth=4)
    assert [to_hex(bar.get_color()) for bar in bars] == [COLOURS["fails"], *[COLOURS["holds"]] * 11]


def test_equal_units_are_seen_side_by_side():
    (axis,) = there(verdicts([ROW._replace(points=np.array([1.0, 0.0, 1.0, 1.0]))])).axes
    (dots,) = lines(axis, marker="o", markersize=4.5)
    places = xy(dots)[:, 0]
    assert len(np.unique(places)) == 4 and places.mean() == pytest.approx(0.75)


def test_one_number_of_one_unit_and_none_at_all_have_a_width():
    for points in (np.array([0.0]), np.empty(0)):
        row = ROW._replace(estimate=0.0, low=0.0, high=0.0, zone=(0.0, np.inf), points=points)
        low, high = there(verdicts([row])).axes[0].get_xlim()
        assert low < 0 < high
