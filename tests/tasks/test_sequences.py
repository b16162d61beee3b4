"""Sequences are laid out as they say, and drawn one by one."""

import jax
import numpy as np

from phenom_jax.tasks.sequences import key_value, markov, repeated

KEY = jax.random.key(3)


def test_pairs_come_twice_with_distinct_keys():
    tokens = np.asarray(jax.jit(lambda: key_value(KEY, 200, pairs=5, symbols=6))()).reshape(200, 2, 5, 2)
    keys, values = tokens[..., 0], tokens[..., 1]
    assert keys.min() == 0 and keys.max() == 5 and values.min() == 6 and values.max() == 11
    orders = set()
    for sequence in tokens:
        first, second = ([tuple(pair) for pair in half.tolist()] for half in sequence)
        assert len({key for key, _ in first}) == 5 and sorted(first) == sorted(second)
        orders.add(tuple(first.index(pair) for pair in second))
    assert len(orders) > 60  # of 120
    np.testing.assert_allclose(np.bincount(keys[:, 0].ravel()), 1000 / 6, rtol=0.3)
    np.testing.assert_allclose(np.bincount(values[:, 0].ravel())[6:], 1000 / 6, rtol=0.3)


def test_a_block_is_repeated_at_its_own_distance_whatever_else_is_drawn():
    draw = jax.jit(lambda count: repeated(KEY, count, (3, 6), repeats=3, symbols=1000), static_argnums=0)
    tokens = np.asarray(draw(100))
    assert tokens.shape == (100, 18)
    np.testing.assert_array_equal(draw(2), tokens[:2])
    lengths = [next(d for d in range(1, 18) if (row[d:] == row[:-d]).all()) for row in tokens]
    assert set(lengths) == {3, 4, 5, 6}


def test_chains_follow_matrices_that_are_uniform_on_the_simplex():
    states = np.asarray(jax.jit(lambda: markov(KEY, 300, length=400, symbols=3))())
    np.testing.assert_allclose(np.bincount(states[:, 0]) / 300, 1 / 3, atol=0.1)
    moves = np.zeros((300, 3, 3))
    np.add.at(moves, (np.arange(300)[:, None], states[:, :-1], states[:, 1:]), 1)
    shares = (moves / np.maximum(moves.sum(2, keepdims=True), 1))[moves.sum(2) > 30]
    np.testing.assert_allclose(shares.mean(0), 1 / 3, atol=0.04)
    np.testing.assert_allclose(shares.var(0), 1 / 18, atol=0.01)  # (1/3)(2/3)/4 of Dirichlet(1, 1, 1)
