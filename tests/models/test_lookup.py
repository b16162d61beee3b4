"""Rows of a table: on every platform the same derivatives, by a scatter or by a product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.models.lookup import gathered, look_up, multiplied

RANDOM = np.random.default_rng(0)
INDICES = [np.array([3, 0, 3, 3]), np.array([[1, 1], [4, 0]]), np.array(2)]
pytestmark = pytest.mark.usefixtures("float64")


def bent(rows_of, index):
    """Returns a function of a table whose first and second derivatives depend on its rows."""
    return lambda table: jnp.sin(3 * rows_of(table, index)).sum()


@pytest.mark.parametrize("features", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("index", INDICES, ids=lambda index: str(index.shape))
def test_both_ways_give_the_same_rows_and_gradients(index, features):
    table = jnp.asarray(RANDOM.normal(size=(5, *features)))
    np.testing.assert_array_equal(look_up(table, index), np.asarray(table)[index])
    np.testing.assert_array_equal(multiplied(table, index), np.asarray(table)[index])
    expected = np.zeros(table.shape)
    np.add.at(expected, index, 3 * np.cos(3 * np.asarray(table)[index]))
    for rows_of in (look_up, gathered, multiplied):
        np.testing.assert_allclose(jax.grad(bent(rows_of, index))(table), expected, rtol=1e-12)


@pytest.mark.parametrize("index", INDICES, ids=lambda index: str(index.shape))
def test_a_lookup_is_differentiated_forwards_and_twice(index):
    table, along = jnp.asarray(RANDOM.normal(size=(2, 5, 3)))
    ours, plain = bent(look_up, index), bent(gathered, index)
    np.testing.assert_allclose(jax.jvp(ours, (table,), (along,)), jax.jvp(plain, (table,), (along,)), rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(ours)(table), jax.hessian(plain)(table), rtol=1e-12, atol=1e-12)


def test_lanes_look_up_each_in_its_own_table_what_may_be_its_own_index():
    tables, index = jnp.asarray(RANDOM.normal(size=(4, 5, 3))), RANDOM.integers(0, 5, (4, 7))
    for rows_of in (look_up, multiplied):
        gradients = jax.vmap(lambda table, row, way=rows_of: jax.grad(bent(way, row))(table))(tables, index)
        for gradient, table, row in zip(gradients, tables, index):
            np.testing.assert_allclose(gradient, jax.grad(bent(gathered, row))(table), rtol=1e-12)
