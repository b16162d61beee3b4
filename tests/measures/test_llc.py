"""Chains against exact values, and their independence of padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.measures.directions import random_direction
from phenom_jax.measures.draws import add, no_draws, split_r_hat, standard_error
from phenom_jax.measures.llc import advance_chain, start_chain, stiffness
from phenom_jax.theory.learning_coefficient import normal_crossing, quadratic

CHAINS, ERRORS = 64, 4
CURVATURES = np.array([1.0, 2, 5, 0, 0])


def bowl(weights):
    return jnp.sum(CURVATURES * weights**2) / 2


def crossing(weights):
    return weights[0] ** 2 * weights[1] ** 2


def sample(sampler, loss, anchor, steps, burn_in, n_beta, step_size, localisation=1.0):
    """Returns the stretches of losses of many chains, batches [CHAINS, BATCHES], and mean acceptances."""
    settings = {"step_size": step_size, "n_beta": n_beta, "localisation": localisation}

    def chain(key):
        def move(carry, index):
            chain, draws = carry
            chain = advance_chain(sampler, loss, chain, anchor, jax.random.fold_in(key, index), **settings)
            return (chain, add(draws, chain, index - burn_in, steps - burn_in)), None

        (_, draws), _ = jax.lax.scan(move, (start_chain(sampler, loss, anchor), no_draws()), jnp.arange(steps))
        return draws

    draws = jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(0), CHAINS))
    return draws.batches, draws.acceptance


def assert_mean(batches, n_beta, exact):
    """Asserts that n beta times the mean loss is `exact` to the Monte-Carlo error."""
    found = n_beta * np.mean(batches.means)
    assert abs(found - exact) < ERRORS * n_beta * standard_error(batches), (found, exact)
    assert n_beta * standard_error(batches) < 0.02 * exact
    assert split_r_hat(batches) < 1.05


@pytest.mark.parametrize("sampler", ["sgld", "mala"])
def test_a_quadratic_minimum_has_each_samplers_own_value(sampler):
    """SGLD's moves of this size make 17 % too much, and its acceptance would not tell; MALA's make the posterior's."""
    batches, acceptance = sample(sampler, bowl, jnp.zeros(5), 4000, 1000, n_beta=100, step_size=2e-3)
    moves = 2e-3 if sampler == "sgld" else 0.0
    assert_mean(batches, 100, quadratic(CURVATURES, 100, 1, moves))
    assert acceptance.mean() > 0.85 and 2e-3 * stiffness(100, 5, 1) > 0.2


def test_a_normal_crossing_has_the_value_of_its_quadrature():
    """Far out on an axis the crossing is steep and takes no long moves: at a mild n beta they need not be short."""
    batches, _ = sample("mala", crossing, jnp.zeros(2), 24000, 4000, n_beta=50, step_size=3e-3)
    assert_mean(batches, 50, normal_crossing((1, 1), 50, 1))


def test_rmsprop_moves_stay_near_the_posterior():
    """Its moves leave out how fast the preconditioner changes, so the value is near the posterior's, not at it."""
    batches, _ = sample("rmsprop_sgld", bowl, jnp.zeros(5), 4000, 1000, n_beta=100, step_size=2e-4)
    found = 100 * np.mean(batches.means)
    assert found == pytest.approx(quadratic(CURVATURES, 100, 1), rel=0.15)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("sampler", ["sgld", "rmsprop_sgld", "mala"])
def test_padding_does_not_change_a_chain(sampler):
    narrow, wide = jnp.ones((2, 3)), jnp.zeros((4, 5)).at[:2, :3].set(1.0)
    active = wide > 0

    @functools.partial(jax.jit, static_argnames="padded")
    def moved(padded):
        anchor, mask = (wide, active) if padded else (narrow, None)

        def loss(weights):
            return jnp.sum(jnp.cos(weights) * (active if padded else 1))

        settings = {"step_size": 0.01, "n_beta": 10.0, "localisation": 1.0, "active": mask}
        chain = start_chain(sampler, loss, anchor, mask)
        return jax.lax.scan(
            lambda chain, index: (
                advance_chain(sampler, loss, chain, anchor, jax.random.fold_in(jax.random.key(1), index), **settings),
                None,
            ),
            chain,
            jnp.arange(20),
        )[0]

    alone, inside = moved(padded=False), moved(padded=True)
    np.testing.assert_allclose(inside.weights[:2, :3], alone.weights, rtol=1e-9)
    np.testing.assert_allclose(inside.squared_distance, alone.squared_distance, rtol=1e-9)
    assert not jnp.where(active, 0, inside.weights).any()


def test_directions_depend_on_no_padding():
    key = jax.random.key(3)
    np.testing.assert_array_equal(
        random_direction(key, jnp.zeros((5, 7)))[:2, :3], random_direction(key, jnp.zeros((2, 3)))
    )
