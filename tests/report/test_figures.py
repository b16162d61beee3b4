import re
import subprocess
import sys

import numpy as np
import pytest
from synthetic import make, with_steps
from there import there, xy

from phenom_jax.laws.transition import first_crossing
from phenom_jax.report.curves import draw_curves
from phenom_jax.report.figures import rendered, thin
from phenom_jax.report.maps import draw_final_map, draw_phase_map, draw_spectrum
from phenom_jax.report.marks import Curves, FinalMap, Lines, PhaseMap, Scale, Spectrum

ACCURACY: Lines = {"train_accuracy": "--", "test_accuracy": "-"}
SCALE = Scale("accuracy", limits=(0, 1))
MAP = PhaseMap("generalisation_step", ("weight_decay",), ("train_fraction", "width"), "steps")
SPECTRUM = Spectrum("fourier_spectrum", "share", at={"width": max, "weight_decay": max})


def generalised(ds):
    return with_steps(ds, generalisation_step=first_crossing(ds.test_accuracy.values, ds.step.values, 0.95).step)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return generalised(make(tmp_path_factory.mktemp("figures") / "r"))


def note_of(figure):
    return figure.get_supxlabel().replace("\n", " ")


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def test_curves_are_medians_over_seeds_carried_forward(results):
    figure = there(draw_curves(Curves(ACCURACY, SCALE, colour="width", panel="weight_decay"), results))
    assert titles(figure) == ["weight decay 0", "weight decay 0.3", "weight decay 1"]
    last = figure.axes[2]
    assert len(last.lines) == 4
    test_line = last.lines[3]
    assert test_line.get_linestyle() == "-"
    chosen = results.isel(run=((results.weight_decay == 1) & (results.width == 128)).values)
    carried = chosen.test_accuracy.to_pandas().ffill(axis=1).to_numpy()
    drawn = dict(xy(test_line).tolist())
    expected = dict(zip(results.step.values, np.median(carried, 0), strict=True))
    assert drawn[10_000] == pytest.approx(expected[10_000]) and drawn[10_000] > 0.98
    for step in (10, 560, 950):
        near = min(drawn, key=lambda found: abs(found - step))
        assert drawn[near] == pytest.approx(expected[near])
    assert "Median and range of 4 runs" in note_of(figure) and "carried forward" in note_of(figure)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["width 32", "width 128", "train accuracy", "test accuracy"]


def test_runs_still_running_and_diverged_are_not_carried_forward(tmp_path):
    ds = make(tmp_path / "r", seed=(0,), weight_decay=(1.0,), width=(128,), statuses=lambda row, status: "running")
    figure = there(draw_curves(Curves(ACCURACY, SCALE), ds))
    assert xy(figure.axes[0].lines[0])[:, 0].max() == ds.last_step.item() < 10_000
    assert note_of(figure) == "Single runs"


def test_many_values_and_axes_degrade_and_say_so(tmp_path):
    ds = make(
        tmp_path / "r",
        seed=range(10),
        weight_decay=np.linspace(0.1, 1, 10).tolist(),
        width=(32, 64, 128),
        learning_rate=(1e-3, 3e-3, 1e-2),
    )
    figure = there(draw_curves(Curves(ACCURACY, SCALE, colour="width", panel="weight_decay"), ds))
    assert len(titles(figure)) == 6
    assert titles(figure)[0] == "weight decay 0.1" and titles(figure)[-1] == "weight decay 1"
    assert "Learning rate 0.003 of 3 values" in note_of(figure)
    assert "6 of 10 values of weight decay shown" in note_of(figure)
    assert "10–90 % of 10 runs" in note_of(figure)
    held = there(
        draw_curves(Curves(ACCURACY, SCALE, colour="width", at={"learning_rate": max, "weight_decay": min}), ds)
    )
    assert "Weight decay 0.1 of 10 values; learning rate 0.01 of 3 values" in note_of(held)


def test_two_axes_scale_apart(results):
    norm = Scale("norm", log=True)
    mark = Curves(ACCURACY, SCALE, right={"weight_norm": "-"}, right_y=norm, panel="weight_decay", at={"width": max})
    figure = there(draw_curves(mark, results))
    assert len(figure.axes[0].lines) == 2 and len(figure.axes[3].lines) == 1
    left, right = figure.axes[0], figure.axes[3]
    assert left.get_ylim() == (0, 1) and right.get_yscale() == "log"
    assert right.get_ylim() == figure.axes[5].get_ylim()
    assert "Width 128 of 2 values" in note_of(figure)


