"""Modes and balance of linear layers, against what defines them."""

import jax.numpy as jnp
import numpy as np

from phenom_jax.measures.linear_layers import growing_strengths, imbalances, mode_strengths


def test_modes_of_aligned_layers_have_the_product_s_singular_values():
    rng = np.random.default_rng(0)
    directions_KxD = np.linalg.qr(rng.normal(size=(5, 2)))[0].T
    second_KxW = np.linalg.qr(rng.normal(size=(4, 2)))[0].T * np.array([[2.0], [3.0]])
    first_WxD = second_KxW.T @ directions_KxD
    found = mode_strengths(jnp.asarray(second_KxW @ first_WxD), jnp.asarray(directions_KxD))
    np.testing.assert_allclose(found, [4, 9], rtol=1e-5)
    grows = growing_strengths(*map(jnp.asarray, (first_WxD, second_KxW, directions_KxD)))
    np.testing.assert_allclose(grows, [4, 9], rtol=1e-5)  # a = b: all of it grows
    opposite = growing_strengths(*map(jnp.asarray, (first_WxD, -second_KxW, directions_KxD)))
    np.testing.assert_allclose(opposite, 0, atol=1e-10)
    np.testing.assert_allclose(imbalances([jnp.asarray(first_WxD), jnp.asarray(second_KxW)])[0], 0, atol=1e-5)
