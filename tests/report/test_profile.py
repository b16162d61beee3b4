import numpy as np
import pytest
import xarray as xr
from scipy import stats
from synthetic import make
from there import there

from phenom_jax.report.maps import draw_final_map
from phenom_jax.report.marks import FinalMap, Lines, Profile, Scale, VLine
from phenom_jax.report.profile import draw_profile, interval
from phenom_jax.report.tables import cells

SCALE = Scale("risk", log=True, limits=(1e-2, 1e2))
LINES: Lines = {"test_risk": "-", "train_risk": "--"}


def sweep(seeds=20, samples=(40, 80), noise=(0.5, 1.0), width=(10, 20, 30, 40, 50, 60), step=(0,), status="finished"):
    """Returns results of runs whose test risk is (1 + noise) |width - samples| times a log-normal number."""
    axes = {"samples": samples, "noise": noise, "width": width, "seed": range(seeds)}
    points = np.array(np.meshgrid(*axes.values(), indexing="ij")).reshape(4, -1)
    coords = dict(zip(axes, points, strict=True))
    spread = np.exp(np.random.default_rng(0).normal(size=points.shape[1]))
    with np.errstate(divide="ignore"):
        test = spread * (1 + coords["noise"]) / np.abs(coords["width"] - coords["samples"])
    empty = np.full((len(test), len(step) - 1), np.nan)
    hyper = {
        name: ("run", values.astype(float if name == "noise" else int), {"hyperparameter": "swept"})
        for name, values in coords.items()
    }
    return xr.Dataset(
        {
            "test_risk": (("run", "step"), np.column_stack([test, empty]), {"long_name": "test risk"}),
            "train_risk": ("run", test / 10),
        },
        coords=hyper | {"status": ("run", [status] * len(test)), "step": list(step)},
        attrs={"order": list(axes)},
    )


def drawn(axis):
    return [np.array(line.get_xydata()) for line in axis.lines]


def test_a_line_is_the_median_over_seeds_at_every_x():
    results = sweep(step=(0, 10))  # the last measured step is the first
    figure = there(draw_profile(Profile("width", {"test_risk": "-"}, SCALE, colour="noise", panel="samples"), results))
    assert [axis.get_title() for axis in figure.axes] == ["samples 40", "samples 80"]
    for axis, samples in zip(figure.axes, (40, 80), strict=True):
        for line, noise in zip(drawn(axis), (0.5, 1.0), strict=True):
            chosen = results.isel(run=((results.samples == samples) & (results.noise == noise)).values, step=0)
            expected = chosen.test_risk.groupby(chosen.width).median()
            expected = expected.where(np.isfinite(expected))
            np.testing.assert_array_equal(line[:, 0], expected.width)
            np.testing.assert_allclose(line[:, 1], expected)
    assert np.isnan(drawn(figure.axes[0])[0][3, 1])  # infinite at width = samples = 40
    assert figure.axes[0].get_ylim() == (1e-2, 1e2)
    assert figure.get_supxlabel() == "Median and 95 % interval of it, 20 runs at each width"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["noise 0.5", "noise 1", "test risk"]


@pytest.mark.parametrize(
    "at", [VLine(lambda runs: runs.samples.values[0], "width = samples"), VLine("samples", "width = samples")]
)
def test_theory_and_verticals_follow_the_panel(at):
    def exact(runs, width):
        assert len(set(runs.samples.values)) == len(set(runs.noise.values)) == 1
        with np.errstate(divide="ignore"):
            return (1 + runs.noise.values[0]) / np.abs(width - runs.samples.values[0])

    lines = [at, VLine(np.nan, "nowhere"), VLine("noise_of_all", "nowhere")]
    mark = Profile("width", LINES, SCALE, panel="samples", exact=exact, exact_label="theory", verticals=lines)
    several = sweep().assign_coords(noise_of_all=("run", np.arange(480)))
    figure = there(draw_profile(mark, several))
    for axis, samples in zip(figure.axes, (40, 80), strict=True):
        mark, *_, theory = drawn(axis)
        assert len(drawn(axis)) == 4 and set(mark[:, 0]) == {samples}
        np.testing.assert_array_equal(theory[:, 0], np.arange(10, 61))
        held = (1 + 0.5) / np.abs(theory[:, 0] - samples, where=theory[:, 0] != samples, out=np.full(51, np.nan))
        np.testing.assert_allclose(theory[:, 1], held)
    assert "Noise 0.5 of 2 values" in figure.get_supxlabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-4:] == ["theory", "width = samples", "nowhere", "nowhere"]


