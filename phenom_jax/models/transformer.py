"""Transformers that answer a ∘ b at the last token of a short sequence: Nanda's one layer and Power's decoder.

Much inside them depends on a alone, on b alone or on neither, and is computed once per token, or once, instead of once
per question: `Rows` carries such values, and they meet in `attend`. The last layer computes only the last position.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from phenom_jax.models.layers import ACTIVATIONS, Activation, Dense, LayerNorm, gaussian
from phenom_jax.models.lookup import look_up
from phenom_jax.sizes import Size, exactly

Operands = Literal["", "a", "b", "ab"]


class NandaTransformer(nnx.Module):
    """One layer on the tokens `a b =`, no LayerNorm, learned positions, untied unembedding.

    Nanda et al. 2023, arXiv:2301.05217, section 3.
    Every matrix is [units, fan_in] and starts as N(0, 1 / d_model) times `init_scale`, every bias at zero. With no
    normalisation between them, neighbouring matrices are multiplied with each other before they meet the questions.

    Args:
      key: typed PRNG key.
      tokens: number of different operands; `=` is one more.
      classes: number of different answers.
      width: hidden units of the MLP (the paper's d_mlp, 512).
      d_model: width of the residual stream.
      heads: of d_model / heads dimensions each.
      activation: of the MLP.
      init_scale: multiplies every initial weight.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        tokens: int,
        classes: int,
        width: Size,
        d_model: int = 128,
        heads: int = 4,
        activation: Activation = "relu",
        init_scale: float | jax.Array = 1.0,
    ):
        keys = iter(jax.random.split(key, 9))
        stream = exactly(d_model)

        def matrix(rows: Size, columns: Size) -> nnx.Param:
            return gaussian(next(keys), rows, columns, init_scale / np.sqrt(d_model))

        self.heads, self.activation = heads, activation
        self.embed = matrix(exactly(tokens + 1), stream)
        self.positions = matrix(exactly(3), stream)
        self.query, self.key, self.value, self.output = (matrix(stream, stream) for _ in range(4))
        self.into, self.into_bias = matrix(width, stream), nnx.Param(jnp.zeros(width.padded))
        self.out_of, self.out_bias = matrix(stream, width), nnx.Param(jnp.zeros(d_model))
        self.unembed = matrix(exactly(classes), stream)

    def __call__(self, pairs_Nx2: jax.Array) -> jax.Array:
        """Returns logits float[N, classes] of int pairs [N, 2]."""
        embed_TxD, positions_3xD = self.embed[...], self.positions[...]
        equals_1xD = embed_TxD[-1:] + positions_3xD[2:]
        stream = [
            Rows(embed_TxD[:-1] + positions_3xD[:1], "a"),
            Rows(embed_TxD[:-1] + positions_3xD[1:2], "b"),
            Rows(equals_1xD, ""),
        ]
        mixed_NxD = attend(
            project(stream[-1], self.query, self.heads),
            [project(rows, self.key, self.heads) for rows in stream],
            [project(rows, self.value, self.heads) for rows in stream],
            pairs_Nx2,
        ).values
        output_DxD, into_WxD, unembed_CxD = self.output[...], self.into[...], self.unembed[...]
        hidden_NxW = ACTIVATIONS[self.activation](
            mixed_NxD @ (into_WxD @ output_DxD).T + (equals_1xD @ into_WxD.T + self.into_bias[None, :])
        )
        return (
            mixed_NxD @ (unembed_CxD @ output_DxD).T
            + hidden_NxW @ (unembed_CxD @ self.out_of[...]).T
            + (equals_1xD + self.out_bias[None, :]) @ unembed_CxD.T
        )

    def embedding(self) -> jax.Array:
        """Returns float[tokens, d_model]."""
        return self.embed[...][:-1]


