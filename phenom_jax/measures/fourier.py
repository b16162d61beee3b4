"""Progress measures of a network that learns a cyclic group (Nanda et al. 2023, arXiv:2301.05217, section 5).

Frequency k of a group of order n is the angle w = 2 pi k / n, k = 1 ... n // 2. A network that answers a + b by
trigonometry has logits made of cos w(a + b) and sin w(a + b) for a few key frequencies. Projecting the logits of all
pairs on these is a mean over pairs with equal a + b, then a projection along that sum: no two-dimensional transform.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.measures.accuracy import cross_entropy, mean_over


def spectrum(embedding_TxD: jax.Array, tokens_n: np.ndarray) -> jax.Array:
    """Returns the share of an embedding's squared Fourier norm at each frequency, float[n // 2], adding up to 1.

    Args:
      embedding_TxD: one vector per token; its mean over the group is left out.
      tokens_n: the token of each group element in the order of the group.
    """
    basis_nx2F = _basis(len(tokens_n))
    power_F = jnp.square(basis_nx2F.T @ embedding_TxD[tokens_n]).sum(1).reshape(2, -1).sum(0)
    total = power_F.sum()
    return jnp.where(total > 0, power_F / total, 0.0)


def logit_spectrum(logits_PxC: jax.Array, cosets_nxn: np.ndarray) -> jax.Array:
    """Returns each frequency's share of the variance of the logits' part that depends on a + b alone, float[n // 2].

    Args:
      logits_PxC: of every row of the table.
      cosets_nxn: row s holds the rows of the table whose group elements add up to s.
    """
    by_sum_nxC = logits_PxC[cosets_nxn].mean(1)
    power_F = jnp.square(_basis(len(cosets_nxn)).T @ by_sum_nxC).sum(1).reshape(2, -1).sum(0)
    total = power_F.sum()
    return jnp.where(total > 0, power_F / total, 0.0)


def key_frequencies(shares_F: jax.Array, factor: float = 2.0) -> jax.Array:
    """Returns bool[F]: the frequencies whose share is at least `factor` times an even share.

    At most F / factor are: a network that uses all frequencies alike, or none yet, has none.
    """
    return shares_F >= factor / len(shares_F)


def gini(norms_F: jax.Array) -> jax.Array:
    """Returns the Gini coefficient of non-negative numbers: 0 when all are equal, (F - 1) / F when one has all."""
    count = len(norms_F)
    rank_F = jnp.arange(1, count + 1, dtype=norms_F.dtype)
    total = norms_F.sum()
    return jnp.where(total > 0, ((2 * rank_F - count - 1) * jnp.sort(norms_F)).sum() / (count * total), 0.0)


def restricted_loss(
    logits_PxC: jax.Array,
    answers_P: np.ndarray,
    cosets_nxn: np.ndarray,
    is_key_F: jax.Array,
    among_P: jax.Array | None = None,
) -> jax.Array:
    """Returns the loss, nat, of logits that keep only their mean and cos, sin w(a + b) of the key frequencies.

    The kept logits average over pairs with equal a + b, so that memorised train pairs alone lower this loss. Averaged
    among test pairs only, it falls for networks that generalise and for no others.

    Args:
      logits_PxC: of every row of the table.
      answers_P: the right answers.
      cosets_nxn: row s holds the rows of the table whose group elements add up to s.
      is_key_F: which frequencies to keep.
      among_P: the pairs to average among, all by default; a sum without any has logits zero.
    """
    logits_nxnxC = logits_PxC[cosets_nxn]
    if among_P is None:
        by_sum_nxC = logits_nxnxC.mean(1)
    else:
        among_nxn = among_P[cosets_nxn]
        count_n = jnp.maximum(among_nxn.sum(1), 1)
        by_sum_nxC = jnp.where(among_nxn[:, :, None], logits_nxnxC, 0).sum(1) / count_n[:, None]
    kept_nxC = by_sum_nxC.mean(0, keepdims=True) + _project(by_sum_nxC, is_key_F)
    return cross_entropy(kept_nxC, jnp.asarray(answers_P[cosets_nxn[:, 0]])).mean()


def excluded_loss(
    logits_PxC: jax.Array, labels_P: jax.Array, is_train_P: jax.Array, cosets_nxn: np.ndarray, is_key_F: jax.Array
) -> jax.Array:
    """Returns the train loss, nat, of logits without their cos, sin w(a + b) of the key frequencies.

    Args:
      logits_PxC: of every row of the table.
      labels_P: what the train pairs were trained on.
      is_train_P: which they are.
      cosets_nxn: row s holds the rows of the table whose group elements add up to s; other rows are left out.
      is_key_F: which frequencies to take out.
    """
    logits_nxnxC = logits_PxC[cosets_nxn]
    without_nxnxC = logits_nxnxC - _project(logits_nxnxC.mean(1), is_key_F)[:, None, :]
    losses_P = cross_entropy(without_nxnxC.reshape(cosets_nxn.size, -1), labels_P[cosets_nxn.ravel()])
    return mean_over(losses_P, is_train_P[cosets_nxn.ravel()])


def _project(by_sum_nxC: jax.Array, is_key_F: jax.Array) -> jax.Array:
    basis_nx2F = jnp.asarray(_basis(len(by_sum_nxC)))
    return (basis_nx2F * jnp.tile(is_key_F, 2)[None, :]) @ (basis_nx2F.T @ by_sum_nxC)


def _basis(order: int) -> np.ndarray:
    """Returns the orthonormal cosines, then sines, of frequencies 1 ... n // 2 on the group, float32[n, 2 (n // 2)].

    For even n the last sine is zero.
    """
    angles_nxF = 2 * np.pi * np.outer(np.arange(order), np.arange(1, order // 2 + 1)) / order
    waves_nx2F = np.concatenate([np.cos(angles_nxF), np.sin(angles_nxF)], axis=1) * np.sqrt(2 / order)
    if order % 2 == 0:
        waves_nx2F[:, order // 2 - 1] /= np.sqrt(2)
        waves_nx2F[:, -1] = 0
    return waves_nx2F.astype(np.float32)