def test_runs_that_diverged_are_left_out_and_counted():
    results = sweep(seeds=4, samples=(80,))
    results["status"][:3] = "diverged"
    results["test_risk"][:3] = 1e9
    figure = there(draw_profile(Profile("width", {"test_risk": "-"}, SCALE, colour="noise"), results))
    assert drawn(figure.axes[0])[0][:, 1].max() < 1e9
    assert (
        figure.get_supxlabel()
        .replace("\n", " ")
        .endswith("Median and range, 1 to 4 runs at each width; 3 runs that diverged are left out")
    )


@pytest.mark.parametrize(
    "options",
    [
        {"x": "seed"},
        {"x": "width", "lines": {"absent": "-"}},
        {"x": "width", "results": sweep(2, status="waiting")},
        {"x": "width", "results": sweep(2, width=(10,))},
    ],
)
def test_nothing_to_draw_is_none(options):
    options = {"results": sweep(seeds=1), "lines": LINES, "y": SCALE} | options
    assert draw_profile(Profile(options["x"], options["lines"], options["y"]), options["results"]) is None


def test_a_logarithmic_x_leaves_out_what_it_cannot_show():
    figure = there(draw_profile(Profile("width", LINES, SCALE, log_x=True, centre="mean"), sweep(width=(0, 10, 100))))
    assert drawn(figure.axes[0])[0][:, 0].tolist() == [10, 100]
    assert figure.axes[0].get_xscale() == "log"


def test_the_median_s_interval_covers_it_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(size=(2000, 20))
    covered = [low <= 0 <= high for low, _, high in (interval(values, "median") for values in draws)]
    assert 0.95 <= np.mean(covered) <= 0.97  # 0.959: ranks are whole numbers


def test_the_mean_s_interval_is_student_s():
    values = np.random.default_rng(0).normal(size=9)
    low, middle, high = interval(np.append(values, np.nan), "mean")
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose((low, middle, high), (expected.low, values.mean(), expected.high))


def test_few_and_infinite_values_have_intervals_that_say_so():
    assert interval(np.array([3.0]), "mean") == interval(np.array([3.0]), "median") == (3, 3, 3)
    assert np.isnan(interval(np.array([np.nan]), "median")).all()
    assert interval(np.array([1.0, np.inf, 2.0]), "median") == (1, 2, np.inf)
    assert interval(np.array([1.0, np.inf, np.inf]), "median") == (1, np.inf, np.inf)
    assert interval(np.array([1.0, np.inf]), "mean") == (np.inf, np.inf, np.inf)


def test_a_final_map_holds_the_median_of_every_cell():
    results = sweep(seeds=5, samples=(80,))
    figure = there(draw_final_map(FinalMap("test_risk", "width", ("samples", "noise"), "risk"), results))
    shown = there(figure.axes[0].collections[0].get_array()).reshape(2, 6)
    for (row, column), median in np.ndenumerate(shown):
        chosen = (results.noise == (0.5, 1.0)[row]) & (results.width == 10 * (column + 1))
        assert median == pytest.approx(np.median(results.test_risk.values[chosen.values, 0]))
    assert figure.axes[0].get_ylabel() == "noise" and figure.get_supxlabel() == "Median of 5 seeds"
    assert draw_final_map(FinalMap("test_risk", "width", ("samples",), "risk"), results) is None
    assert draw_final_map(FinalMap("absent", "width", ("noise",), "risk"), results) is None


def test_a_map_and_the_table_say_the_same_of_the_same_runs(tmp_path):
    results = make(tmp_path / "results.zarr", statuses=lambda row, status: "diverged" if row % 5 == 0 else status)
    figure = there(draw_final_map(FinalMap("train_loss", "width", ("weight_decay",), "loss", numbers=True), results))
    assert figure is not None
    by_place = sorted(cells(results), key=lambda cell: (cell.values["weight_decay"], cell.values["width"]))
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == [f"{cell.measures['train_loss'].median:.3g}" for cell in by_place]
