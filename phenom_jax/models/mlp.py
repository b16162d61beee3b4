"""Multi-layer perceptrons: on vectors, and those that answer a ∘ b, on one-hot tokens or on a learned embedding."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from phenom_jax.models.layers import ACTIVATIONS, Activation, Dense, gaussian
from phenom_jax.models.lookup import look_up
from phenom_jax.sizes import Size, exactly


class MLP(nnx.Module):
    """A vector -> hidden layers of one width -> a logit per class; every layer has a bias.

    Args:
      key: typed PRNG key.
      inputs: numbers of an example.
      classes: number of different answers.
      width: units of each hidden layer.
      hidden_layers: how many, none for a linear model.
      activation: of the hidden layers.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        inputs: int,
        classes: int,
        width: Size,
        hidden_layers: int = 2,
        activation: Activation = "relu",
    ):
        sizes = [exactly(inputs), *[width] * hidden_layers, exactly(classes)]
        self.activation: Activation = activation
        self.layers = _stack(key, sizes, biases=True, init_scale=1.0)

    def __call__(self, x_NxI: jax.Array) -> jax.Array:
        """Returns logits float[N, classes] of float[N, inputs]."""
        first, *rest = self.layers
        hidden_NxW = first(x_NxI)
        for layer in rest:
            hidden_NxW = layer(ACTIVATIONS[self.activation](hidden_NxW))
        return hidden_NxW


class OneHotMLP(nnx.Module):
    """One-hot a and one-hot b, side by side -> hidden layers of one width -> answers.

    The first layer adds two rows of its matrix, which is what the matrix does to two one-hot vectors.

    Args:
      key: typed PRNG key.
      tokens: number of different operands.
      classes: number of different answers.
      width: units of each hidden layer.
      hidden_layers: at least one.
      biases: whether the layers have them.
      activation: of the hidden layers.
      init_scale: multiplies every initial weight and bias.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        tokens: int,
        classes: int,
        width: Size,
        hidden_layers: int = 1,
        biases: bool = False,
        activation: Activation = "relu",
        init_scale: float | jax.Array = 1.0,
    ):
        sizes = [exactly(2 * tokens), *[width] * hidden_layers, exactly(classes)]
        self.activation: Activation = activation
        self.layers = _stack(key, sizes, biases, init_scale)

    def __call__(self, pairs_Nx2: jax.Array) -> jax.Array:
        """Returns logits float[N, classes] of int pairs [N, 2]."""
        left_TxW, right_TxW = jnp.split(self.layers[0].weight[...].T, 2)
        return _answer(left_TxW, right_TxW, self.layers, self.activation, pairs_Nx2)

    def embedding(self) -> jax.Array:
        """Returns float[tokens, 2 width]: what each token adds to the first hidden layer as a and as b."""
        return jnp.concatenate(jnp.split(self.layers[0].weight[...].T, 2), axis=1)


class EmbeddingMLP(nnx.Module):
    """Embeddings of a and b, side by side -> hidden layers of one width -> answers.

    The first layer is applied to the embedding of each token, not of each pair: its output for a pair is the sum of one
    row for a and one for b. The embedding starts as N(0, 1), PyTorch's default.

    Args:
      key: typed PRNG key.
      dimensions: of the embedding, shared by both operands.
      others: as for `OneHotMLP`.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        tokens: int,
        classes: int,
        width: Size,
        dimensions: int = 128,
        hidden_layers: int = 1,
        biases: bool = False,
        activation: Activation = "relu",
        init_scale: float | jax.Array = 1.0,
    ):
        embedding_key, layers_key = jax.random.split(key)
        sizes = [exactly(2 * dimensions), *[width] * hidden_layers, exactly(classes)]
        self.activation: Activation = activation
        self.embedded = gaussian(embedding_key, exactly(tokens), exactly(dimensions), init_scale)
        self.layers = _stack(layers_key, sizes, biases, init_scale)

    def __call__(self, pairs_Nx2: jax.Array) -> jax.Array:
        """Returns logits float[N, classes] of int pairs [N, 2]."""
        left_DxW, right_DxW = jnp.split(self.layers[0].weight[...].T, 2)
        embedded_TxD = self.embedded[...]
        return _answer(embedded_TxD @ left_DxW, embedded_TxD @ right_DxW, self.layers, self.activation, pairs_Nx2)

    def embedding(self) -> jax.Array:
        """Returns float[tokens, dimensions]."""
        return self.embedded[...]


def _stack(key: jax.Array, sizes: Sequence[Size], biases: bool, init_scale: float | jax.Array) -> nnx.List[Dense]:
    return nnx.List(
        Dense(jax.random.fold_in(key, depth), fan_in, units, bias=biases, scale=init_scale)
        for depth, (fan_in, units) in enumerate(itertools.pairwise(sizes))
    )


def _answer(
    left_TxW: jax.Array, right_TxW: jax.Array, layers: Sequence[Dense], activation: Activation, pairs_Nx2: jax.Array
) -> jax.Array:
    """Returns the logits of pairs whose first layer adds one row of `left` and one of `right`."""
    first, *rest = layers
    hidden_NxW = first.shift(look_up(left_TxW, pairs_Nx2[:, 0]) + look_up(right_TxW, pairs_Nx2[:, 1]))
    for layer in rest:
        hidden_NxW = layer(ACTIVATIONS[activation](hidden_NxW))
    return hidden_NxW
