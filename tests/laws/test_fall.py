"""The steepest fall of a curve between two steps."""

import numpy as np

from phenom_jax.laws.fall import steepest_fall


def test_the_fall_is_per_step_and_inside_the_bounds():
    steps = np.array([0, 10, 20, 40, 80, 90])
    curves = np.array([[9.0, 5, 4, 2, 1, -3], [9, 9, np.nan, 5, 5, 5], [1, 1, 1, 1, 1, 1]])
    start, end = np.array([10.0, 0, np.nan]), np.array([80.0, 90, np.nan])
    found = steepest_fall(curves, steps, start, end)
    np.testing.assert_array_equal(found.step, [20, 40, np.nan])
    np.testing.assert_array_equal(found.after, [10, 10, np.nan])
    np.testing.assert_array_equal(found.between, [15, 25, np.nan])
