"""Rows of a learned table, with a gradient that a GPU repeats to the bit.

The gradient of `table[index]` adds up what comes back to each row. On a GPU that scatter is made of float atomics, in
another order every time, where a product with one-hot vectors keeps its order. A CPU scatters in order, and faster.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

Index = jax.Array | np.ndarray


@jax.custom_jvp
def look_up(table_TxF: jax.Array, index: Index) -> jax.Array:
    """Returns `table[index]`, float[*index.shape, ...].

    Args:
      table_TxF: float[T, ...].
      index: int of any shape, from 0 to T - 1; it may repeat.
    """
    return gathered(table_TxF, index)


def _look_up_jvp(primals: tuple[jax.Array, Index], tangents: tuple[jax.Array, Index]) -> tuple[jax.Array, jax.Array]:
    """Returns the rows and those of the table's tangent, whose transpose is the gradient."""
    (table_TxF, index), (tangent_TxF, _) = primals, tangents
    return look_up(table_TxF, index), jax.lax.platform_dependent(
        tangent_TxF, jnp.asarray(index), cpu=gathered, default=multiplied
    )


look_up.defjvp(_look_up_jvp)


def gathered(table_TxF: jax.Array, index: Index) -> jax.Array:
    """Returns the rows by a gather, whose transpose is a scatter."""
    return table_TxF[index]


def multiplied(table_TxF: jax.Array, index: Index) -> jax.Array:
    """Returns the rows by a product with one-hot vectors, whose transpose is a product too."""
    return jnp.tensordot(jax.nn.one_hot(index, len(table_TxF), dtype=table_TxF.dtype), table_TxF, 1)
