"""The networks of sparse parity against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from there import there

from phenom_jax.models.parity import DisjointPolyNet, ParityMLP, SineNeuron
from phenom_jax.sizes import Size

X = jnp.array([[1.0 if word >> bit & 1 else -1.0 for bit in range(6)] for word in range(64)])
INPUTS = Size(6, 6)
KEY = jax.random.key(3)


@pytest.mark.parametrize("biases", [True, False])
def test_a_perceptron_is_its_formula_and_so_is_its_gradient(biases):
    model = ParityMLP(KEY, inputs=INPUTS, width=Size(5, 5), biases=biases)
    hidden_1x5 = np.asarray(there(model.hidden_bias_W)[...])[None] if biases else np.zeros((1, 5), np.float32)
    readout = float(there(model.readout_bias)[...]) if biases else 0.0

    def formula(weights_IxW):
        units = jnp.maximum(X @ weights_IxW + hidden_1x5, 0)
        return (units @ model.readout_Wx1[...])[:, 0] + readout

    weights_IxW = model.first_weights()
    np.testing.assert_allclose(model(X), formula(weights_IxW), rtol=1e-5, atol=1e-6)
    ours = jax.grad(lambda model: (model(X) ** 3).sum())(model).hidden_IxW[...]
    np.testing.assert_allclose(ours, jax.grad(lambda w: (formula(w) ** 3).sum())(weights_IxW), rtol=1e-4, atol=1e-5)
    assert np.abs(weights_IxW).max() <= 6**-0.5


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_a_sine_at_right_angles_is_a_parity_up_to_its_sign(degree):
    model = SineNeuron(KEY, inputs=INPUTS, scale=2.0)
    assert 6**-0.5 < np.abs(model.first_weights()).max() <= 2 * 6**-0.5
    model.weight_I[...] = jnp.where(jnp.arange(6) < degree, jnp.pi / 2, 0.0)
    there(model.bias)[...] = jnp.pi / 2 * (1 - degree % 2)
    outputs = np.asarray(model(X)) * X[:, :degree].prod(1)
    np.testing.assert_allclose(outputs, outputs[0] * np.ones(64), atol=1e-5)
    np.testing.assert_allclose(abs(outputs[0]), 1, rtol=1e-5)


@pytest.mark.parametrize("padded", [2, 3])
def test_a_polynet_is_a_product_of_forms_of_disjoint_inputs(padded):
    degree = Size(2, padded)
    model = DisjointPolyNet(KEY, inputs=INPUTS, degree=degree)
    weights = np.asarray(model.first_weights())[:, 0]
    expected = (X[:, ::2] @ weights[::2]) * (X[:, 1::2] @ weights[1::2])
    np.testing.assert_allclose(model(X, degree), expected, rtol=1e-5, atol=1e-6)
