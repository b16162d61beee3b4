"""The transformers against plain ones that compute every position of every question."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.models.layers import ACTIVATIONS
from phenom_jax.models.transformer import NandaTransformer, PowerDecoder, sinusoids
from phenom_jax.sizes import Size, exactly

TOKENS, CLASSES, D, HEADS = 11, 7, 16, 4
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0}
PAIRS = jnp.array([(a, b) for a in range(TOKENS) for b in range(0, TOKENS, 2)])


def make(kind, **options):
    sizes = {"tokens": TOKENS, "classes": CLASSES, "width": exactly(24), "d_model": D, "heads": HEADS}
    return kind(jax.random.key(0), **sizes | options)


def attention(x_NxLxD, query, key, value, output):
    """Returns causal multi-head attention of every position."""
    examples, length, _ = x_NxLxD.shape
    q, k, v = ((x_NxLxD @ weight[...].T).reshape(examples, length, HEADS, -1) for weight in (query, key, value))
    scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / jnp.sqrt(D / HEADS)
    causal = jnp.tril(jnp.ones((length, length), bool))[None, None]
    weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1)
    return jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(examples, length, D) @ output[...].T


def plain_nanda(model, pairs_Nx2):
    tokens_Nx3 = jnp.concatenate([pairs_Nx2, jnp.full((len(pairs_Nx2), 1), TOKENS)], axis=1)
    x = model.embed[...][tokens_Nx3] + model.positions[...][None]
    x = x + attention(x, model.query, model.key, model.value, model.output)
    hidden = ACTIVATIONS[model.activation](x @ model.into[...].T + model.into_bias[...][None, None])
    x = x + hidden @ model.out_of[...].T + model.out_bias[...][None, None]
    return (x @ model.unembed[...].T)[:, -1]


def plain_power(model, pairs_Nx2):
    start, operation, equals = (jnp.full(len(pairs_Nx2), TOKENS + special) for special in range(3))
    tokens_Nx5 = jnp.stack([start, pairs_Nx2[:, 0], operation, pairs_Nx2[:, 1], equals], axis=1)
    x = model.embed[...][tokens_Nx5] + sinusoids(5, D)[None]
    for layer in model.layers:
        weights = (layer.query.weight, layer.key.weight, layer.value.weight, layer.output.weight)
        x = normalise(x + attention(x, *weights), layer.norms[0])
        hidden = ACTIVATIONS[layer.activation](x @ layer.into.weight[...].T)
        x = normalise(x + hidden @ layer.out_of.weight[...].T, layer.norms[1])
    return x[:, -1] @ model.unembed.weight[...].T


def normalise(x, norm):
    scaled = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * norm.gain[...][None, None] + norm.offset[...][None, None]


def perturbed(model):
    """Returns the model away from its initial values, where biases are zero and gains one."""
    noise = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + noise.normal(scale=0.3, size=leaf.shape).astype(leaf.dtype), model)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "kind, plain, activation", [(NandaTransformer, plain_nanda, "relu"), (PowerDecoder, plain_power, "gelu")]
)
def test_shortcut_equals_plain_computation(kind, plain, activation):
    model = perturbed(jax.jit(lambda: make(kind, activation=activation), compiler_options=QUICK_TO_COMPILE)())

    @functools.partial(jax.jit, static_argnums=1, compiler_options=QUICK_TO_COMPILE)
    def values_and_gradients(model, logits_of):
        def loss(model):
            logits = logits_of(model, PAIRS)
            return jax.nn.log_softmax(logits)[:, 2].mean(), logits

        return jax.grad(loss, has_aux=True)(model)

    ours, logits = values_and_gradients(model, kind.__call__)
    theirs, plain_logits = values_and_gradients(model, plain)
    np.testing.assert_allclose(logits, plain_logits, rtol=1e-9, atol=1e-12)
    for our, their in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.abs(their).max() > 0
        np.testing.assert_allclose(our, their, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [NandaTransformer, PowerDecoder])
def test_initial_weights_are_bit_equal_whatever_the_padding(kind):
    def narrow(active, padded):
        return make(kind, width=Size(active, padded))

    alone = jax.jit(narrow, static_argnums=1)(24, 24)
    inside = jax.jit(jax.vmap(narrow, in_axes=(0, None)), static_argnums=1)(jnp.array([10, 24]), 40)
    for exact, both in zip(jax.tree.leaves(alone), jax.tree.leaves(inside), strict=True):
        padded_exact = np.zeros(both.shape[1:], both.dtype)
        padded_exact[tuple(slice(length) for length in exact.shape)] = exact
        np.testing.assert_array_equal(both[1], padded_exact)


def test_nanda_matrices_start_with_variance_one_over_d_model():
    sizes = {"tokens": 113, "classes": 113, "width": Size(512, 512)}
    model = jax.jit(lambda: NandaTransformer(jax.random.key(1), **sizes, init_scale=2.0))()
    for leaf in jax.tree.leaves(model):
        if leaf.ndim == 2 and leaf.size > 10_000:
            np.testing.assert_allclose(leaf.var(), 4 / 128, rtol=0.05)
    assert not model.into_bias[...].any()
    assert sum(leaf.size for leaf in jax.tree.leaves(model)) == 128 * (114 + 3 + 4 * 128 + 2 * 512 + 113) + 512 + 128


def test_power_has_the_published_number_of_weights():
    model = jax.eval_shape(lambda: PowerDecoder(jax.random.key(1), tokens=97, classes=97, width=Size(512, 512)))
    layers = sum(leaf.size for leaf in jax.tree.leaves(model.layers))
    assert 3.9e5 < layers < 4.1e5  # "about 4·10^5 non-embedding parameters", appendix A.1.2
