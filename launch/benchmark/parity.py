"""Sparse parity with a model so small that overhead decides: perceptron 30-100-1, fresh batches of 32, hinge loss, SGD.

The task of Barak et al. 2022 (arXiv:2207.08799): the label is the product of a few of the ±1 inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import hparams, size, static, swept
from phenom_jax.sizes import Size, draw_columns, exactly

TEST_KEY, TEST_EXAMPLES = 7, 256


@hparams
class Parity:
    seed: int = swept(0, "initial weights and data")
    steps: int = swept(100_000, "SGD steps", at_least=0)
    learning_rate: float = swept(0.1, "step size", above=0)
    width: Size = size(100, "hidden units")
    inputs: int = static(30, "±1 inputs", at_least=1, at_most=32)
    degree: int = static(3, "inputs that decide the label", at_least=1)
    batch: int = static(32, "examples of a step", at_least=1)


class Weights(NamedTuple):
    hidden_IxW: jax.Array
    hidden_bias_W: jax.Array
    readout_Wx1: jax.Array
    readout_bias: jax.Array


class State(NamedTuple):
    weights: Weights


class StepMetrics(NamedTuple):
    loss: jax.Array


class Measures(NamedTuple):
    accuracy: jax.Array


def init(hp: Parity) -> State:
    keys = jax.random.split(jax.random.key(hp.seed), 4)
    one, inputs, width = exactly(1), exactly(hp.inputs), hp.width
    shallow, deep = 1 / jnp.sqrt(inputs.active), 1 / jnp.sqrt(width.active)
    return State(
        Weights(
            hidden_IxW=shallow * draw_columns(keys[0], inputs, width, _symmetric),
            hidden_bias_W=shallow * draw_columns(keys[1], one, width, _symmetric)[0],
            readout_Wx1=deep * draw_columns(keys[2], width, one, _symmetric),
            readout_bias=deep * draw_columns(keys[3], one, one, _symmetric)[0],
        )
    )


def step(state: State, hp: Parity, key: jax.Array) -> tuple[State, StepMetrics]:
    loss, gradients = jax.value_and_grad(_hinge)(state.weights, *draw(key, hp.batch, hp))
    weights = jax.tree.map(lambda weight, gradient: weight - hp.learning_rate * gradient, state.weights, gradients)
    return State(weights), StepMetrics(loss)


def measure(state: State, hp: Parity) -> Measures:
    inputs_BxI, labels_B = draw(jax.random.key(TEST_KEY), TEST_EXAMPLES, hp)
    return Measures((_outputs(state.weights, inputs_BxI) * labels_B > 0).mean())


def draw(key: jax.Array, examples: int, hp: Parity) -> tuple[jax.Array, jax.Array]:
    """Returns ±1 inputs [examples, inputs], one random word per example, and their labels [examples]."""
    words_B = jax.random.bits(key, (examples,), jnp.uint32)
    bits_BxI = (words_B[:, None] >> jnp.arange(hp.inputs, dtype=jnp.uint32)[None, :]) & 1
    inputs_BxI = 2.0 * bits_BxI.astype(jnp.float32) - 1
    return inputs_BxI, inputs_BxI[:, : hp.degree].prod(1)


def _hinge(weights: Weights, inputs_BxI: jax.Array, labels_B: jax.Array) -> jax.Array:
    return jax.nn.relu(1 - labels_B * _outputs(weights, inputs_BxI)).mean()


def _outputs(weights: Weights, inputs_BxI: jax.Array) -> jax.Array:
    hidden_BxW = jax.nn.relu(_product(inputs_BxI, weights.hidden_IxW) + weights.hidden_bias_W[None, :])
    return (hidden_BxW @ weights.readout_Wx1 + weights.readout_bias[None, :])[:, 0]


@jax.custom_vjp
def _product(x_BxI: jax.Array, weight_IxW: jax.Array) -> jax.Array:
    """Returns x W. Its gradient lays xᵀ out before multiplying: small products along a first axis are slow on a CPU."""
    return x_BxI @ weight_IxW


def _product_forward(x_BxI: jax.Array, weight_IxW: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x_BxI @ weight_IxW, (x_BxI, weight_IxW)


def _product_backward(seen: tuple[jax.Array, jax.Array], gradient_BxW: jax.Array) -> tuple[jax.Array, jax.Array]:
    x_BxI, weight_IxW = seen
    return gradient_BxW @ weight_IxW.T, jax.lax.optimization_barrier(x_BxI.T) @ gradient_BxW


_product.defvjp(_product_forward, _product_backward)


def _symmetric(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-1.0)


experiment = Experiment("parity", Parity, init, step, measure, schedule=Schedule(resolution=100, points=20))