class PowerDecoder(nnx.Module):
    """Two causal layers on the tokens `start a ∘ b =`, LayerNorm after each sum (arXiv:2201.02177 and its code).

    As in that code: no biases but LayerNorm's, sinusoidal positions, embedding N(0, 1), matrices uniform in
    ±1 / sqrt(fan-in). Unlike it, only the answer token is predicted, over the answers alone.

    Args:
      width: hidden units of each layer's MLP (512 in the paper).
      layers: how many.
      others: as for `NandaTransformer`; `init_scale` leaves LayerNorm alone.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        tokens: int,
        classes: int,
        width: Size,
        d_model: int = 128,
        heads: int = 4,
        layers: int = 2,
        activation: Activation = "relu",
        init_scale: float | jax.Array = 1.0,
    ):
        embed_key, unembed_key, *layer_keys = jax.random.split(key, 2 + layers)
        self.tokens = tokens
        self.embed = gaussian(embed_key, exactly(tokens + 3), exactly(d_model), init_scale)
        self.layers = nnx.List(
            DecoderLayer(layer_key, width, d_model, heads, activation, init_scale) for layer_key in layer_keys
        )
        self.unembed = Dense(unembed_key, exactly(d_model), exactly(classes), scale=init_scale)

    def __call__(self, pairs_Nx2: jax.Array) -> jax.Array:
        """Returns logits float[N, classes] of int pairs [N, 2]."""
        operand_TxD, special_3xD = jnp.split(self.embed[...], [self.tokens])
        start_1xD, operation_1xD, equals_1xD = jnp.split(special_3xD, 3)
        embedded = [
            Rows(start_1xD, ""),
            Rows(operand_TxD, "a"),
            Rows(operation_1xD, ""),
            Rows(operand_TxD, "b"),
            Rows(equals_1xD, ""),
        ]
        place_5x1xD = sinusoids(len(embedded), operand_TxD.shape[1])[:, None]
        stream = [Rows(rows.values + place_1xD, rows.of) for rows, place_1xD in zip(embedded, place_5x1xD)]
        for layer in self.layers[:-1]:
            stream = [layer(stream[: place + 1], pairs_Nx2) for place in range(len(stream))]
        return self.unembed(self.layers[-1](stream, pairs_Nx2).values)

    def embedding(self) -> jax.Array:
        """Returns float[tokens, d_model]."""
        return self.embed[...][: self.tokens]


class DecoderLayer(nnx.Module):
    """Attention, LayerNorm, MLP, LayerNorm, each of the two inside a sum."""

    def __init__(
        self,
        key: jax.Array,
        width: Size,
        d_model: int,
        heads: int,
        activation: Activation,
        scale: float | jax.Array,
    ):
        keys = iter(jax.random.split(key, 6))
        stream = exactly(d_model)
        self.heads, self.activation = heads, activation
        self.query, self.key, self.value, self.output = (
            Dense(next(keys), stream, stream, scale=scale) for _ in range(4)
        )
        self.into = Dense(next(keys), stream, width, scale=scale)
        self.out_of = Dense(next(keys), width, stream, scale=scale)
        self.norms = nnx.List([LayerNorm(stream), LayerNorm(stream)])

    def __call__(self, context: Sequence[Rows], pairs_Nx2: jax.Array) -> Rows:
        """Returns the last position's new values; it sees every position of `context`, itself included."""
        mixed = attend(
            project(context[-1], self.query.weight, self.heads),
            [project(rows, self.key.weight, self.heads) for rows in context],
            [project(rows, self.value.weight, self.heads) for rows in context],
            pairs_Nx2,
        )
        attended = self.norms[0](spread(context[-1], mixed.of, pairs_Nx2) + self.output(mixed.values))
        hidden = ACTIVATIONS[self.activation](self.into(attended))
        return Rows(self.norms[1](attended + self.out_of(hidden)), mixed.of)


class Rows(NamedTuple):
    """Values with one row for each value of what they depend on.

    Attributes:
      values: [R, ...]; R is 1 if they depend on nothing, the number of tokens for one operand, N for both.
      of: the operands they depend on.
    """

    values: jax.Array
    of: Operands


def join(*parts: Rows) -> Operands:
    """Returns the operands that any of `parts` depends on."""
    return "".join(operand for operand in "ab" if any(operand in rows.of for rows in parts))  # type: ignore[return-value]


def spread(rows: Rows, of: Operands, pairs_Nx2: jax.Array) -> jax.Array:
    """Returns values with a row for each value of `of`; what depends on nothing keeps one row, to be broadcast."""
    if rows.of in (of, ""):
        return rows.values
    return look_up(rows.values, pairs_Nx2[:, "ab".index(rows.of)])


def project(rows: Rows, weight: nnx.Param, heads: int) -> Rows:
    """Returns the values times a matrix [units, fan_in], the last axis cut into heads: [R, heads, d_head]."""
    projected = rows.values @ weight[...].T
    return Rows(projected.reshape(len(projected), heads, -1), rows.of)


def attend(query: Rows, keys: Sequence[Rows], values: Sequence[Rows], pairs_Nx2: jax.Array) -> Rows:
    """Returns softmax(q k / sqrt(d_head)) v of one position over some, heads side by side: [R, heads d_head]."""
    of = join(query, *keys)
    scores = []
    for key in keys:
        pair = join(query, key)
        alike = spread(query, pair, pairs_Nx2) * spread(key, pair, pairs_Nx2)
        scores.append(spread(Rows(alike.sum(-1) / np.sqrt(alike.shape[-1]), pair), of, pairs_Nx2))
    weights = jax.nn.softmax(jnp.stack(jnp.broadcast_arrays(*scores)), axis=0)
    products = [weight[:, :, None] * spread(value, of, pairs_Nx2) for weight, value in zip(weights, values)]
    mixed = functools.reduce(jnp.add, products)
    return Rows(mixed.reshape(len(mixed), -1), of)


def sinusoids(positions: int, dimensions: int) -> np.ndarray:
    """Returns the sinusoidal position encoding float32[positions, dimensions] (Vaswani et al. 2017, section 3.5)."""
    even = np.arange(dimensions) // 2 * 2
    angles = np.arange(positions)[:, None] / 10000 ** (even / dimensions)[None, :]
    return np.where(np.arange(dimensions) % 2 == 0, np.sin(angles), np.cos(angles)).astype(np.float32)
