"""The phase picture over a hyperparameter and training time."""

import numpy as np
import xarray as xr
from matplotlib.patches import StepPatch
from there import there

from phenom_jax.report.figures import rendered
from phenom_jax.report.heat import draw_heat
from phenom_jax.report.marks import Border, Heat

WIDTHS, STEPS = (4, 8, 16), np.array([0, 10, 100, 1000])
BORDER = Border("train_error", 0.1, "fitted")


def results(noise=(0.0,), seeds=3):
    points = [(width, level, seed) for width in WIDTHS for level in noise for seed in range(seeds)]
    width, level, seed = (np.array(column) for column in zip(*points, strict=True))
    error = 1 / np.log(2 + STEPS)[None, :] + level[:, None] + seed[:, None] / 100
    coords = {"width": width, "label_noise": level, "seed": seed}
    return xr.Dataset(
        {
            "test_error": (("run", "step"), error),
            "train_error": (("run", "step"), error - 0.1 * np.log2(width)[:, None]),
        },
        {name: ("run", values, {"hyperparameter": "swept"}) for name, values in coords.items()}
        | {"step": STEPS, "status": ("run", ["finished"] * len(points))},
        {"order": list(coords)},
    )


def test_cells_are_medians_over_seeds_and_the_border_is_where_a_column_gets_there():
    figure = there(draw_heat(Heat("test_error", "width", "test error", border=BORDER), results()))
    assert figure is not None
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(there(mesh.get_array()), np.tile(1 / np.log(2 + STEPS[1:]) + 0.01, (3, 1)).T)
    stairs = figure.axes[0].patches[-1]
    assert isinstance(stairs, StepPatch)
    edges = [10, 10 * np.sqrt(10), 100 * np.sqrt(10), 1000]
    np.testing.assert_allclose(stairs.get_data()[0], [edges[1], edges[1], edges[0]])
    assert figure.axes[0].get_yscale() == "log"
    assert rendered(figure, "png")


def test_a_panel_per_value_shares_the_colours():
    figure = there(draw_heat(Heat("test_error", "width", "test error", panel="label_noise"), results(noise=(0.0, 0.2))))
    first, second = (axis.collections[0] for axis in figure.axes[:2])
    assert first.get_clim() == second.get_clim()
    assert [axis.get_title() for axis in figure.axes[:2]] == ["label noise 0", "label noise 0.2"]


def test_time_may_be_counted_otherwise():
    counted = results().assign(epochs=(("run", "step"), np.tile(STEPS / 10, (9, 1))))
    figure = there(draw_heat(Heat("test_error", "width", "test error", time="epochs"), counted))
    assert figure.axes[0].get_ylim() == (1, 100) and figure.axes[0].get_ylabel() == "epochs"


def test_nothing_is_drawn_of_what_was_not_measured_or_does_not_vary():
    assert draw_heat(Heat("nothing", "width", ""), results()) is None
    assert draw_heat(Heat("test_error", "nothing", ""), results()) is None
    one_width = results().isel(run=slice(0, 3))
    assert draw_heat(Heat("test_error", "width", ""), one_width) is None
