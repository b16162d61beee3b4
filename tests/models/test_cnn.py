"""Convolutional networks: how many weights they have, and that padding changes none of their training."""

import jax
import numpy as np
import pytest

from phenom_jax.models.cnn import FiveLayerCNN, SmallCNN
from phenom_jax.models.convolution import Normaliser, times
from phenom_jax.models.resnet import Block, ResNet18
from phenom_jax.sizes import Size, exactly

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


def weights(model, shape, k):
    made = jax.eval_shape(lambda: model(KEY, shape=shape, classes=10, width=exactly(k)))
    return sum(leaf.size for leaf in jax.tree.leaves(made))


def test_the_number_of_weights():
    k = 5
    convolutions = 9 * (3 * k + 2 * k**2 + 8 * k**2 + 32 * k**2)
    assert weights(FiveLayerCNN, (32, 32, 3), k) == convolutions + 3 * 15 * k + 10 * (8 * k + 1)
    assert weights(SmallCNN, (8, 8, 1), k) == 9 * (k + 2 * k**2 + 8 * k**2) + 7 * k + 10 * (4 * k + 1)
    # kuangliu's PreActResNet18, whose code the paper's networks derive from, prints 11171146
    assert weights(ResNet18, (32, 32, 3), 64) == 11171146


@pytest.mark.usefixtures("float64")
def test_padding_changes_no_answer_of_the_small_network():
    x = jax.random.normal(jax.random.key(1), (6, 8))

    def answer(width):
        return jax.jit(lambda: SmallCNN(KEY, shape=(1, 8, 1), classes=4, width=width)(x))()

    alone, inside = answer(Size(2, 2)), answer(Size(2, 3))
    np.testing.assert_allclose(inside, alone, rtol=1e-9)


@pytest.mark.usefixtures("float64")
def test_padding_changes_no_training_of_the_five_layers():
    model, shape = FiveLayerCNN, (4, 4, 3)
    x = jax.random.normal(jax.random.key(1), (6, int(np.prod(shape))))

    def loss(network):
        return ((network(x)[0] - 1) ** 2).mean()

    (plain, alone), (padded, inside) = (
        trained(loss, lambda width=width: model(KEY, shape=shape, classes=4, width=width))
        for width in (Size(2, 2), Size(2, 3))
    )
    same_training(plain, alone, padded, inside)


@pytest.mark.usefixtures("float64")
def test_padding_changes_no_training_of_a_residual_block():
    x = jax.random.normal(jax.random.key(1), (3, 4, 4, 3))

    def run(width):
        padded_x = jax.numpy.pad(x[..., :2], ((0, 0), (0, 0), (0, 0), (0, width.padded - 2)))
        loss = lambda block: ((block(padded_x, Normaliser()) - 1) ** 2)[..., :4].sum()  # noqa: E731
        return trained(loss, lambda: Block(KEY, width, times(width, 2), stride=2))

    same_training(*run(Size(2, 2)), *run(Size(2, 3)))


def test_given_moments_make_an_example_independent_of_its_batch():
    shape = (4, 4, 3)
    network = jax.jit(lambda: FiveLayerCNN(KEY, shape=shape, classes=4, width=exactly(2)))()
    answer = jax.jit(lambda x, among=None, moments=None: network(x, among, moments))
    x = jax.random.normal(jax.random.key(1), (6, int(np.prod(shape))))
    logits, moments = answer(x, np.arange(6) < 3)
    np.testing.assert_allclose(answer(x, moments=moments)[0], logits, atol=1e-5)
    np.testing.assert_allclose(answer(x[::-1], moments=moments)[0], logits[::-1], atol=1e-5)
    halves = answer(np.concatenate([x[:3], x[:3]]), np.arange(6) >= 3)[0]
    np.testing.assert_allclose(halves[:3], logits[:3], atol=1e-5)  # the others do not count


def trained(loss, make):
    """Returns the weights after two steps of gradient descent and the loss before the second."""
    step = jax.jit(jax.value_and_grad(loss))
    weights, value = make(), None
    for _ in range(2):
        value, gradients = step(weights)
        weights = jax.tree.map(lambda weight, gradient: weight - 0.05 * gradient, weights, gradients)
    return weights, value


def same_training(plain, alone, padded, inside):
    """The losses are alike and no padded weight has moved from zero."""
    assert np.isfinite(alone)
    np.testing.assert_allclose(inside, alone, rtol=1e-9)
    assert sum(map(np.count_nonzero, jax.tree.leaves(padded))) == sum(map(np.count_nonzero, jax.tree.leaves(plain)))
