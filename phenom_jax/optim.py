"""Optimisers as optax chains whose numbers may be traced: build them inside the function that uses them.

Each takes steps of size `learning_rate` after a linear warm-up, and decays weights toward zero or where they started.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import optax

Number = float | jax.Array
Anchor = Literal["zero", "start"]
Weights = TypeVar("Weights")


class Decay(NamedTuple):
    """What weights decay to: their starting values, None for zero."""

    start: optax.Params | None


class Grokfast(NamedTuple):
    """How many gradients were seen, int32[], and their exponential moving average, shaped like the weights."""

    seen: jax.Array
    slow: optax.Updates


def adamw(
    learning_rate: Number,
    *,
    weight_decay: Number,
    momentum: Number = 0.9,
    second_momentum: Number = 0.98,
    warmup: Number = 0,
    slow_every: Number = 0,
    decay_to: Anchor = "zero",
) -> optax.GradientTransformation:
    """Returns Adam with decoupled weight decay (Loshchilov, Hutter 2019): w <- w - lr (adam(g) + decay (w - anchor)).

    Args:
      learning_rate: step size.
      weight_decay: share of w - anchor taken off per step, in units of the learning rate.
      momentum: decay of the gradient average, Adam's beta 1.
      second_momentum: decay of the squared gradient average, Adam's beta 2.
      warmup: steps over which the learning rate grows linearly; step t (from 1) uses min(1, t / warmup) of it.
      slow_every: after k times so many steps the learning rate is 1 / sqrt(1 + k) of what it was; 0 keeps it.
      decay_to: the anchor, zero or the starting weights.
    """
    return optax.chain(
        optax.scale_by_adam(momentum, second_momentum),
        decay(weight_decay, decay_to),
        _descend(learning_rate, warmup, slow_every),
    )


def adam(
    learning_rate: Number,
    *,
    weight_decay: Number,
    momentum: Number = 0.9,
    second_momentum: Number = 0.98,
    warmup: Number = 0,
    slow_every: Number = 0,
    decay_to: Anchor = "zero",
) -> optax.GradientTransformation:
    """Returns Adam on the loss plus decay |w - anchor|² / 2 (PyTorch's Adam); arguments as for `adamw`."""
    return optax.chain(
        decay(weight_decay, decay_to),
        optax.scale_by_adam(momentum, second_momentum),
        _descend(learning_rate, warmup, slow_every),
    )


def sgd(
    learning_rate: Number,
    *,
    weight_decay: Number,
    momentum: Number = 0.9,
    second_momentum: Number = 0.0,
    warmup: Number = 0,
    slow_every: Number = 0,
    decay_to: Anchor = "zero",
) -> optax.GradientTransformation:
    """Returns gradient descent with momentum on the loss plus decay |w - anchor|² / 2; arguments as for `adamw`."""
    del second_momentum
    return optax.chain(
        decay(weight_decay, decay_to),
        optax.trace(momentum),
        _descend(learning_rate, warmup, slow_every),
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {"adamw": adamw, "adam": adam, "sgd": sgd}


def decay(weight_decay: Number, to: Anchor = "zero") -> optax.GradientTransformation:
    """Returns a transform that adds weight_decay (w - anchor) to the updates.

    Args:
      weight_decay: the factor.
      to: the anchor, zero or the weights that `init` saw.
    """

    def init(params: optax.Params) -> Decay:
        return Decay(start=jax.tree.map(jnp.array, params) if to == "start" else None)

    def update(updates: optax.Updates, state: Decay, params: optax.Params | None = None):
        away = params if state.start is None else jax.tree.map(jnp.subtract, params, state.start)
        return jax.tree.map(lambda update, away: update + weight_decay * away, updates, away), state

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def grokfast(gain: Number = 2.0, memory: Number = 0.98) -> optax.GradientTransformation:
    """Returns Grokfast-EMA: g + gain m with m <- memory m + (1 - memory) g (Lee et al. 2024, algorithm 2).

    Args:
      gain: weight of the slow gradients, the paper's lambda; 0 leaves the gradients as they are.
      memory: decay of their average, the paper's alpha. The average starts at the first gradient, as in its code.
    """

    def init(params: optax.Params) -> Grokfast:
        return Grokfast(seen=jnp.zeros([], jnp.int32), slow=jax.tree.map(jnp.zeros_like, params))

    def update(updates: optax.Updates, state: Grokfast, params: optax.Params | None = None):
        del params
        kept = jnp.where(state.seen == 0, 0.0, memory)
        slow = jax.tree.map(lambda slow, update: kept * slow + (1 - kept) * update, state.slow, updates)
        return jax.tree.map(lambda update, slow: update + gain * slow, updates, slow), Grokfast(state.seen + 1, slow)

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def start(optimizer: optax.GradientTransformation, weights: object) -> optax.OptState:
    """Returns the state of an optimiser before its first step; `weights` may be any pytree, a Flax module too."""
    return optimizer.init(cast(optax.Params, weights))


def advance(
    optimizer: optax.GradientTransformation, gradients: Weights, state: optax.OptState, weights: Weights
) -> tuple[Weights, optax.OptState]:
    """Returns the weights and the optimiser's state after one step."""
    updates, state = optimizer.update(cast(optax.Updates, gradients), state, cast(optax.Params, weights))
    return cast(Weights, optax.apply_updates(cast(optax.Params, weights), updates)), state


def _descend(learning_rate: Number, warmup: Number, slow_every: Number) -> optax.GradientTransformation:
    def rate(count: jax.typing.ArrayLike) -> jax.Array:
        taken = jnp.asarray(count)
        slowed = jnp.where(jnp.asarray(slow_every) > 0, taken // jnp.maximum(slow_every, 1), 0)
        return -learning_rate * jnp.minimum(1.0, (taken + 1) / jnp.maximum(warmup, 1)) / jnp.sqrt(1.0 + slowed)

    return optax.scale_by_schedule(rate)
