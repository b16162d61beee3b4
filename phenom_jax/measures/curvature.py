"""The curvature of a loss at given weights, from products of its Hessian with directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from phenom_jax.measures.directions import inner, only_active, random_direction

Weights = TypeVar("Weights")


class Estimate(NamedTuple):
    """A mean over probes with its standard error, float[] each."""

    mean: jax.Array
    standard_error: jax.Array


def top_curvature(
    loss: Callable[[Weights], jax.Array],
    weights: Weights,
    key: jax.Array,
    active: Weights | None = None,
    iterations: int = 30,
) -> jax.Array:
    """Returns the Hessian's eigenvalue of largest magnitude, float[], by power iteration: a bound from below.

    Args:
      loss: `(weights) -> float[]`.
      weights: pytree of float arrays.
      key: of the first direction.
      active: bool arrays like the weights, True for those that may move; None for all. Padded weights are not active.
      iterations: products with the Hessian.
    """
    product = _hessian_product(loss, weights, active)

    def improve(_: int, direction: Weights) -> Weights:
        return _unit(product(direction))

    direction = jax.lax.fori_loop(0, iterations - 1, improve, _unit(random_direction(key, weights, active)))
    return inner(direction, product(direction))


def hessian_trace(
    loss: Callable[[Weights], jax.Array],
    weights: Weights,
    key: jax.Array,
    active: Weights | None = None,
    probes: int = 30,
) -> Estimate:
    """Returns the Hessian's trace by Hutchinson's estimator (1990): the mean of v·Hv over signs v drawn at random.

    Args are those of `top_curvature`; `probes`, at least 2, is the number of v, one after the other.
    """
    product = _hessian_product(loss, weights, active)

    def probe(key: jax.Array) -> jax.Array:
        signs = random_direction(key, weights, active, jax.random.rademacher)
        return inner(signs, product(signs))

    values_P = jax.lax.map(probe, jax.random.split(key, probes))
    return Estimate(values_P.mean(), values_P.std(ddof=1) / jnp.sqrt(probes))


def _hessian_product(
    loss: Callable[[Weights], jax.Array], weights: Weights, active: Weights | None
) -> Callable[[Weights], Weights]:
    gradient = jax.linearize(jax.grad(loss), weights)[1]
    return lambda direction: only_active(gradient(direction), active)


def _unit(direction: Weights) -> Weights:
    length = jnp.sqrt(inner(direction, direction))
    return jax.tree.map(lambda values: values / jnp.maximum(length, jnp.finfo(values.dtype).tiny), direction)
