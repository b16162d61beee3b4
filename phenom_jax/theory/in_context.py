"""What the best predictors that count make of a Markov chain whose transition matrix has Dirichlet(1) rows.

Edelman et al. 2024, arXiv:2402.11004, section 2: a predictor that counts states, and the Bayes-optimal one that counts
transitions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def unigram(states_NxL: jax.Array, symbols: int) -> jax.Array:
    """Returns float[N, L, symbols]: the probability of the state after each, (count + 1) / (seen + symbols)."""
    counts_NxLxS = jnp.cumsum(_one_hot(states_NxL, symbols), axis=1)
    return (counts_NxLxS + 1) / (counts_NxLxS.sum(-1, keepdims=True) + symbols)


def bigram(states_NxL: jax.Array, symbols: int) -> jax.Array:
    """Returns float[N, L, symbols], the Bayes-optimal prediction: as `unigram`, of what followed the present state."""
    from_NxLxS = _one_hot(states_NxL, symbols)
    moves_NxLxSxS = jnp.pad(from_NxLxS[:, :-1, :, None] * from_NxLxS[:, 1:, None, :], ((0, 0), (1, 0), (0, 0), (0, 0)))
    counts_NxLxS = (jnp.cumsum(moves_NxLxSxS, axis=1) * from_NxLxS[..., None]).sum(2)
    return (counts_NxLxS + 1) / (counts_NxLxS.sum(-1, keepdims=True) + symbols)


def divergence(predicted_NxLxS: jax.Array, log_probabilities_NxLxS: jax.Array) -> jax.Array:
    """Returns the mean KL divergence of a model's predictions from a predictor's, nat: sum p (log p - log q)."""
    return (predicted_NxLxS * (jnp.log(predicted_NxLxS) - log_probabilities_NxLxS)).sum(-1).mean()


def _one_hot(states_NxL: jax.Array, symbols: int) -> jax.Array:
    return (states_NxL[:, :, None] == jnp.arange(symbols)[None, None]).astype(float)
