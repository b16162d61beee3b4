"""The loss that a chain samples, around what a source has kept, as a function of the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from phenom_jax.experiment import Landscape
from phenom_jax.sizes import Size, exactly, masked_mean
from phenom_jax.source import Start

Loss = Literal["train", "behaviour"]


class Data(NamedTuple):
    """Train examples, and what the kept weights put out for them."""

    examples: Any
    anchor_outputs: jax.Array


def data(start: Start) -> Data:
    """Returns the train examples of a run and the outputs of what it kept on them."""
    examples = _landscape(start).examples(start.hp)
    return Data(examples, _landscape(start).outputs(start.kept, examples, start.hp))


def count(start: Start) -> Size:
    """Returns the number of train examples."""
    return _landscape(start).count(start.hp)


def loss(kind: Loss, start: Start, data: Data) -> Callable[[Any], jax.Array]:
    """Returns the mean loss over all train examples as a function of the weights."""
    return functools.partial(_mean, kind, start, data, count(start))


def batch_loss(kind: Loss, start: Start, data: Data, key: jax.Array, batch: int) -> Callable[[Any], jax.Array]:
    """Returns the mean loss over train examples drawn with replacement."""
    chosen_B = jax.random.randint(key, (batch,), 0, count(start).active)
    drawn = jax.tree.map(lambda values: values[chosen_B], data)
    return functools.partial(_mean, kind, start, drawn, exactly(batch))


def active(start: Start) -> Any:
    """Returns bool arrays like the weights, True where they are no padding: leading corners."""
    leaves, structure = jax.tree.flatten(start.kept)
    return structure.unflatten(_corner(leaf.shape, shape) for leaf, shape in zip(leaves, start.shapes, strict=True))


def weight_count(start: Start) -> jax.Array:
    """Returns how many weights are no padding."""
    return jnp.prod(start.shapes.astype(jnp.result_type(float)), axis=1).sum()


def _landscape(start: Start) -> Landscape:
    assert start.landscape is not None
    return start.landscape


def _mean(kind: Loss, start: Start, data: Data, count: Size, weights: Any) -> jax.Array:
    outputs = _landscape(start).outputs(weights, data.examples, start.hp)
    if kind == "train":
        return masked_mean(_landscape(start).losses(outputs, data.examples, start.hp), count)
    squares = jnp.square(outputs - data.anchor_outputs).reshape(len(outputs), -1)
    return masked_mean(squares.sum(1) / 2, count)


def _corner(shape: tuple[int, ...], active: jax.Array) -> jax.Array:
    mask = jnp.ones(shape, bool)
    for axis in range(len(shape)):
        inside = jnp.arange(shape[axis]) < active[axis]
        mask &= inside.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return mask
