"""Networks that learn sparse parities: a ReLU perceptron, a sine of a linear form, a product of linear forms.

They see a few examples at a time and are small, so the layout of every product decides their speed on a CPU: weights
are [inputs, units], and gradients lay their operand out first.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from phenom_jax.models.layers import symmetric
from phenom_jax.sizes import Size, draw_columns, exactly

Scale = float | jax.Array


class ParityMLP(nnx.Module):
    """x -> u · relu(xW + b) + c, all uniform in ±scale / sqrt(fan-in) at the start, PyTorch's default.

    Args:
      key: typed PRNG key.
      inputs: n.
      width: hidden units.
      biases: whether there are b and c.
      scale: multiplies the initial values.
    """

    def __init__(self, key: jax.Array, *, inputs: Size, width: Size, biases: bool = True, scale: Scale = 1.0):
        keys = jax.random.split(key, 4)
        shallow, deep = scale / jnp.sqrt(inputs.active), scale / jnp.sqrt(width.active)
        self.hidden_IxW = nnx.Param(shallow * draw_columns(keys[0], inputs, width, symmetric))
        self.readout_Wx1 = nnx.Param(deep * draw_columns(keys[2], width, exactly(1), symmetric))
        hidden_bias_W = shallow * draw_columns(keys[1], exactly(1), width, symmetric)[0]
        self.hidden_bias_W = nnx.Param(hidden_bias_W) if biases else None
        self.readout_bias = nnx.Param(deep * symmetric(keys[3], ())) if biases else None

    def __call__(self, x_BxI: jax.Array) -> jax.Array:
        """Returns float[B], an output for each example."""
        outputs_B = (self.units(x_BxI) @ self.readout_Wx1[...])[:, 0]
        return outputs_B if self.readout_bias is None else outputs_B + self.readout_bias[...]

    def units(self, x_BxI: jax.Array) -> jax.Array:
        """Returns float[B, width], the hidden units."""
        sums_BxW = _product(x_BxI, self.hidden_IxW[...])
        return jax.nn.relu(sums_BxW if self.hidden_bias_W is None else sums_BxW + self.hidden_bias_W[None, :])

    def first_weights(self) -> jax.Array:
        """Returns float[inputs, width], what the inputs are multiplied with."""
        return self.hidden_IxW[...]


class SineNeuron(nnx.Module):
    """x -> sin(w·x + b), uniform in ±scale / sqrt(inputs) at the start.

    At w = π/2 on k inputs and 0 elsewhere it is their parity up to a sign, with b = 0 for odd k and π/2 for even k.

    Args: as for `ParityMLP`.
    """

    def __init__(self, key: jax.Array, *, inputs: Size, biases: bool = True, scale: Scale = 1.0):
        weight_key, bias_key = jax.random.split(key)
        bound = scale / jnp.sqrt(inputs.active)
        self.weight_I = nnx.Param(bound * draw_columns(weight_key, inputs, exactly(1), symmetric)[:, 0])
        self.bias = nnx.Param(bound * symmetric(bias_key, ())) if biases else None

    def __call__(self, x_BxI: jax.Array) -> jax.Array:
        """Returns float[B], an output for each example."""
        sums_B = x_BxI @ self.weight_I[...]
        return jnp.sin(sums_B if self.bias is None else sums_B + self.bias[...])

    def first_weights(self) -> jax.Array:
        """Returns float[inputs, 1], what the inputs are multiplied with."""
        return self.weight_I[...][:, None]


class DisjointPolyNet(nnx.Module):
    """x -> the product of k linear forms, form i of the inputs j = i mod k alone (Barak et al. 2022, section 4.2).

    Each form sees one of the first k inputs. Weights are uniform in ±scale / sqrt(inputs of a form) at the start.

    Args:
      key: typed PRNG key.
      inputs: n.
      degree: k.
      scale: multiplies the initial values.
    """

    def __init__(self, key: jax.Array, *, inputs: Size, degree: Size, scale: Scale = 1.0):
        bound = scale * jnp.sqrt(degree.active / inputs.active)
        self.weight_I = nnx.Param(bound * draw_columns(key, inputs, exactly(1), symmetric)[:, 0])

    def __call__(self, x_BxI: jax.Array, degree: Size) -> jax.Array:
        """Returns float[B], an output for each example."""
        form_I = jnp.arange(x_BxI.shape[1]) % degree.active
        belongs_IxK = (form_I[:, None] == jnp.arange(degree.padded)[None, :]).astype(x_BxI.dtype)
        forms_BxK = x_BxI @ (belongs_IxK * self.weight_I[...][:, None])
        return jnp.where(degree.mask[None, :], forms_BxK, 1.0).prod(1)

    def first_weights(self) -> jax.Array:
        """Returns float[inputs, 1], what the inputs are multiplied with."""
        return self.weight_I[...][:, None]


@jax.custom_vjp
def _product(x_BxI: jax.Array, weight_IxW: jax.Array) -> jax.Array:
    """Returns x W. Its gradient lays xᵀ out before multiplying: small products along a first axis are slow on a CPU."""
    return x_BxI @ weight_IxW


def _product_forward(x_BxI: jax.Array, weight_IxW: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x_BxI @ weight_IxW, (x_BxI, weight_IxW)


def _product_backward(seen: tuple[jax.Array, jax.Array], gradient_BxW: jax.Array) -> tuple[jax.Array, jax.Array]:
    x_BxI, weight_IxW = seen
    return gradient_BxW @ weight_IxW.T, jax.lax.optimization_barrier(x_BxI.T) @ gradient_BxW


_product.defvjp(_product_forward, _product_backward)
