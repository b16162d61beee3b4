"""Sizes: masks, and draws that no padded bound changes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.sizes import Size, draw_columns, exactly, masked_mean


@pytest.mark.parametrize("active, extra, fan_in", [(1, 0, 1), (1, 7, 3), (33, 31, 5), (64, 192, 12)])
def test_draws_do_not_depend_on_the_bound_and_are_zero_outside(active, extra, fan_in):
    key = jax.random.key(active)
    alone = draw_columns(key, exactly(fan_in), exactly(active))
    padded = draw_columns(key, Size(fan_in, fan_in + extra), Size(active, active + extra))
    np.testing.assert_array_equal(padded[:fan_in, :active], alone)
    assert not padded[fan_in:].any() and not padded[:, active:].any()


@pytest.mark.parametrize("draw", [jax.random.normal, jax.random.uniform])
def test_a_traced_active_count_under_vmap_and_jit_draws_the_same_bits(draw):
    key = jax.random.key(3)

    def draw_width(active):
        return draw_columns(key, exactly(5), Size(active, 16), draw)

    lifted = jax.jit(jax.vmap(draw_width))(jnp.array([3, 16, 7]))
    for row, active in enumerate((3, 16, 7)):
        np.testing.assert_array_equal(lifted[row, :, :active], draw_columns(key, exactly(5), exactly(active), draw))


def test_units_and_weights_are_independent_standard_normals():
    draws = np.asarray(draw_columns(jax.random.key(0), exactly(200), exactly(300)))
    assert abs(draws.mean()) < 4 / np.sqrt(draws.size)
    assert abs(draws.var() - 1) < 4 * np.sqrt(2 / draws.size)
    assert np.abs(np.corrcoef(draws.T) - np.eye(300)).max() < 6 / np.sqrt(200)


def test_masked_mean_ignores_what_is_padded():
    values = jnp.array([[1.0, 2.0], [3.0, 6.0], [jnp.nan, jnp.inf]])
    np.testing.assert_allclose(masked_mean(values, Size(2, 3)), [2.0, 4.0])
    gradient = jax.grad(lambda v: masked_mean(v, Size(2, 3)).sum())(values)
    np.testing.assert_allclose(gradient, [[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]])


def test_the_mask_is_true_for_the_active_entries():
    assert Size(2, 5).mask.tolist() == [True, True, False, False, False]
    assert exactly(3).mask.all()
