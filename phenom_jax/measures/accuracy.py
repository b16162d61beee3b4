"""Loss and accuracy of a classifier, from its logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Returns -log p(label) of each example, float[N], nat.

    The largest logit is taken off first and the label's term is picked by comparison, which fuses; a gather does not.
    """
    shifted_NxC = logits_NxC - jax.lax.stop_gradient(logits_NxC.max(-1, keepdims=True))
    of_label_N = jnp.where(_is_label(logits_NxC, labels_N), shifted_NxC, 0).sum(-1)
    return jnp.log(jnp.exp(shifted_NxC).sum(-1)) - of_label_N


def correct(logits_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    """Returns 1 where the label's logit is above all others and 0 elsewhere, float[N].

    Ties and NaN are wrong answers: a network that decayed to zero has no accuracy.
    """
    is_label_NxC = _is_label(logits_NxC, labels_N)
    others_N = jnp.where(is_label_NxC, -jnp.inf, logits_NxC).max(-1)
    return (jnp.where(is_label_NxC, logits_NxC, 0).sum(-1) > others_N).astype(logits_NxC.dtype)


def softmax_collapse(losses_N: jax.Array) -> jax.Array:
    """Returns 1 where the cross-entropy is exactly 0: the softmax sum rounded to the label's own term.

    There the gradient through the label vanishes (Prieto et al. 2025, arXiv:2501.04697, section 3).
    """
    return (losses_N == 0).astype(losses_N.dtype)


def mean_over(values_N: jax.Array, mask_N: jax.Array) -> jax.Array:
    """Returns the mean of the values where `mask_N`, 0 if there are none."""
    return jnp.where(mask_N, values_N, 0).sum() / jnp.maximum(mask_N.sum(), 1)


def _is_label(logits_NxC: jax.Array, labels_N: jax.Array) -> jax.Array:
    return jnp.arange(logits_NxC.shape[1])[None, :] == labels_N[:, None]
