import numpy as np
import pytest

from phenom_jax.laws.transition import first_crossing, value_at

STEPS = np.array([0, 1, 10, 100, 1000])
NAN = np.nan


@pytest.mark.parametrize(
    "curve, step, after, between",
    [
        ([0.0, 0.2, 0.4, 0.9, 1.0], 100, 10, 28),
        ([0.0, 0.2, 0.5, 0.1, 1.0], 10, 1, 10),  # the first crossing, whatever follows
        ([0.0, 0.2, NAN, 0.9, 1.0], 100, 1, 1 + 99 * 3 / 7),  # an unmeasured step widens the interval
        ([0.9, 0.0, 0.0, 0.0, 0.0], 0, 0, 0),
        ([NAN, 0.9, 0.0, 0.0, 0.0], 1, 1, 1),
        ([0.0, 0.1, 0.2, 0.3, 0.4], NAN, NAN, NAN),
        ([NAN] * 5, NAN, NAN, NAN),
        ([0.0, 0.1, 0.5, NAN, NAN], 10, 1, 10),  # exactly at the threshold; the run ended
        ([0.0, 0.2, 0.4, np.inf, NAN], 100, 10, 100),  # nothing to draw a line to
    ],
)
def test_first_crossing_upwards(curve, step, after, between):
    found = first_crossing(np.array([curve]), STEPS, 0.5)
    np.testing.assert_allclose(np.ravel(found), [step, after, between])
    down = first_crossing(-np.array([curve]), STEPS, -0.5, "down")
    np.testing.assert_allclose(np.ravel(down), [step, after, between])


def test_each_curve_has_its_own_threshold():
    curves = np.tile(np.arange(5.0), (3, 1))
    np.testing.assert_array_equal(first_crossing(curves, STEPS, np.array([0.5, 3.0, NAN])).step, [1, 100, NAN])


def test_crossing_of_a_known_function_lies_in_its_interval():
    steps = np.unique(np.geomspace(1, 1e5, 60).astype(int))
    true = np.random.default_rng(0).uniform(2, 9e4, 200)
    found = first_crossing(steps[None, :] / true[:, None], steps, 1.0)
    assert np.all((found.after < true) & (true <= found.step))
    assert np.all(np.isin(found.step, steps))
    np.testing.assert_allclose(found.between, true)  # a line


def test_a_finer_grid_does_not_move_a_crossing_between_steps():
    """Effects set by the measure grid: 40 or 50 while the norm grows."""
    coarse, fine = np.arange(0, 101, 10), np.arange(101)
    rate = np.array([0.021, 0.013, 0.011])[:, None]
    steps = [first_crossing(1 - np.exp(-rate * grid), grid, 0.5) for grid in (coarse, fine)]
    np.testing.assert_allclose(steps[0].between, steps[1].between, atol=0.3)
    assert np.all(np.abs(steps[0].step - steps[1].step) > 2)


@pytest.mark.parametrize(
    "at, expected",
    [
        (10, [2, 5]),
        (55, [2.5, 14]),
        (0, [0, NAN]),
        (5.5, [1.5, NAN]),
        (1000, [4, NAN]),
        (1001, [NAN] * 2),
        (NAN, [NAN] * 2),
    ],
)
def test_value_between_measured_steps(at, expected):
    curves = np.array([[0.0, 1, 2, 3, 4], [NAN, NAN, 5, 23, NAN]])
    np.testing.assert_allclose(value_at(curves, STEPS, at), expected)


def test_value_at_skips_what_was_not_measured_and_takes_a_step_per_curve():
    curves = np.array([[0.0, 1, NAN, 100, np.inf], [0, 1, 2, 3, 4]])
    np.testing.assert_allclose(value_at(curves, STEPS, np.array([34, 550])), [34, 3.5])
    between = first_crossing(curves, STEPS, np.array([34.0, 3.5])).between
    np.testing.assert_allclose(value_at(curves, STEPS, between), [34, 3.5])
