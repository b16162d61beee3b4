"""The tangent kernel equals J Jᵀ of a dense Jacobian, whichever way it is computed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.measures.tangent_kernel import (
    Signals,
    alignment,
    kernel_times,
    layered_kernel,
    similarity,
    tangent_kernel,
)
from phenom_jax.models.deep_linear import DeepLinear, DeepReLU
from phenom_jax.sizes import Size, exactly

quick = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def network(kind, padded=5, outputs=2):
    sizes = {"inputs": exactly(4), "width": Size(5, padded), "outputs": exactly(outputs)}
    return kind(jax.random.key(0), **sizes, depth=3, deviation=jnp.float32(0.7))


def layers(model, x_NxI):
    return [Signals(*layer) for layer in model.signals(x_NxI)]


def dense_kernel(model, x_NxI):
    jacobian = jax.jacrev(lambda weights: weights(x_NxI).reshape(-1))(model)
    flat_MxP = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(jacobian)], 1)
    return flat_MxP @ flat_MxP.T


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", [DeepLinear, DeepReLU])
def test_every_way_gives_the_kernel_of_the_dense_jacobian(kind):
    x_NxI, vector_NxC = (jax.random.normal(jax.random.key(seed), (6, size)) for seed, size in ((1, 4), (2, 2)))

    def every_way(model):
        by_rows = tangent_kernel(lambda weights: weights(x_NxI), model, rows=5)
        product = kernel_times(lambda weights: weights(x_NxI), model, vector_NxC)
        return dense_kernel(model, x_NxI), by_rows, layered_kernel(layers(model, x_NxI)), product

    dense_MxM, by_rows_MxM, by_layers_MxM, product_NxC = quick(lambda: every_way(network(kind)))()
    np.testing.assert_allclose(by_rows_MxM, dense_MxM, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(by_layers_MxM, dense_MxM, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(product_NxC.reshape(-1), dense_MxM @ vector_NxC.reshape(-1), rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_between_examples_it_is_a_block_of_the_whole_and_padding_adds_nothing():
    x_NxI = jax.random.normal(jax.random.key(1), (6, 4))

    def kernels(model):
        whole = layered_kernel(layers(model, x_NxI))
        return whole, layered_kernel(layers(model, x_NxI[:2]), layers(model, x_NxI[2:]))

    whole_MxM, block = quick(lambda: kernels(network(DeepReLU)))()
    np.testing.assert_allclose(block, whole_MxM[:4, 4:], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        quick(lambda: kernels(network(DeepReLU, padded=9)))()[0], whole_MxM, rtol=1e-9, atol=1e-12
    )


def test_alignment_and_similarity_are_cosines_at_any_scale():
    labels_M = jnp.array([1.0, -2.0, 0.5])
    outer_MxM = jnp.outer(labels_M, labels_M)
    for scale in (1.0, 1e-30):
        assert alignment(scale * outer_MxM, labels_M) == pytest.approx(1, abs=1e-6)
        assert alignment(scale * jnp.eye(3), labels_M) == pytest.approx(3**-0.5, abs=1e-6)
        assert similarity(scale * outer_MxM, outer_MxM) == pytest.approx(1, abs=1e-6)
    assert alignment(jnp.zeros((3, 3)), labels_M) == 0
