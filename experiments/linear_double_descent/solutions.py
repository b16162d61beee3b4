"""The ridge solution of one training set at every noise level at once.

Labels are y = t + σ ε and the solution is linear in them, w = w_t + σ w_ε: risk, train error and norm are quadratic
in σ. With no more features than samples the weights solve (XᵀX + μ) w = Xᵀy; else w = Xᵀa with (XXᵀ + μ) a = y, and
everything follows from XXᵀ alone.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size


class Data(NamedTuple):
    """A training set, zero outside the active sizes; n samples, d features."""

    features_Nxd: jax.Array  # X
    clean_N: jax.Array  # t, the labels without noise
    noise_N: jax.Array  # ε
    target_d: jax.Array  # β on the features
    unseen: jax.Array  # |β|² elsewhere
    samples: Size
    features: Size


class Gram(NamedTuple):
    """What the solutions at every ridge need of a training set. L is the larger of the smaller sizes, padded.

    Attributes:
      few: whether there are fewer samples than features, so that the Gram matrix is that of the samples.
      gram_LxL: XXᵀ or XᵀX.
      active_L: which rows are.
      right_2xL: right-hand sides for t and ε: themselves, or Xᵀ of them.
      target_L: Xβ, or β.
      labels_2x2: scalar products of t and ε.
      target_square: |β|² on the features.
    """

    few: jax.Array
    gram_LxL: jax.Array
    active_L: jax.Array
    right_2xL: jax.Array
    target_L: jax.Array
    labels_2x2: jax.Array
    target_square: jax.Array
    unseen: jax.Array


class Quadratic(NamedTuple):
    """A form c_tt + 2 c_tε σ + c_εε σ² that is not negative."""

    forms_2x2: jax.Array

    def at(self, noise: jax.Array | float) -> jax.Array:
        forms = self.forms_2x2
        return jnp.maximum(forms[0, 0] + noise * (forms[0, 1] + forms[1, 0]) + noise**2 * forms[1, 1], 0)


class Solutions(NamedTuple):
    risk: Quadratic  # |w - β|² on the features
    train: Quadratic  # |y - Xw|²
    norm: Quadratic  # |w|²
    unseen: jax.Array


def make_gram(data: Data) -> Gram:
    """Returns the Gram matrix of the smaller side and what goes with it."""
    n, d = data.samples, data.features
    side = min(n.padded, d.padded)
    X_Nxd, labels_2xN = data.features_Nxd, jnp.stack([data.clean_N, data.noise_N])

    def of_samples() -> tuple[jax.Array, jax.Array, jax.Array]:
        rows = X_Nxd[:side]
        return rows @ rows.T, labels_2xN[:, :side], rows @ data.target_d

    def of_features() -> tuple[jax.Array, jax.Array, jax.Array]:
        columns = X_Nxd[:, :side]
        return columns.T @ columns, labels_2xN @ columns, data.target_d[:side]

    few = jnp.asarray(n.active < d.active)
    gram_LxL, right_2xL, target_L = jax.lax.cond(few, of_samples, of_features)
    return Gram(
        few=few,
        gram_LxL=gram_LxL,
        active_L=jnp.arange(side) < jnp.minimum(n.active, d.active),
        right_2xL=right_2xL,
        target_L=target_L,
        labels_2x2=labels_2xN @ labels_2xN.T,
        target_square=(data.target_d**2).sum(),
        unseen=data.unseen,
    )


def solutions(gram: Gram, penalty: jax.Array | float) -> Solutions:
    """Returns what the solutions for t and ε give at this penalty μ; at 0 the one of least norm."""
    G, right_2xL = gram.gram_LxL, gram.right_2xL
    regular_LxL = G + jnp.diag(jnp.where(gram.active_L, penalty, 1).astype(G.dtype))
    factor = jax.scipy.linalg.cho_factor(regular_LxL, lower=True)
    found_2xL = jax.scipy.linalg.cho_solve(factor, right_2xL.T).T
    image_2xL = found_2xL @ G
    inner_2x2 = found_2xL @ image_2xL.T
    # |w - β|²: with weights at hand their distance, with w = Xᵀa from scalar products
    missed_2xL = found_2xL - jnp.stack([gram.target_L, jnp.zeros_like(gram.target_L)])
    along_2 = found_2xL @ gram.target_L
    cross_2x2 = jnp.array([[2.0, 0.0], [0.0, 0.0]]) * along_2[0] + jnp.array([[0.0, 1.0], [1.0, 0.0]]) * along_2[1]
    square_2x2 = jnp.array([[1.0, 0.0], [0.0, 0.0]]) * gram.target_square
    residual_2xL = right_2xL - image_2xL
    fit_2x2 = found_2xL @ right_2xL.T
    return Solutions(
        risk=Quadratic(jnp.where(gram.few, inner_2x2 - cross_2x2 + square_2x2, missed_2xL @ missed_2xL.T)),
        train=Quadratic(
            jnp.where(gram.few, residual_2xL @ residual_2xL.T, gram.labels_2x2 - fit_2x2 - fit_2x2.T + inner_2x2)
        ),
        norm=Quadratic(jnp.where(gram.few, inner_2x2, found_2xL @ found_2xL.T)),
        unseen=gram.unseen,
    )
