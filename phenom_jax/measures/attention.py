"""What heads attend to, and what attending does: the scores by which induction heads are told (Olsson et al. 2022).

A pattern is float[N, heads, L, L], from each query (a row) to each position; rows add up to 1 and see nothing later.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def prefix_matching(pattern_NxHxLxL: jax.Array, tokens_NxL: jax.Array, queries_L: np.ndarray) -> jax.Array:
    """Returns float[heads]: mean attention from a token to the tokens that followed its earlier occurrences.

    Args:
      pattern_NxHxLxL: of sequences.
      tokens_NxL: their tokens.
      queries_L: bool, the positions averaged over: those at which a token has an earlier occurrence.
    """
    alike_NxLxL = tokens_NxL[:, :, None] == tokens_NxL[:, None, :]
    # position j followed an occurrence at j - 1, which must lie before the query
    followed_NxLxL = jnp.pad(alike_NxLxL[:, :, :-1], ((0, 0), (0, 0), (1, 0)))
    length = tokens_NxL.shape[1]
    earlier_LxL = np.tril(np.ones((length, length), bool)) & queries_L[:, None]
    counted_Nx1xLxL = (followed_NxLxL & earlier_LxL[None])[:, None]
    return (pattern_NxHxLxL * counted_Nx1xLxL).sum((0, 2, 3)) / (len(tokens_NxL) * queries_L.sum())


def previous_token(pattern_NxHxLxL: jax.Array, queries_L: np.ndarray) -> jax.Array:
    """Returns float[heads]: mean attention from a token to the one before it.

    Args:
      pattern_NxHxLxL: of sequences.
      queries_L: bool, the positions averaged over, without the first.
    """
    before_NxHxK = jnp.diagonal(pattern_NxHxLxL, offset=-1, axis1=2, axis2=3)
    return before_NxHxK[:, :, np.flatnonzero(queries_L) - 1].mean((0, 2))


def copying(circuits_LxHxTxT: jax.Array) -> jax.Array:
    """Returns float[layers, heads], whether attending to a token raises its own logit most, between -1 and 1.

    The share of pairs of different tokens (t, u) for which attending to t adds more to the logit of t than to that of
    u, less the share for which it adds less. 1: its own always most; 0: as by chance; -1: its own always least.

    Args:
      circuits_LxHxTxT: what attending to the token of each row adds to the logit of each column.
    """
    own_LxHxT = jnp.diagonal(circuits_LxHxTxT, axis1=2, axis2=3)
    order_LxHxTxT = jnp.sign(own_LxHxT[:, :, :, None] - circuits_LxHxTxT)
    tokens = circuits_LxHxTxT.shape[-1]
    return order_LxHxTxT.sum((2, 3)) / (tokens * (tokens - 1))


def in_context(losses_NxQ: jax.Array) -> jax.Array:
    """Returns the mean loss over the last quarter of the positions less that over the first quarter, nat.

    Below zero where the context helps (Olsson et al. 2022 take token 500 less token 50).
    """
    quarter = max(losses_NxQ.shape[1] // 4, 1)
    return losses_NxQ[:, -quarter:].mean() - losses_NxQ[:, :quarter].mean()
