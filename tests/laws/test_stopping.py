"""Where training would have been stopped."""

import numpy as np

from phenom_jax.laws.stopping import lowest, patient

NAN = np.nan
STEPS = np.array([0, 1, 2, 3, 6, 12, 24, 48])
TWO_VALLEYS = [5, 4, 3, 4, 4, 4, 2, 3]
LATE = [5, 4, 3, 2, 2.5, 1, 0.5, 0.1]


def test_lowest_is_over_all_that_was_measured():
    curves = np.array([TWO_VALLEYS, LATE, [NAN] * 8, [NAN, 2, NAN, 1, 3, NAN, NAN, NAN]])
    assert lowest(curves).tolist() == [6, 7, -1, 3]


def test_patience_ends_where_the_steps_have_grown_without_a_lower_value():
    curves = np.array([TWO_VALLEYS, LATE, [NAN] * 8, [NAN, 2, NAN, 1, 3, NAN, NAN, NAN]])
    assert patient(curves, STEPS).tolist() == [2, 7, -1, 3]
    assert patient(curves, STEPS, factor=20).tolist() == [6, 7, -1, 3]


def test_a_curve_that_only_rises_stops_at_the_start():
    assert patient(np.array([[1, 2, 3, 4, 5, 6, 7, 0.0]]), STEPS).tolist() == [0]
