"""A figure is data: which axes its roles take, and that it is drawn by the renderer of its mark."""

import subprocess
import sys

import matplotlib.figure
import numpy as np
import pytest
from synthetic import make
from there import there

from phenom_jax.report.draw import RENDERERS, draw
from phenom_jax.report.marks import Curves, Figure, Mark, Points, Profile, Scale
from phenom_jax.report.roles import resolve

LOSS = Curves({"test_loss": "-"}, Scale("loss"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make(tmp_path_factory.mktemp("marks") / "r", seed=(0, 1))


@pytest.mark.parametrize(
    "roles, found",
    [
        (("width", "weight_decay"), ["width", "weight_decay"]),
        ((("activation", "width", "weight_decay"), None), ["width", None]),
        ((["width", "weight_decay"], ["width", "weight_decay"]), ["width", "weight_decay"]),
        ((("width",), ("width",)), ["width", None]),
        (("learning_rate", "absent"), [None, None]),
    ],
)
def test_a_role_takes_the_first_that_varies_and_is_not_taken(results, roles, found):
    assert resolve(results, *roles) == found


def test_hyperparameters_that_vary_together_are_taken_together(results):
    rates = np.where(results.width == 32, 1e-3, 1e-2)
    zipped = results.assign_coords(learning_rate=("run", rates, results.learning_rate.attrs))
    assert resolve(zipped, "width", ("learning_rate", "weight_decay")) == ["width", "weight_decay"]
    assert resolve(zipped, ("learning_rate", "width"), "width") == ["learning_rate", None]


def test_roles_of_a_mark_share_a_list(results):
    kinds = ("activation", "width", "weight_decay")
    mark = Curves({"test_loss": "-"}, Scale("loss"), colour=kinds, panel=kinds)
    figure = there(draw(Figure("loss", "", "", mark), results))
    assert [axis.get_title() for axis in figure.axes] == ["weight decay 0", "weight decay 0.3", "weight decay 1"]
    assert figure.legends[0].get_texts()[0].get_text() == "width 32"
    profile = Profile(kinds, {"test_loss": "-"}, Scale("loss"), colour=kinds)
    assert there(draw(Figure("loss", "", "", profile), results)).axes[0].get_xlabel() == "width"


def test_every_mark_has_its_renderer():
    assert set(RENDERERS) == set(Mark.__args__)


def test_what_is_drawn_may_depend_on_the_results(results):
    seen = []

    def mark(runs):
        seen.append(runs.sizes["run"])
        return LOSS if runs.sizes["run"] > 2 else None

    large = Figure("loss", "", "", mark, of=lambda found: found.isel(run=(found.width == 128).values))
    assert isinstance(draw(large, results), matplotlib.figure.Figure) and seen == [6]
    assert draw(Figure("loss", "", "", mark), results.isel(run=slice(2))) is None
    own = matplotlib.figure.Figure()
    assert draw(Figure("own", "", "", lambda runs: own), results) is own


@pytest.mark.parametrize("of", [lambda found: None, lambda found: found.isel(run=slice(0))])
def test_no_runs_draw_nothing(results, of):
    assert draw(Figure("loss", "", "", LOSS, of=of), results) is None


def test_marks_are_data_that_cannot_be_changed():
    with pytest.raises(AttributeError):
        LOSS.colour = "width"  # type: ignore[misc]
    with pytest.raises(TypeError, match="positional"):
        Points("a", "b", Scale("a"), Scale("b"), "width")  # type: ignore[call-arg]
    program = "import sys, phenom_jax.report.marks; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
