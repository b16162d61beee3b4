"""What is said of chains whose draws are known: an autoregression has closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.measures.draws import (
    BATCHES,
    Batches,
    add,
    effective_sample_size,
    local_learning_coefficient,
    mean_loss,
    no_draws,
    split_r_hat,
    standard_error,
)
from phenom_jax.measures.llc import Chain


def batches_of(losses_CxT):
    stretches = losses_CxT.reshape(len(losses_CxT), BATCHES, -1)
    means = stretches.mean(-1)
    counts = np.full(means.shape, stretches.shape[-1], float)
    return Batches(counts, means, ((stretches - means[..., None]) ** 2).sum(-1))


def autoregression(memory, chains=16, draws=32 * 400):
    noise = np.random.default_rng(0).normal(size=(chains, draws))
    losses = np.empty_like(noise)
    losses[:, 0] = noise[:, 0] / np.sqrt(1 - memory**2)
    for t in range(1, draws):
        losses[:, t] = memory * losses[:, t - 1] + noise[:, t]
    return losses


def test_draws_are_averaged_in_their_order_without_burn_in():
    losses = np.random.default_rng(1).normal(size=80)
    draws = no_draws()
    for index, loss in enumerate(losses):
        chain = Chain(None, jnp.asarray(loss), None, (), jnp.asarray(float(index**2)), jnp.asarray(0.5))
        draws = add(draws, chain, jnp.asarray(index - 16), 64)
    expected = batches_of(losses[None, 16:])
    for found, wanted in zip(draws.batches, expected, strict=True):
        np.testing.assert_allclose(found, wanted[0], atol=1e-6)
    assert mean_loss(draws.batches) == pytest.approx(losses[16:].mean(), rel=1e-5)
    assert draws.lowest == pytest.approx(losses[16:].min()) and draws.furthest == 79
    assert draws.distance == pytest.approx(np.arange(16, 80).mean()) and draws.acceptance == 0.5
    assert local_learning_coefficient(jnp.array(0.5), jnp.array(0.2), 10.0) == pytest.approx(3.0)


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_effective_draws_of_an_autoregression(memory):
    losses = autoregression(memory)
    found, exact = effective_sample_size(batches_of(losses)), losses.size * (1 - memory) / (1 + memory)
    assert found == pytest.approx(exact, rel=0.2)
    assert standard_error(batches_of(losses)) == pytest.approx(losses.std() / np.sqrt(exact), rel=0.1)
    assert split_r_hat(batches_of(losses)) == pytest.approx(1, abs=0.01)


def test_chains_that_disagree_have_a_large_r_hat():
    """Means apart by a standard deviation of one make half-chain means vary by it: R-hat is the root of two."""
    apart = np.random.default_rng(2).normal(size=(400, 1))
    losses = apart + np.random.default_rng(3).normal(size=(400, BATCHES * 20))
    assert split_r_hat(batches_of(losses)) == pytest.approx(np.sqrt(2), rel=0.05)


def test_too_few_draws_say_nothing():
    nothing = Batches(*(np.zeros((4, BATCHES)) for _ in range(3)))
    assert np.isnan([split_r_hat(nothing), effective_sample_size(nothing), standard_error(nothing)]).all()
