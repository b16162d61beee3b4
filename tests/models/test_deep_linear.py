"""Deep linear networks are the product of their matrices, padded or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.models.deep_linear import DeepLinear
from phenom_jax.sizes import Size, exactly


def network(width: Size, depth: int = 3) -> DeepLinear:
    return DeepLinear(
        jax.random.key(0), inputs=exactly(4), width=width, outputs=exactly(2), depth=depth, deviation=jnp.float32(0.5)
    )


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_outputs_are_inputs_times_the_product(depth):
    model, x_NxI = network(exactly(5), depth), jax.random.normal(jax.random.key(1), (7, 4))
    assert len(model.weights) == depth
    np.testing.assert_allclose(model(x_NxI), x_NxI @ model.product().T, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_padding_does_not_change_the_network():
    alone, padded = network(exactly(5)), network(Size(5, 8))
    np.testing.assert_array_equal(padded.weights[1][...][:5, :5], alone.weights[1][...])
    assert not padded.weights[1][...][5:].any() and not padded.weights[1][...][:, 5:].any()
    np.testing.assert_allclose(padded.product(), alone.product(), rtol=1e-9)