def test_phase_diagram_tells_medians_and_who_never_does(results):
    figure = there(draw_phase_map(MAP, results))
    texts = [text.get_text() for text in figure.axes[0].texts]
    steps = results.generalisation_step.values
    expected = []
    for width in (32, 128):
        for decay in (0.0, 0.3, 1.0):
            cell = np.sort(steps[((results.weight_decay == decay) & (results.width == width)).values])
            expected.append("never" if np.isnan(cell).all() else f"{cell[1:3].mean():,.0f}")
    assert texts == expected and expected[0] == "never" != expected[5]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "0.3", "1"]
    assert figure.axes[0].get_ylabel() == "width"


def test_phase_diagram_of_some_and_of_waiting_runs(tmp_path):
    ds = make(
        tmp_path / "r", weight_decay=(0.3, 1.0), width=(128,), statuses=lambda row, s: "waiting" if row % 2 else s
    )
    steps = np.full(8, np.nan)
    steps[[2, 4]] = 500.0  # seeds 1 and 2 at weight decay 0.3; rows alternate in weight decay
    figure = there(draw_phase_map(PhaseMap("when", "weight_decay", "width", "steps"), with_steps(ds, when=steps)))
    assert [text.get_text() for text in figure.axes[0].texts] == ["2 of 4 do"]
    assert draw_phase_map(PhaseMap("when", "width", None, "steps"), with_steps(ds, when=steps)) is None
    assert draw_phase_map(PhaseMap("absent", "weight_decay", None, "steps"), ds) is None


def test_runs_beside_the_product_leave_the_rest_of_it_empty(results):
    """Runs as of --weight_decay=0.3,1 --width=32 --add="weight_decay=0 width=128"."""
    wide = (results.width == 128).values
    sparse = results.isel(run=np.where(wide, results.weight_decay == 0, results.weight_decay > 0))
    curves = there(draw_curves(Curves(ACCURACY, SCALE, colour="width", panel="weight_decay"), sparse))
    assert titles(curves) == ["weight decay 0", "weight decay 0.3", "weight decay 1"]
    assert [len(axis.lines) for axis in curves.axes] == [2, 2, 2]
    held = there(draw_curves(Curves(ACCURACY, SCALE, panel="weight_decay", at={"width": max}), sparse))
    assert "Width 128 of 2 values" in note_of(held) and len(held.axes) == 1
    mark = FinalMap("weight_norm", "width", "weight_decay", "norm", numbers=True)
    (mesh,) = (each for each in there(draw_final_map(mark, sparse)).axes[0].collections if each.get_array() is not None)
    np.testing.assert_array_equal(
        np.ma.getmaskarray(there(mesh.get_array())), [[True, False], [False, True], [False, True]]
    )
    for figure in (draw_phase_map(MAP, sparse), draw_spectrum(SPECTRUM, sparse)):
        assert rendered(there(figure), "svg")


def test_spectrum_shows_the_end_of_every_seed(results):
    figure = there(draw_spectrum(SPECTRUM, results))
    final = there(figure.axes[1].collections[0].get_array()).reshape(29, 4)
    chosen = results.isel(run=((results.weight_decay == 1) & (results.width == 128)).values)
    for seed in range(4):
        measured = chosen.fourier_spectrum.values[seed]
        np.testing.assert_allclose(final[:, seed], measured[np.isfinite(measured[:, 0])][-1])
    assert draw_spectrum(Spectrum("absent", "share"), results) is None


def test_nothing_measured_draws_nothing(tmp_path):
    waiting = make(tmp_path / "r", statuses=lambda row, status: "waiting")
    assert draw_curves(Curves(ACCURACY, SCALE, colour="width", panel="weight_decay"), waiting) is None
    assert draw_curves(Curves(ACCURACY, SCALE, right={"weight_norm": "-"}), waiting) is None
    assert draw_spectrum(SPECTRUM, waiting) is None
    assert draw_phase_map(MAP, generalised(waiting)) is None
    assert draw_curves(Curves({"absent": "-"}, SCALE), waiting) is None


@pytest.mark.parametrize("format, start", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_same_figure_gives_the_same_bytes(results, format, start):
    first, second = (rendered(there(draw_phase_map(MAP, results)), format) for _ in range(2))
    assert first.startswith(start) and re.sub(rb"<dc:date>.*?<", b"<", first) == re.sub(rb"<dc:date>.*?<", b"<", second)


def test_thin_keeps_the_extremes():
    assert thin([1, 2, 3], 3, "x") == ([1, 2, 3], "")
    kept, words = thin(list(range(100)), 5, "x")
    assert kept[0] == 0 and kept[-1] == 99 and len(kept) == 5 and words == "5 of 100 values of x shown"


def test_importing_the_figures_loads_no_matplotlib():
    program = "import sys, phenom_jax.report.draw, phenom_jax.report.verdicts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
