"""Causal transformers over sequences of tokens, of attention alone or with MLPs, whose width is a Size.

Made for short sequences and narrow streams: where a layer has one head, its matrices meet (query with key, value with
output) before they meet the tokens, and the last layer computes only the positions that are asked for.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from phenom_jax.models.layers import ACTIVATIONS, Dense, LayerNorm, gaussian, symmetric
from phenom_jax.models.lookup import look_up
from phenom_jax.sizes import Size, draw_columns, exactly

Positions = Literal["relative", "learned"]
Block = Literal["attention", "full"]


class Seen(NamedTuple):
    """What a decoder makes of sequences.

    Attributes:
      logits_NxQxT: at each position asked for, of the token after it.
      patterns: of each layer, the attention float[N, heads, Q, L] of its queries; Q is L in all layers but the last.
    """

    logits_NxQxT: jax.Array
    patterns: tuple[jax.Array, ...]


class Decoder(nnx.Module):
    """Tokens -> residual stream -> causal layers -> a logit per token.

    The embedding starts as N(0, 1), other matrices uniform in ±1 / sqrt(fan-in), PyTorch's defaults.

    Args:
      key: typed PRNG key.
      tokens: number of different tokens.
      length: positions that are told apart.
      width: of the residual stream; heads share it.
      layers: how many.
      heads: in each layer, a divisor of the width.
      positions: "relative" adds to the attention scores a number for each head and distance, zero at the start and
        alike from distance length - 1 on; "learned" adds to the stream a vector for each position, N(0, 1) too.
      smeared: whether the keys of a head mix with those of the token before, by a learned share that starts at a half
        (Olsson et al. 2022, arXiv:2209.11895, "Argument 2").
      block: "full" layers have LayerNorm before attention and before an MLP, and there is one before the logits.
    """

    def __init__(
        self,
        key: jax.Array,
        *,
        tokens: int,
        length: int,
        width: Size,
        layers: int = 2,
        heads: int = 1,
        positions: Positions = "relative",
        smeared: bool = False,
        block: Block = "attention",
    ):
        embed_key, place_key, unembed_key, *layer_keys = jax.random.split(key, 3 + layers)
        reach = length if positions == "relative" else 0
        self.embed = gaussian(embed_key, exactly(tokens), width, 1.0)
        self.places = gaussian(place_key, exactly(length), width, 1.0) if positions == "learned" else None
        self.layers = nnx.List(Layer(layer_key, width, heads, reach, smeared, block) for layer_key in layer_keys)
        self.norm = LayerNorm(width) if block == "full" else None
        self.unembed = Dense(unembed_key, width, exactly(tokens))

    def __call__(self, tokens_NxL: jax.Array, width: Size, at: np.ndarray | None = None) -> Seen:
        """Returns the logits at the positions `at`, all by default, and what was attended to.

        Args:
          tokens_NxL: int32.
          width: as given at the start.
          at: int[Q], ascending and evenly spaced.
        """
        length = tokens_NxL.shape[1]
        every = np.arange(length)
        stream_NxLxD = look_up(self.embed[...], tokens_NxL)
        if self.places is not None:
            stream_NxLxD = stream_NxLxD + self.places[...][None, :length]
        patterns = []
        for layer in self.layers:
            last = layer is self.layers[-1]
            stream_NxLxD, pattern = layer(stream_NxLxD, width, every if at is None or not last else at)
            patterns.append(pattern)
        if self.norm is not None:
            stream_NxLxD = self.norm(stream_NxLxD, width)
        return Seen(self.unembed(stream_NxLxD), tuple(patterns))

    def copying_circuits(self) -> jax.Array:
        """Returns float[layers, heads, T, T]: what attending to each token (row) adds to the logit of each (column).

        That is W_E W_V W_O W_U of each head, the direct path, without any LayerNorm (Elhage et al. 2021).
        """
        embed_TxD, unembed_TxD = self.embed[...], self.unembed.weight[...]
        heads = [jnp.einsum("hdf,hfe->hde", layer.value[...], layer.output[...]) for layer in self.layers]
        return jnp.einsum("td,lhde,ue->lhtu", embed_TxD, jnp.stack(heads), unembed_TxD)


class Layer(nnx.Module):
    """Attention, and in a full block an MLP, each added to the stream.

    Args:
      key: typed PRNG key.
      width: of the stream.
      heads: a divisor of the width.
      reach: distances with a bias of their own, 0 for no biases.
      smeared, block: as for `Decoder`.
    """

    def __init__(self, key: jax.Array, width: Size, heads: int, reach: int, smeared: bool, block: Block):
        *matrix_keys, mlp_key = jax.random.split(key, 5)
        of_head = head_size(width, heads)
        self.query, self.key, self.value = (_heads(key, heads, width, of_head, width) for key in matrix_keys[:3])
        self.output = _heads(matrix_keys[3], heads, of_head, width, width)
        self.bias = nnx.Param(jnp.zeros((heads, reach))) if reach else None
        self.smear = nnx.Param(jnp.zeros(heads)) if smeared else None
        self.norm = LayerNorm(width) if block == "full" else None
        self.mlp = MLP(mlp_key, width) if block == "full" else None

    def __call__(self, stream_NxLxD: jax.Array, width: Size, at: np.ndarray) -> tuple[jax.Array, jax.Array]:
        """Returns the stream at the positions `at` after this layer, and its pattern float[N, heads, Q, L]."""
        heads = len(self.query)
        seen_NxLxD = stream_NxLxD if self.norm is None else self.norm(stream_NxLxD, width)
        asked_NxQxD, stream_NxQxD = (_places(x, at) for x in (seen_NxLxD, stream_NxLxD))
        query, key, value, output = (weight[...] for weight in (self.query, self.key, self.value, self.output))
        if heads == 1:
            scores_NxHxQxL = ((asked_NxQxD @ (query[0] @ key[0].T)) @ seen_NxLxD.mT)[:, None]
        else:
            queries_NxHxQxF = jnp.einsum("nqd,hdf->nhqf", asked_NxQxD, query)
            scores_NxHxQxL = queries_NxHxQxF @ jnp.einsum("nld,hdf->nhfl", seen_NxLxD, key)
        pattern_NxHxQxL = self._pattern(scores_NxHxQxL / jnp.sqrt(head_size(width, heads).active), at)
        if heads == 1:
            added_NxQxD = (pattern_NxHxQxL[:, 0] @ seen_NxLxD) @ (value[0] @ output[0])
        else:
            mixed_NxHxQxF = pattern_NxHxQxL @ jnp.einsum("nld,hdf->nhlf", seen_NxLxD, value)
            added_NxQxD = jnp.einsum("nhqf,hfd->nqd", mixed_NxHxQxF, output)
        stream_NxQxD = stream_NxQxD + added_NxQxD
        if self.mlp is not None:
            stream_NxQxD = stream_NxQxD + self.mlp(stream_NxQxD, width)
        return stream_NxQxD, pattern_NxHxQxL

    def _pattern(self, scores_NxHxQxL: jax.Array, at: np.ndarray) -> jax.Array:
        """Returns the attention to every position up to the query's own, from the scores of queries with keys."""
        distance_QxL = at[:, None] - np.arange(scores_NxHxQxL.shape[-1])[None, :]
        if self.smear is not None:
            # a score is linear in its key, so that scores mix as keys do; the first token has none before it
            own_H = jax.nn.sigmoid(self.smear[...])[None, :, None, None]
            before_NxHxQxL = jnp.concatenate([scores_NxHxQxL[..., :1], scores_NxHxQxL[..., :-1]], axis=-1)
            scores_NxHxQxL = own_H * scores_NxHxQxL + (1 - own_H) * before_NxHxQxL
        if self.bias is not None:
            bias_HxR = self.bias[...]
            near_QxL = np.clip(distance_QxL, 0, bias_HxR.shape[1] - 1)
            scores_NxHxQxL = scores_NxHxQxL + jnp.moveaxis(look_up(bias_HxR.T, near_QxL), -1, 0)[None]
        masked = jnp.where((distance_QxL >= 0)[None, None], scores_NxHxQxL, -jnp.inf)
        return jax.nn.softmax(masked, axis=-1)


