import numpy as np
import pytest

from phenom_jax.laws.transition import first_crossing, log_midway

STEPS = np.array([0, 1, 10, 100, 1000])
NAN = np.nan


@pytest.mark.parametrize(
    "curve, step, after",
    [
        ([0.0, 0.2, 0.4, 0.9, 1.0], 100, 10),
        ([0.0, 0.2, 0.5, 0.1, 1.0], 10, 1),  # the first crossing, whatever follows
        ([0.0, 0.2, NAN, 0.9, 1.0], 100, 1),  # an unmeasured step widens the interval
        ([0.9, 0.0, 0.0, 0.0, 0.0], 0, 0),
        ([0.0, 0.1, 0.2, 0.3, 0.4], NAN, NAN),
        ([NAN] * 5, NAN, NAN),
        ([0.0, 0.1, 0.5, NAN, NAN], 10, 1),  # exactly at the threshold; the run ended
    ],
)
def test_first_crossing_upwards(curve, step, after):
    found = first_crossing(np.array([curve]), STEPS, 0.5)
    np.testing.assert_array_equal([found.step[0], found.after[0]], [step, after])
    down = first_crossing(-np.array([curve]), STEPS, -0.5, "down")
    np.testing.assert_array_equal([down.step[0], down.after[0]], [step, after])


def test_each_curve_has_its_own_threshold():
    curves = np.tile(np.arange(5.0), (3, 1))
    np.testing.assert_array_equal(first_crossing(curves, STEPS, np.array([0.5, 3.0, NAN])).step, [1, 100, NAN])


def test_crossing_of_a_known_function_lies_in_its_interval():
    steps = np.unique(np.geomspace(1, 1e5, 60).astype(int))
    true = np.random.default_rng(0).uniform(2, 9e4, 200)
    found = first_crossing(steps[None, :] / true[:, None], steps, 1.0)
    assert np.all((found.after < true) & (true <= found.step))
    assert np.all(np.isin(found.step, steps))


def test_log_midway_is_halfway_on_a_log_axis():
    curves = np.array([[1.0, 4.0, 1e-2, 1e-4, NAN], [NAN] * 5, [2.0, 2.0, 2.0, 2.0, 0.0]])
    np.testing.assert_allclose(log_midway(curves), [2e-2, NAN, NAN])
