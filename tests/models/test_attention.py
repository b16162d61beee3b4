"""The decoder against a plain computation of every head and position."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.models.attention import Decoder
from phenom_jax.sizes import exactly

TOKENS, LENGTH, WIDTH = 7, 6, 8
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0}
EVERYTHING = {"heads": 2, "positions": "learned", "smeared": True, "block": "full"}
KINDS = [{"heads": 1}, {"heads": 2, "smeared": True}, EVERYTHING]
SEQUENCES = np.random.default_rng(5).integers(0, TOKENS, (3, LENGTH))


def make(width=None, **options: Any):
    options = {"layers": 2} | options
    size = exactly(WIDTH) if width is None else width
    return Decoder(
        jax.random.key(0), tokens=TOKENS, length=4 if "positions" not in options else 6, width=size, **options
    )


def drawn(**options):
    """Returns a model whose weights are all drawn anew: biases at the start are zero, gains one."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(functools.partial(make, **options))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(scale=0.5, size=leaf.shape), jnp.float32), shapes)


def plain(model, tokens):
    """Returns the logits and patterns of one sequence, position by position, in float64 without any shortcut."""
    arrays = jax.tree.map(lambda leaf: np.asarray(leaf, float), model)
    x = arrays.embed[...][tokens] + (0 if arrays.places is None else arrays.places[...][: len(tokens)])
    patterns = []
    for layer in arrays.layers:
        seen = x if layer.norm is None else normalised(x, layer.norm)
        added, of_heads = np.zeros_like(x), []
        for head in range(len(layer.query)):
            q, k, v = (seen @ weight[...][head] for weight in (layer.query, layer.key, layer.value))
            if layer.smear is not None:
                own = 1 / (1 + np.exp(-layer.smear[...][head]))
                k = own * k + (1 - own) * np.concatenate([k[:1], k[:-1]])
            pattern = np.zeros((len(x), len(x)))
            for i in range(len(x)):
                scores = [q[i] @ k[j] / np.sqrt(q.shape[1]) for j in range(i + 1)]
                if layer.bias is not None:
                    reach = layer.bias.shape[1]
                    scores = [s + layer.bias[...][head, min(i - j, reach - 1)] for j, s in enumerate(scores)]
                weights = np.exp(scores)
                pattern[i, : i + 1] = weights / weights.sum()
            of_heads.append(pattern)
            added += pattern @ v @ layer.output[...][head]
        x = x + added
        if layer.mlp is not None:
            hidden = normalised(x, layer.mlp.norm) @ layer.mlp.into.weight[...].T
            x = x + np.asarray(jax.nn.gelu(hidden), float) @ layer.mlp.out_of.weight[...].T
        patterns.append(of_heads)
    x = x if arrays.norm is None else normalised(x, arrays.norm)
    return x @ arrays.unembed.weight[...].T, patterns


def normalised(x, norm):
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * norm.gain[...] + norm.offset[...]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_decoder_equals_a_plain_computation(options):
    model, at = drawn(**options), np.array([1, 4])

    @functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
    def run(model):
        tokens = jnp.asarray(SEQUENCES)
        return model(tokens, exactly(WIDTH)), model(tokens, exactly(WIDTH), at)

    seen, asked = run(model)
    for row, tokens in enumerate(SEQUENCES):
        logits, patterns = plain(model, tokens)
        np.testing.assert_allclose(seen.logits_NxQxT[row], logits, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(seen.patterns, patterns, strict=True):
            np.testing.assert_allclose(ours[row], theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(asked.logits_NxQxT, seen.logits_NxQxT[:, at], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(asked.patterns[-1], seen.patterns[-1][:, :, at], rtol=1e-4, atol=1e-6)


def test_copying_circuit_is_what_attending_adds_to_the_logits():
    model = drawn(heads=1, layers=1)
    circuit = jax.jit(Decoder.copying_circuits)(model)
    embed, layer = model.embed[...], model.layers[0]
    added = embed[2] @ layer.value[...][0] @ layer.output[...][0] @ model.unembed.weight[...].T
    np.testing.assert_allclose(circuit[0, 0, 2], added, rtol=1e-4, atol=1e-6)


def test_positions_that_are_not_evenly_spaced_are_refused():
    with pytest.raises(ValueError, match="not evenly spaced"):
        make()(jnp.asarray(SEQUENCES), exactly(WIDTH), np.array([0, 1, 3]))