class MLP(nnx.Module):
    """LayerNorm, then one hidden layer of GELU units, four for each dimension of the stream."""

    def __init__(self, key: jax.Array, width: Size):
        into_key, out_key = jax.random.split(key)
        hidden = Size(4 * width.active, 4 * width.padded)
        self.norm = LayerNorm(width)
        self.into, self.out_of = Dense(into_key, width, hidden), Dense(out_key, hidden, width)

    def __call__(self, stream_NxQxD: jax.Array, width: Size) -> jax.Array:
        """Returns what is added to the stream."""
        return self.out_of(ACTIVATIONS["gelu"](self.into(self.norm(stream_NxQxD, width))))


def head_size(width: Size, heads: int) -> Size:
    """Returns the dimensions of one head."""
    return Size(width.active // heads, -(-width.padded // heads))


def _places(x_NxLxD: jax.Array, at: np.ndarray) -> jax.Array:
    """Returns the places `at`, as a slice: its gradient is padded, not scattered.

    Raises:
      ValueError: the places are not evenly spaced.
    """
    start, stop, stride = int(at[0]), int(at[-1]) + 1, int(at[1] - at[0]) if len(at) > 1 else 1
    if not np.array_equal(at, np.arange(start, stop, stride)):
        raise ValueError(f"at: {at} is not evenly spaced")
    return jax.lax.slice_in_dim(x_NxLxD, start, stop, stride, axis=1)


def _heads(key: jax.Array, heads: int, fan_in: Size, units: Size, all_inputs: Size) -> nnx.Param:
    """Returns float[heads, fan_in, units], uniform in ±1 / sqrt(all inputs); a head draws from its own folded key."""
    draws = [draw_columns(jax.random.fold_in(key, head), fan_in, units, symmetric) for head in range(heads)]
    return nnx.Param(jnp.stack(draws) / jnp.sqrt(all_inputs.active))
