"""The perceptrons against the plain computation on one-hot vectors, and their independence of padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from there import there

from phenom_jax.models.layers import ACTIVATIONS
from phenom_jax.models.mlp import MLP, EmbeddingMLP, OneHotMLP
from phenom_jax.sizes import Size, exactly

TOKENS, CLASSES = 11, 7
PAIRS = jnp.array([(a, b) for a in range(TOKENS) for b in range(0, TOKENS, 2)])


def make(kind, **options):
    return kind(jax.random.key(0), **{"tokens": TOKENS, "classes": CLASSES, "width": exactly(16)} | options)


def plain(model, pairs_Nx2):
    """Returns the logits by one-hot vectors and full matrices, one layer after the other."""
    operands = [jax.nn.one_hot(pairs_Nx2[:, place], TOKENS) for place in range(2)]
    if isinstance(model, EmbeddingMLP):
        operands = [one_hot @ model.embedded[...] for one_hot in operands]
    x = jnp.concatenate(operands, axis=1)
    for depth, layer in enumerate(model.layers):
        x = x if depth == 0 else ACTIVATIONS[model.activation](x)
        x = x @ layer.weight[...].T
        x = x if layer.bias is None else x + layer.bias[...][None]
    return x


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", [OneHotMLP, EmbeddingMLP])
@pytest.mark.parametrize(
    "activation, hidden_layers, biases", [("relu", 1, False), ("gelu", 2, True), ("quadratic", 3, True)]
)
def test_shortcut_equals_plain_computation(kind, activation, hidden_layers, biases):
    model = make(kind, activation=activation, hidden_layers=hidden_layers, biases=biases)

    @functools.partial(jax.jit, static_argnums=1)
    def values_and_gradients(model, logits_of):
        def loss(model):
            logits = logits_of(model, PAIRS)
            return jnp.sin(3 * logits).sum(), logits

        return jax.grad(loss, has_aux=True)(model)

    ours, logits = values_and_gradients(model, kind.__call__)
    theirs, plain_logits = values_and_gradients(model, plain)
    np.testing.assert_allclose(logits, plain_logits, rtol=1e-9, atol=1e-12)
    assert len(jax.tree.leaves(ours)) == (hidden_layers + 1) * (1 + biases) + (kind is EmbeddingMLP)
    for our, their in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.abs(their).max() > 0
        np.testing.assert_allclose(our, their, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind, padded", [(OneHotMLP, 33), (OneHotMLP, 64), (EmbeddingMLP, 64)])
def test_initial_weights_are_bit_equal_whatever_the_padding(kind, padded):
    def narrow(active, padded):
        return make(kind, width=Size(active, padded), hidden_layers=2, biases=True)

    alone = jax.jit(narrow, static_argnums=1)(33, 33)
    inside = jax.jit(jax.vmap(narrow, in_axes=(0, None)), static_argnums=1)(jnp.array([20, 33]), padded)
    for exact, both in zip(jax.tree.leaves(alone), jax.tree.leaves(inside), strict=True):
        padded_exact = np.zeros(both.shape[1:], both.dtype)
        padded_exact[tuple(slice(length) for length in exact.shape)] = exact
        np.testing.assert_array_equal(both[1], padded_exact)


def test_initial_weights_are_uniform_within_one_over_root_fan_in_times_the_scale():
    model = make(OneHotMLP, width=Size(400, 512), hidden_layers=2, biases=True, init_scale=3.0)
    for layer, fan_in in zip(model.layers, (2 * TOKENS, 400, 400)):
        bound = 3 / np.sqrt(fan_in)
        drawn = np.asarray(layer.weight[...])[:400, :fan_in]
        assert np.abs(drawn).max() <= bound
        np.testing.assert_allclose(drawn.var(), bound**2 / 3, rtol=0.05)
        assert abs(drawn.mean()) < 4 * bound / np.sqrt(3 * drawn.size)
        assert np.abs(there(layer.bias)[...]).max() <= bound


def test_embedding_has_one_row_per_token():
    model = make(OneHotMLP)
    first_2TxW = np.asarray(model.layers[0].weight[...]).T
    np.testing.assert_array_equal(model.embedding(), np.hstack([first_2TxW[:TOKENS], first_2TxW[TOKENS:]]))
    assert make(EmbeddingMLP).embedding().shape == (TOKENS, 128)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_zero_at_zero(activation):
    assert ACTIVATIONS[activation](jnp.zeros(())) == 0


def test_a_perceptron_on_vectors_equals_numpy():
    model = MLP(jax.random.key(0), inputs=3, classes=4, width=exactly(5), hidden_layers=2)
    x = np.asarray(jax.random.normal(jax.random.key(1), (6, 3)))
    hidden = x
    for depth, layer in enumerate(model.layers):
        hidden = np.maximum(hidden, 0) if depth else hidden
        hidden = hidden @ np.asarray(layer.weight[...]).T + np.asarray(there(layer.bias)[...])
    np.testing.assert_allclose(model(jnp.asarray(x)), hidden, atol=1e-6)
    inside = MLP(jax.random.key(0), inputs=3, classes=4, width=Size(5, 8), hidden_layers=2)
    np.testing.assert_allclose(inside(jnp.asarray(x)), hidden, atol=1e-6)
    assert len(MLP(jax.random.key(0), inputs=3, classes=4, width=exactly(5), hidden_layers=0).layers) == 1
