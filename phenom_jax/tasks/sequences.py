"""Sequences whose continuation is told by what came before: recall of pairs, repeated tokens, Markov chains.

A batch is int32[N, L]. Sequence n draws from `fold_in(key, n)`: it does not depend on how many others are drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def key_value(key: jax.Array, count: int, pairs: int, symbols: int) -> jax.Array:
    """Returns pairs of a key and its value, then the same pairs in another order, int32[count, 4 pairs].

    Keys are distinct numbers below `symbols`; values are drawn independently from the `symbols` numbers above.

    Args:
      key: typed PRNG key.
      count: sequences.
      pairs: in a sequence, at most `symbols`.
      symbols: different keys, and as many different values.
    """

    def one(key: jax.Array) -> jax.Array:
        which_key, value_key, order_key = jax.random.split(key, 3)
        pairs_Px2 = jnp.stack(
            [_order(which_key, symbols)[:pairs], symbols + jax.random.randint(value_key, (pairs,), 0, symbols)], axis=1
        )
        return jnp.concatenate([pairs_Px2, pairs_Px2[_order(order_key, pairs)]]).reshape(-1)

    return _each(one, key, count)


def repeated(key: jax.Array, count: int, block: tuple[int, int], repeats: int, symbols: int) -> jax.Array:
    """Returns a block of independent uniform tokens below `symbols`, again and again, int32[count, longest repeats].

    Args:
      key: typed PRNG key.
      count: sequences.
      block: the shortest and the longest block; each sequence has a length of its own, uniform between them.
      repeats: how often the longest fits.
      symbols: different tokens.
    """
    shortest, longest = block
    places_L = jnp.arange(longest * repeats)

    def one(key: jax.Array) -> jax.Array:
        length_key, token_key = jax.random.split(key)
        length = jax.random.randint(length_key, (), shortest, longest + 1)
        return jax.random.randint(token_key, (longest,), 0, symbols)[places_L % length]

    return _each(one, key, count)


def markov(key: jax.Array, count: int, length: int, symbols: int) -> jax.Array:
    """Returns Markov chains, each with a transition matrix of its own, int32[count, length].

    Rows of the matrix are drawn from Dirichlet(1, ..., 1), the first state uniformly (Edelman et al. 2024,
    arXiv:2402.11004, section 2).
    """

    def one(key: jax.Array) -> jax.Array:
        matrix_key, walk_key = jax.random.split(key)
        # exponential numbers over their sum are Dirichlet(1); a uniform number picks a state by the cumulated row
        weights_SxS = jax.random.exponential(matrix_key, (symbols, symbols))
        below_SxS = jnp.cumsum(weights_SxS, axis=1) / weights_SxS.sum(1, keepdims=True)
        uniform_L = jax.random.uniform(walk_key, (length,))

        def walk(state: jax.Array, uniform: jax.Array) -> tuple[jax.Array, jax.Array]:
            following = (uniform >= below_SxS[state, :-1]).sum().astype(jnp.int32)
            return following, following

        first = jnp.minimum((uniform_L[0] * symbols).astype(jnp.int32), symbols - 1)
        return jnp.concatenate([first[None], jax.lax.scan(walk, first, uniform_L[1:])[1]])

    return _each(one, key, count)


def _each(one: Callable[[jax.Array], jax.Array], key: jax.Array, count: int) -> jax.Array:
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(count))
    return jax.vmap(one)(keys).astype(jnp.int32)


def _order(key: jax.Array, count: int) -> jax.Array:
    """Returns a random order of `count` numbers: the ranks of uniform draws, which sorts nothing."""
    uniform = jax.random.uniform(key, (count,))
    return (uniform[:, None] > uniform[None, :]).sum(1)
