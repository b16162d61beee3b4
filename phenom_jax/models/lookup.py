"""Rows of a learned table, with a gradient that a GPU repeats to the bit.

The gradient of `table[index]` adds up what came back to each row. On a GPU such a scatter is float atomics, whose order
is another every time; a product with one-hot vectors adds in an order of its own. A CPU scatters in order, and faster.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.custom_jvp
def look_up(table_TxF: jax.Array, index: jax.typing.ArrayLike) -> jax.Array:
    """Returns `table[index]`, float[*index.shape, ...]; an index may repeat.

    Args:
      table_TxF: float[T, ...].
      index: integers of any shape, at least 0 and below T.
    """
    return table_TxF[jnp.asarray(index)]


@look_up.defjvp
def _look_up_jvp(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, object]) -> tuple[jax.Array, jax.Array]:
    (table_TxF, index), (direction_TxF, _) = primals, tangents
    return look_up(table_TxF, index), rows_of(direction_TxF, index)


def rows_of(table_TxF: jax.Array, index: jax.typing.ArrayLike) -> jax.Array:
    """Returns the same rows, linear in the table: by a gather on a CPU, elsewhere by a product."""
    return jax.lax.platform_dependent(table_TxF, jnp.asarray(index), cpu=gathered, default=multiplied)


def gathered(table_TxF: jax.Array, index: jax.Array) -> jax.Array:
    return table_TxF[index]


def multiplied(table_TxF: jax.Array, index: jax.Array) -> jax.Array:
    one_hot = jax.nn.one_hot(index, len(table_TxF), dtype=table_TxF.dtype)
    return jnp.tensordot(one_hot, table_TxF, 1)
