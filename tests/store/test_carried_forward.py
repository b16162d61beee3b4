"""Results over runs and steps: the last value of a run, carried forward where it left early."""

import numpy as np
import xarray as xr

from phenom_jax.store.axes import carried_forward, final_values

NAN = np.nan
RESULTS = xr.Dataset(
    {
        "accuracy": (("run", "step"), [[0.1, 0.5, 0.9, NAN], [0.2, 0.3, 0.4, 0.5], [0.1, NAN, NAN, NAN]]),
        "rank": (("run", "step"), [[1.0, NAN, NAN, NAN], [1.0, NAN, 3.0, NAN], [2.0, NAN, NAN, NAN]]),
        "norms": (("run", "step", "tensor"), [[[1, NAN], [2, NAN], [3, NAN], [NAN] * 2]] * 2 + [[[NAN] * 2] * 4]),
    },
    {
        "step": [0, 10, 20, 30],
        "status": ("run", ["done", "finished", "diverged"]),
        "last_step": ("run", [20, 30, 10]),
    },
)


def test_runs_that_left_early_keep_their_last_value_and_nobody_else():
    carried = carried_forward(RESULTS)
    np.testing.assert_array_equal(carried.accuracy[0], [0.1, 0.5, 0.9, 0.9])
    np.testing.assert_array_equal(carried["rank"][0], [1, NAN, NAN, 1])  # before the end what was not measured is not
    np.testing.assert_array_equal(carried.norms[0], [[1, NAN], [2, NAN], [3, NAN], [3, NAN]])
    xr.testing.assert_identical(carried.isel(run=[1, 2]), RESULTS.isel(run=[1, 2]))


def test_results_without_a_run_that_left_early_stay_as_they_are():
    others = RESULTS.isel(run=[1, 2])
    xr.testing.assert_identical(carried_forward(others), others)


def test_nothing_given_is_changed():
    before = RESULTS.copy(deep=True)
    carried_forward(RESULTS)
    xr.testing.assert_identical(RESULTS, before)


def test_the_carried_value_at_the_last_step_is_the_final_value_of_a_run_that_was_done():
    at_the_end = carried_forward(RESULTS).isel(run=0, step=-1)
    final = final_values(RESULTS).isel(run=0)
    assert (float(at_the_end.accuracy), float(at_the_end["rank"])) == (float(final.accuracy), float(final["rank"]))
