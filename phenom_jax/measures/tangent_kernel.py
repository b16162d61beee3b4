"""The neural tangent kernel K = J Jᵀ of a network's outputs in its weights, and how well it points at the labels.

Jacot et al. 2018. J has a row for each output of each example and a column for each weight: it is never formed. K times
a vector costs one backward and one forward pass, all of K as many as it has rows; for stacks of dense layers K is a sum
over layers of products of small Gram matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

Weights = TypeVar("Weights")


class Signals(NamedTuple):
    """What one dense layer sees of N examples: its inputs, and how each of C outputs depends on its sums.

    Attributes:
      inputs_NxI: what the layer's matrix multiplies.
      slopes_NxCxU: the derivative of output c of an example in the layer's U sums of that example.
    """

    inputs_NxI: jax.Array
    slopes_NxCxU: jax.Array


def kernel_times(outputs: Callable[[Weights], jax.Array], weights: Weights, vectors: jax.Array) -> jax.Array:
    """Returns K v, shaped like v: one backward and one forward pass.

    Args:
      outputs: of all examples, an array of any shape.
      weights: a pytree.
      vectors: v, shaped like the outputs.
    """
    _, backward = jax.vjp(outputs, weights)
    return jax.jvp(outputs, (weights,), backward(vectors))[1]


def tangent_kernel(outputs: Callable[[Weights], jax.Array], weights: Weights, rows: int = 16) -> jax.Array:
    """Returns K, float[M, M] for M outputs in all, `rows` of them at a time: J is never held whole.

    Args:
      outputs: of all examples, an array of any shape, M numbers.
      weights: a pytree.
      rows: of K that are computed side by side; each needs memory for one gradient.
    """
    values, backward = jax.vjp(outputs, weights)
    basis_MxM = jnp.eye(values.size, dtype=values.dtype)

    def row(vector_M: jax.Array) -> jax.Array:
        return jax.jvp(outputs, (weights,), backward(vector_M.reshape(values.shape)))[1].reshape(-1)

    return jax.lax.map(row, basis_MxM, batch_size=rows)


def layered_kernel(layers: Sequence[Signals], others: Sequence[Signals] | None = None) -> jax.Array:
    """Returns K of a stack of dense layers without biases, float[N C, M C], outputs of one example side by side.

    A layer adds <h_n, h_m> <b_nc, b_md>, h its inputs and b its slopes.

    Args:
      layers: of N examples.
      others: of M examples in the same network, for the kernel between both; None for the same examples.
    """
    kernel: jax.Array | float = 0.0
    for left, right in zip(layers, others or layers, strict=True):
        outputs = left.slopes_NxCxU.shape[1]
        slopes, other_slopes = (part.slopes_NxCxU.reshape(-1, part.slopes_NxCxU.shape[2]) for part in (left, right))
        inputs = left.inputs_NxI @ right.inputs_NxI.T
        inputs = jnp.repeat(jnp.repeat(inputs, outputs, 0), outputs, 1)
        kernel = kernel + inputs * (slopes @ other_slopes.T)
    return jnp.asarray(kernel)


def alignment(kernel_MxM: jax.Array, labels_M: jax.Array) -> jax.Array:
    """Returns yᵀ K y / (|K|_F |y|²), between 0 and 1: one where the kernel is y yᵀ (Atanasov et al. 2021).

    Args:
      kernel_MxM: K.
      labels_M: y, one number for each row of K.
    """
    kernel_MxM, labels_M = kernel_MxM / _largest(kernel_MxM), labels_M / _largest(labels_M)
    norms = jnp.linalg.norm(kernel_MxM) * jnp.sum(labels_M**2)
    return labels_M @ kernel_MxM @ labels_M / jnp.where(norms > 0, norms, 1.0)


def similarity(one: jax.Array, other: jax.Array) -> jax.Array:
    """Returns the cosine of two arrays of one shape: 1 for kernels that differ in their scale alone."""
    one, other = one / _largest(one), other / _largest(other)
    norms = jnp.linalg.norm(one) * jnp.linalg.norm(other)
    return jnp.sum(one * other) / jnp.where(norms > 0, norms, 1.0)


def _largest(values: jax.Array) -> jax.Array:
    """Returns the largest absolute value, 1 for zeros: squares of tiny kernels would be below the smallest float."""
    largest = jnp.abs(values).max()
    return jnp.where(largest > 0, largest, 1.0)
