"""The predictors that count, against counting in loops."""

import jax.numpy as jnp
import numpy as np

from phenom_jax.theory.in_context import bigram, divergence, unigram

STATES = jnp.array([[0, 1, 1, 2, 1, 0, 1], [2, 2, 2, 0, 2, 1, 0]])


def test_predictors_count_what_came_before():
    singles, pairs = np.ones((2, 7, 3)), np.ones((2, 7, 3))
    for row, states in enumerate(STATES):
        for place in range(7):
            for earlier in range(place + 1):
                singles[row, place, states[earlier]] += 1
                if earlier and states[earlier - 1] == states[place]:
                    pairs[row, place, states[earlier]] += 1
    np.testing.assert_allclose(unigram(STATES, 3), singles / singles.sum(2, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(bigram(STATES, 3), pairs / pairs.sum(2, keepdims=True), rtol=1e-6)


def test_divergence_is_zero_of_itself_and_that_of_scipy_else():
    from scipy.stats import entropy

    one, other = unigram(STATES, 3), bigram(STATES, 3)
    exact = entropy(np.asarray(one, float), np.asarray(other, float), axis=2).mean()
    np.testing.assert_allclose(divergence(one, jnp.log(one)), 0, atol=1e-7)
    np.testing.assert_allclose(divergence(one, jnp.log(other)), exact, rtol=1e-5)


def test_the_bigram_predictor_is_the_best_on_chains():
    rng = np.random.default_rng(0)
    matrices, states = rng.dirichlet(np.ones(3), size=(100, 3)), np.zeros((100, 60), int)
    for place in range(1, 60):
        rows = matrices[np.arange(100), states[:, place - 1]]
        states[:, place] = (rng.random(100)[:, None] > rows.cumsum(1)[:, :-1]).sum(1)

    def loss(predictor):
        predicted = np.asarray(predictor(states, 3))[:, :-1]
        return -np.log(np.take_along_axis(predicted, states[:, 1:, None], 2)).mean()

    assert loss(bigram) < loss(unigram) - 0.05 < np.log(3) - 0.05
