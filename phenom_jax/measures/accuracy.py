"""Loss and accuracy of a classifier, from its logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Returns -log p(label) of each example, float[N], nat.

    The largest logit is taken off first and the label's term is picked by comparison, which fuses; a gather does not.
    """
    shifted_NxC = logits_NxC - jax.lax.stop_gradient(logits_NxC.max(-1, keepdims=True))
    return jnp.log(jnp.exp(shifted_NxC).sum(-1)) - _of_label(shifted_NxC, labels_N)


def correct(logits_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Returns 1 where the largest logit is the label's and 0 elsewhere, float[N]; NaN logits are never correct."""
    return (_of_label(logits_NxC, labels_N) >= logits_NxC.max(-1)).astype(logits_NxC.dtype)


def softmax_collapse(logits_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Returns 1 where the softmax sum rounds to the label's own term, so that the loss and its gradient vanish.

    Prieto et al. 2025 (arXiv:2501.04697), section 3: sum_k exp(z_k) = exp(z_label) in floating point.
    """
    shifted_NxC = logits_NxC - _of_label(logits_NxC, labels_N)[:, None]
    return (jnp.exp(shifted_NxC).sum(-1) == 1).astype(logits_NxC.dtype)


def mean_over(values_N: jax.Array, mask_N: jax.Array) -> jax.Array:
    """Returns the mean of the values where `mask_N`, 0 if there are none."""
    return jnp.where(mask_N, values_N, 0).sum() / jnp.maximum(mask_N.sum(), 1)


def _of_label(values_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    is_label_NxC = jnp.arange(values_NxC.shape[1])[None, :] == labels_N[:, None]
    return jnp.where(is_label_NxC, values_NxC, 0).sum(-1)
