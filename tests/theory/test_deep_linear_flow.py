"""Learning curves of deep linear networks: closed form, numeric solution and limits agree."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from phenom_jax.theory.deep_linear import half_loss_time, mode, mode_time, most_alignment, plateau, saxe


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_mode_obeys_its_equation(depth):
    strength, start = 2.0, 1e-2
    times = np.linspace(0, 3 * mode_time(1.0, strength, start, depth), 30)
    solved = solve_ivp(
        lambda _, u: depth * u ** (2 - 2 / depth) * (strength - u),
        times[[0, -1]],
        [start],
        t_eval=times,
        rtol=1e-9,
        atol=1e-12,
    )
    np.testing.assert_allclose(mode(times, strength, start, depth), solved.y[0], rtol=1e-5)


def test_two_layers_have_the_closed_form():
    assert saxe(0.0, 3.0, 1e-4) == pytest.approx(1e-4)
    assert mode_time(1.5, 3.0, 1e-4, 2) == pytest.approx(np.log(3 / 1e-4 - 1) / 6, rel=1e-6)
    assert saxe(half_loss_time(1.0, 1e-6, 2), 1.0, 1e-6) == pytest.approx(1 - np.sqrt(0.5), rel=1e-6)


@pytest.mark.parametrize("depth", [3, 4])
def test_deep_networks_wait_as_long_as_the_leading_order_says(depth):
    assert half_loss_time(2.0, 1e-4**depth, depth) == pytest.approx(plateau(1e-4, 2.0, depth), rel=2e-3)


def test_alignment_at_thirty_inputs():
    np.testing.assert_allclose([most_alignment(depth, 30) for depth in (2, 3, 4)], [0.348, 0.487, 0.596], atol=5e-4)
