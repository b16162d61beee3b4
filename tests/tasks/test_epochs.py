"""Minibatches of epochs: every example once, another order each time, padded or not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from phenom_jax.sizes import Size
from phenom_jax.tasks.epochs import batch, permuted, steps_per_epoch

places = functools.partial(jnp.arange, dtype=jnp.int32)
permute = jax.jit(lambda seed, count, numbers: permuted(jax.random.key(seed), numbers, count))


def test_a_permutation_holds_every_number_once():
    for count in (1, 2, 3, 7, 99, 100, 101, 4000):
        assert sorted(permute(3, count, places(4000))[:count].tolist()) == list(range(count))


def test_permutations_are_spread_evenly():
    """Images of each place, and pairs of two places, over 20000 seeds: no χ² test refuses at p < 1e-4."""
    count = 12
    found = np.asarray(jax.jit(jax.vmap(permute, (0, None, None)))(jnp.arange(20000), count, places(count)))
    for place in range(count):
        assert stats.chisquare(np.bincount(found[:, place], minlength=count)).pvalue > 1e-4
    pairs = np.bincount(found[:, 0] * count + found[:, 7], minlength=count**2).reshape(count, count)
    assert stats.chisquare(pairs[~np.eye(count, dtype=bool)]).pvalue > 1e-4
    assert abs((found == np.arange(count)).sum(1).mean() - 1) < 0.05  # fixed points of a random permutation


@pytest.mark.parametrize("count, size", [(12, 4), (10, 4), (3, 4)])
def test_an_epoch_sees_every_example_once(count, size):
    steps = steps_per_epoch(count, size)
    assert steps == -(-count // size)
    epochs = [epoch_of(count, size, number * steps, steps) for number in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert count < 5 or epochs[0] != epochs[1] != epochs[2]


def test_padding_changes_no_batch():
    alone = jax.jit(batch)(jax.random.key(1), jnp.int32(7), Size(30, 30), Size(8, 8))
    inside = jax.jit(batch)(jax.random.key(1), jnp.int32(7), Size(30, 47), Size(8, 13))
    assert inside.mask_B[:8].tolist() == alone.mask_B.tolist() and not inside.mask_B[8:].any()
    assert inside.examples_B[:8].tolist() == alone.examples_B.tolist()


def test_batches_of_lanes_with_other_counts_are_their_own():
    """Under vmap the numbers that fall outside are sent on until the last lane is done."""
    counts = jnp.array([5, 17, 60])
    together = jax.jit(jax.vmap(permute, (None, 0, None)))(4, counts, places(60))
    for row, count in zip(together, counts.tolist(), strict=True):
        assert row[:count].tolist() == permute(4, count, places(60))[:count].tolist()


def epoch_of(count, size, first, steps):
    found = []
    for step in range(first, first + steps):
        chosen = jax.jit(batch)(jax.random.key(0), jnp.int32(step), Size(count, count), Size(size, size))
        found += chosen.examples_B[chosen.mask_B].tolist()
    return found
