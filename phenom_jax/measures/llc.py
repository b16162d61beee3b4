"""The local learning coefficient of a loss around given weights, estimated by sampling (Lau et al. 2023, section 4).

    lambda = n beta (E[L(w)] - L(w*)),   w ~ exp(-n beta L(w) - gamma |w - w*|² / 2)

with the anchor w*, the inverse temperature n beta and the localisation gamma (arXiv:2308.12108). Everything here is of
one chain, which moves by Langevin steps of size epsilon (Welling, Teh 2011),

    w <- w - (epsilon / 2) (n beta grad L + gamma (w - w*)) + sqrt(epsilon) N(0, 1).

`draws.py` averages over what a chain visits. A chain is as good as its steps are short: epsilon times
`stiffness(n beta, largest curvature of L, gamma)` should stay below STEP_RULE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from phenom_jax.measures.directions import inner, only_active, random_direction

Sampler = Literal["sgld", "rmsprop_sgld", "mala"]
Number = float | jax.Array
Weights = TypeVar("Weights")

STEP_RULE = 0.2  # at a quadratic minimum SGLD's estimate is then at most 5 % too high
MEMORY = 0.99  # decay of RMSprop's average of squared gradients
STABILITY = 0.1  # added to its root
_ACCEPT = 0xACCE  # stream of the Metropolis draws


class Chain(NamedTuple, Generic[Weights]):
    """Where a chain is.

    Attributes:
      weights: the draw.
      loss: float[], at the weights, as the caller's loss was when the chain came there.
      gradient: of that loss, zero where weights are not active.
      moments: RMSprop's average of squared gradients, like the weights; () for the other samplers.
      squared_distance: float[], |w - w*|².
      acceptance: float[], the probability at which Metropolis and Hastings accept the last move. Only MALA obeys it. It
        says nothing of a loss that changes from step to step.
    """

    weights: Weights
    loss: jax.Array
    gradient: Weights
    moments: Weights | tuple[()]
    squared_distance: jax.Array
    acceptance: jax.Array


def start_chain(
    sampler: Sampler, loss: Callable[[Weights], jax.Array], anchor: Weights, active: Weights | None = None
) -> Chain[Weights]:
    """Returns the chain at its anchor; arguments are those of `advance_chain`."""
    value, gradient = jax.value_and_grad(loss)(anchor)
    gradient = only_active(gradient, active)
    moments = jax.tree.map(jnp.square, gradient) if sampler == "rmsprop_sgld" else ()
    return Chain(anchor, value, gradient, moments, jnp.zeros_like(value), jnp.ones_like(value))


def advance_chain(
    sampler: Sampler,
    loss: Callable[[Weights], jax.Array],
    chain: Chain[Weights],
    anchor: Weights,
    key: jax.Array,
    *,
    step_size: Number,
    n_beta: Number,
    localisation: Number,
    active: Weights | None = None,
) -> Chain[Weights]:
    """Returns the chain after one move, for which the loss is evaluated once, with its gradient.

    Args:
      sampler: "sgld" makes every move. "rmsprop_sgld" makes every move too, with steps shorter where gradients are
        large (Li et al. 2016, without the term for how fast that changes): epsilon / (sqrt(moment) + STABILITY). "mala"
        accepts or rejects moves so that draws have the right distribution at any step size; it needs one loss for all
        steps.
      loss: `(weights) -> float[]`, a mean over examples; of a minibatch if it differs from step to step.
      chain: where it is.
      anchor: w*.
      key: of this step.
      step_size: epsilon.
      n_beta: number of examples times inverse temperature.
      localisation: gamma.
      active: bool arrays like the weights, True for those that move; None for all. Padded weights are not active.
    """
    moments = chain.moments
    if sampler == "rmsprop_sgld":
        moments = jax.tree.map(lambda m, g: MEMORY * m + (1 - MEMORY) * g * g, chain.moments, chain.gradient)
        roots = jax.tree.map(lambda m: jnp.sqrt(step_size / (jnp.sqrt(m) + STABILITY)), moments)
    else:
        roots = jax.tree.map(lambda g: jnp.sqrt(jnp.asarray(step_size, g.dtype)), chain.gradient)

    def force(weights: Weights, gradient: Weights) -> Weights:
        return jax.tree.map(lambda w, g, a: n_beta * g + localisation * (w - a), weights, gradient, anchor)

    noise = random_direction(key, anchor, active)
    before = force(chain.weights, chain.gradient)
    weights = jax.tree.map(lambda w, f, r, z: w - r * r / 2 * f + r * z, chain.weights, before, roots, noise)
    value, gradient = jax.value_and_grad(loss)(weights)
    gradient = only_active(gradient, active)
    offset = jax.tree.map(jnp.subtract, weights, anchor)
    squared_distance = inner(offset, offset)
    # the way back needs the noise `noise - shift`, so the proposal's log-ratio is noise·shift - |shift|² / 2
    shift = jax.tree.map(lambda r, b, a: r / 2 * (b + a), roots, before, force(weights, gradient))
    log_ratio = (
        n_beta * (chain.loss - value)
        + localisation / 2 * (chain.squared_distance - squared_distance)
        + inner(noise, shift)
        - inner(shift, shift) / 2
    )
    acceptance = jnp.nan_to_num(jnp.exp(jnp.minimum(log_ratio, 0)), nan=0.0)
    moved = Chain(weights, value, gradient, moments, squared_distance, acceptance)
    if sampler != "mala":
        return moved
    accepted = jax.random.uniform(jax.random.fold_in(key, _ACCEPT)) < acceptance
    stayed = chain._replace(acceptance=acceptance)
    return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), moved, stayed)


def stiffness(n_beta: Number, curvature: Number, localisation: Number) -> Number:
    """Returns the largest curvature of the sampled energy, n beta h + gamma; curvature h is the loss's largest."""
    return n_beta * curvature + localisation
