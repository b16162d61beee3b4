"""How many directions features use."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size, exactly, masked_mean


def effective_rank(features_NxD: jax.Array, examples: Size | None = None) -> jax.Array:
    """Returns the participation ratio (sum λ)² / sum λ² of the feature covariance, between 1 and D.

    Args:
      features_NxD: N feature vectors; centred here.
      examples: how many of the rows are examples; all by default.
    Returns:
      Scalar; 0 for constant features (full collapse).
    """
    rows = exactly(len(features_NxD)) if examples is None else examples
    centred_NxD = features_NxD - masked_mean(features_NxD, rows)[None, :]
    centred_NxD = jnp.where(rows.mask[:, None], centred_NxD, 0)
    wide = centred_NxD.shape[1] > centred_NxD.shape[0]
    gram = centred_NxD @ centred_NxD.T if wide else centred_NxD.T @ centred_NxD
    trace = jnp.trace(gram)
    shares = gram / jnp.where(trace > 0, trace, 1)  # before squaring, which would make small features vanish
    return jnp.where(trace > 0, 1 / jnp.maximum(jnp.sum(shares**2), jnp.finfo(gram.dtype).tiny), 0.0)
