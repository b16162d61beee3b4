"""Ridge and least-norm regression: weights in closed form, of padded features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size

T = TypeVar("T")


def ridge_regression(
    features_NxD: jax.Array, targets_N: jax.Array, penalty: float | jax.Array, samples: Size, features: Size
) -> jax.Array:
    """Returns float[D.padded], the w that minimises |y - Xw|² + penalty |w|²; at penalty 0 the least-norm solution.

    One Cholesky factor of the smaller of X Xᵀ and Xᵀ X, which squares the condition number of X: where that passes
    about 1e6 in float64 (1e3 in float32) at penalty 0, use `least_norm`. A run chooses its own side by its active
    sizes, so runs with fewer and with more features than samples share one program.

    Args:
      features_NxD: X, zero outside the active block.
      targets_N: y, zero outside the active block.
      penalty: not divided by the number of samples.
      samples: N.
      features: D.
    """
    few = samples.active <= features.active
    least = min(samples.padded, features.padded)  # the smaller active side fits in it
    most = max(samples.padded, features.padded)
    side_LxM = jnp.where(
        few, _fit(features_NxD[:least], most), _fit(features_NxD[:, :least].T, most)
    )  # rows: samples, or features
    active_L = jnp.arange(least) < jnp.minimum(samples.active, features.active)
    gram_LxL = side_LxM @ side_LxM.T + jnp.diag(jnp.where(active_L, penalty, 1.0).astype(side_LxM.dtype))
    right_L = jnp.where(few, targets_N[:least], (targets_N @ features_NxD)[:least])
    solution_L = one_by_one(_cholesky_solve, gram_LxL, right_L)
    weights_M = jnp.where(few, solution_L @ side_LxM, jnp.pad(solution_L, (0, most - least)))
    return weights_M[: features.padded]


def least_norm(
    features_NxD: jax.Array,
    targets_N: jax.Array,
    samples: Size,
    features: Size,
    penalty: float | jax.Array = 0.0,
    cutoff: float | jax.Array | None = None,
) -> jax.Array:
    """Returns what `ridge_regression` does, by singular values, which holds for ill-conditioned X.

    Args:
      features_NxD, targets_N, samples, features, penalty: as for `ridge_regression`.
      cutoff: singular values below this share of the largest count as zero; None for rounding error, the machine
        epsilon times the larger of the active N and D.
    """
    left_NxK, values_K, right_KxD = one_by_one(_singular_values, features_NxD)
    rounding = jnp.finfo(values_K.dtype).eps * jnp.maximum(samples.active, features.active)
    kept_K = (values_K > (rounding if cutoff is None else cutoff) * values_K[0]) & (values_K > 0)
    gains_K = jnp.where(kept_K, values_K / jnp.where(kept_K, values_K**2 + penalty, 1.0), 0.0)
    return (gains_K * (targets_N @ left_NxK)) @ right_KxD


def kernel_ridge(kernel_NxN: jax.Array, targets_N: jax.Array, penalty: float | jax.Array) -> jax.Array:
    """Returns float[N], the a that solves (K + penalty I) a = y: predictions are k(x, X) a.

    Args:
      kernel_NxN: K, symmetric and positive semidefinite.
      targets_N: y.
      penalty: above 0 where K is singular or nearly so.
    """
    return one_by_one(_cholesky_solve, kernel_NxN + penalty * jnp.eye(len(kernel_NxN)), targets_N)


def one_by_one(factorisation: Callable[..., T], *matrices: jax.Array) -> T:
    """Returns `factorisation(*matrices)`; on a CPU the runs of a batch are factorised one after the other.

    jaxlib 0.10 shares the matrices of a batched LAPACK call out among the threads of the pool in which the call itself
    waits for them: two devices that call at once can wait forever. A call for one matrix never waits.
    """
    return jax.lax.platform_dependent(
        *matrices, cpu=jax.custom_batching.sequential_vmap(factorisation), default=factorisation
    )


def _cholesky_solve(gram_LxL: jax.Array, right_L: jax.Array) -> jax.Array:
    return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram_LxL, lower=True), right_L)


def _singular_values(matrix_NxD: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return tuple(jnp.linalg.svd(matrix_NxD, full_matrices=False))


def _fit(rows_LxK: jax.Array, length: int) -> jax.Array:
    """Returns the rows with zeros appended up to `length`."""
    return jnp.pad(rows_LxK, ((0, 0), (0, length - rows_LxK.shape[1])))
