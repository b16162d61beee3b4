"""What is kept of a chain's draws, and how far its averages can be trusted.

Losses are averaged in BATCHES stretches of equally many draws in their order. Means and variances over chains, halves
of chains and stretches follow from these.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.measures.llc import Chain

BATCHES = 32  # even, so that a half is made of whole batches
Array = jax.Array | np.ndarray


class Batches(NamedTuple):
    """The losses of each stretch of draws, [..., BATCHES] each.

    Attributes:
      counts: draws, 0 for a stretch not begun.
      means: of the losses.
      squares: sums of squared differences from that mean.
    """

    counts: Array
    means: Array
    squares: Array


class Draws(NamedTuple):
    """Averages over one chain's draws so far, float[].

    Attributes:
      batches: of the losses.
      lowest: loss, infinite before the first draw.
      furthest: distance |w - w*|.
      distance: mean of it.
      acceptance: mean probability of acceptance.
    """

    batches: Batches
    lowest: Array
    furthest: Array
    distance: Array
    acceptance: Array


def no_draws() -> Draws:
    """Returns what is kept before the first draw."""
    zero, zeros_B = jnp.zeros(()), jnp.zeros(BATCHES)
    return Draws(Batches(zeros_B, zeros_B, zeros_B), jnp.full((), jnp.inf), zero, zero, zero)


def add(draws: Draws, chain: Chain, index: jax.Array, total: jax.Array | int) -> Draws:
    """Returns the draws with the chain's present one.

    Args:
      draws: so far.
      chain: after its move.
      index: int32[], of this draw; those before 0 (burn-in) and from `total` on are left out.
      total: draws that will be kept.
    """
    wanted = (index >= 0) & (index < total)
    here_B = wanted & (jnp.arange(BATCHES) == index * BATCHES // total)
    counts_B, means_B, squares_B = draws.batches
    counts_B = counts_B + here_B
    off_B = jnp.where(here_B, chain.loss - means_B, 0)
    means_B = means_B + off_B / jnp.maximum(counts_B, 1)
    squares_B = squares_B + off_B * jnp.where(here_B, chain.loss - means_B, 0)
    distance = jnp.sqrt(chain.squared_distance)
    share = wanted / jnp.maximum(counts_B.sum(), 1)
    return Draws(
        batches=Batches(counts_B, means_B, squares_B),
        lowest=jnp.where(wanted, jnp.minimum(draws.lowest, chain.loss), draws.lowest),
        furthest=jnp.where(wanted, jnp.maximum(draws.furthest, distance), draws.furthest),
        distance=draws.distance + share * (distance - draws.distance),
        acceptance=draws.acceptance + share * (chain.acceptance - draws.acceptance),
    )


def mean_loss(batches: Batches) -> jax.Array:
    """Returns the mean loss of a chain's draws, [...], NaN where there are none."""
    return jnp.sum(batches.counts * batches.means, -1) / jnp.sum(batches.counts, -1)


def local_learning_coefficient(mean: Array, anchor_loss: Array, n_beta: Array | float) -> Array:
    """Returns n beta (E[L] - L(w*)), with the shape of its arguments."""
    return n_beta * (mean - anchor_loss)


def split_r_hat(batches: Batches) -> np.ndarray:
    """Returns split-R-hat of the loss over chains, float[...] of Batches [..., chains, BATCHES].

    The root of the variance of all draws over that inside half chains (Gelman et al. 2013, section 11.4): 1 if chains
    agree with each other and with themselves, below 1.01 by the usual rule. NaN where a half has no two draws.
    """
    counts, means, squares = _joined(batches, 2)
    count = counts.min((-1, -2))
    within = (squares / np.maximum(counts - 1, 1)).mean((-1, -2))
    between = means.reshape(*means.shape[:-2], -1).var(-1, ddof=1)
    whole = (count - 1) / np.maximum(count, 1) * within + between
    return np.sqrt(_ratio(np.where(count > 1, whole, np.nan), within))


def effective_sample_size(batches: Batches) -> np.ndarray:
    """Returns how many independent draws would know the mean loss as well as all chains do together.

    The variance of all draws over that of their mean, which batch means tell (Flegal, Jones 2010): float[...] of
    Batches [..., chains, BATCHES]. Batches must be long against the time in which a chain forgets where it was.
    """
    counts, means, squares = _joined(batches, 1)
    count = counts.sum((-1, -2))
    grand = (counts * means).sum((-1, -2)) / np.maximum(count, 1)
    between = (counts * (means - grand[..., None, None]) ** 2).sum((-1, -2))
    variance = (squares.sum((-1, -2)) + between) / np.maximum(count - 1, 1)
    return _ratio(variance, standard_error(batches) ** 2)


def standard_error(batches: Batches) -> np.ndarray:
    """Returns the Monte-Carlo standard error of the mean loss over all chains, float[...], by batch means."""
    means = np.where(np.asarray(batches.counts) > 0, batches.means, np.nan)
    means = means.reshape(*means.shape[:-2], -1)
    count = np.isfinite(means).sum(-1)
    centred = np.nan_to_num(means - (np.nansum(means, -1) / np.maximum(count, 1))[..., None])
    return np.sqrt(_ratio((centred**2).sum(-1), np.where(count > 1, (count - 1.0) * count, np.nan)))


def _joined(batches: Batches, parts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns counts, means and squares of the batches of each chain joined to so many parts, [..., chains, parts]."""
    counts, means, squares = (np.asarray(x, float).reshape(*np.shape(x)[:-1], parts, -1) for x in batches)
    count = counts.sum(-1)
    mean = (counts * means).sum(-1) / np.maximum(count, 1)
    spread = squares.sum(-1) + (counts * (means - mean[..., None]) ** 2).sum(-1)
    return count, mean, spread


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Returns the quotient, NaN where the denominator is not positive."""
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1), np.nan)
