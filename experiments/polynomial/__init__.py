"""Polynomial regression: bias against variance, and what comes after interpolation.

Few functions cannot follow the curve (bias), many follow the noise (variance). Fitted by least norm beyond as many
functions as samples, the error comes down a second time (Schaeffer et al. 2023).

python -m launch.polynomial                     bias and variance over 200 datasets, half a minute on two CPU cores
python -m launch.polynomial --preset=legendre   double descent of the least-norm fit
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments.polynomial.claims import CLAIMS
from experiments.polynomial.curve import INPUTS, NODES
from experiments.polynomial.figures import FIGURES
from experiments.polynomial.presets import PRESETS
from phenom_jax.experiment import Experiment, FloatType, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.models.ridge import least_norm
from phenom_jax.sizes import Size, draw_columns, exactly, masked_mean

TEST_SAMPLES = 1000
MOST_IN_FLOAT32 = 5  # functions; at n = 25 rounding costs 4e-6 of the risk here, and all of it at 16


@hparams
class Polynomial:
    seed: int = swept(0, "inputs and noise: a seed is a dataset")
    ridge: float = swept(0.0, "of |y - Φw|² + ridge |w|²; at 0 the least-norm fit", at_least=0)
    noise: float = swept(0.3, "standard deviation of the label noise", at_least=0)
    functions: Size = size(4, "p basis functions, from the lowest degree up")
    samples: Size = size(25, "n training inputs in (-1, 1)")
    inputs: Literal["grid", "uniform"] = static("grid", "the same n inputs in every dataset, or drawn with the seed")
    curve: Literal["sine", "wiggle"] = static("sine", "what is fitted: sin πx or 2x + cos 25x")
    basis: Literal["legendre", "monomial"] = static("legendre", "P_k(x) or x^k")
    lowest_degree: int = static(0, "of the basis functions: 1 leaves the constant out", at_least=0, at_most=1)


Pair = tuple[jax.Array, jax.Array]


class State(NamedTuple):
    weights_P: jax.Array
    train_error: jax.Array


class Measures(NamedTuple):
    """The excess risk is E (f(x) - y*)² with the noiseless label y*; the test error is of fresh noisy labels."""

    excess_risk: Annotated[jax.Array, Quantity("excess risk")]
    test_error: Annotated[jax.Array, Quantity("test error")]
    train_error: Annotated[jax.Array, Quantity("train error")]
    weight_norm: Annotated[jax.Array, Quantity("norm of the weights")]
    predictions: Annotated[jax.Array, Quantity("prediction at fixed inputs", dims=("input",))]


def init(hp: Polynomial) -> State:
    """Returns the fitted weights: the whole experiment, which trains no steps."""
    inputs_key, noise_key, _ = _keys(hp)
    inputs_N = grid(hp.samples) if hp.inputs == "grid" else _uniform(inputs_key, hp.samples)
    targets_N = curve(inputs_N, hp) + hp.noise * draw_columns(noise_key, exactly(1), hp.samples)[0]
    targets_N = jnp.where(hp.samples.mask, targets_N, 0.0)
    design_NxP = jnp.where(hp.samples.mask[:, None], functions(inputs_N, hp), 0.0)
    weights_P = least_norm(design_NxP, targets_N, hp.samples, hp.functions, hp.ridge)
    return State(weights_P, masked_mean(jnp.square(targets_N - design_NxP @ weights_P), hp.samples))


def measure(state: State, hp: Polynomial) -> Measures:
    """Returns the exact risk, the error on a test set of the run's own, and what the fit predicts."""
    nodes_Q = jnp.asarray(INPUTS, float)
    predictions_Q = functions(nodes_Q, hp) @ state.weights_P
    test_key, noise_key = jax.random.split(_keys(hp)[2])
    test_T = _uniform(test_key, exactly(TEST_SAMPLES))
    labels_T = curve(test_T, hp) + hp.noise * jax.random.normal(noise_key, (TEST_SAMPLES,))
    return Measures(
        excess_risk=jnp.asarray(NODES, float) @ jnp.square(predictions_Q - curve(nodes_Q, hp)),
        test_error=jnp.square(functions(test_T, hp) @ state.weights_P - labels_T).mean(),
        train_error=state.train_error,
        weight_norm=jnp.linalg.norm(state.weights_P),
        predictions=predictions_Q,
    )


def grid(count: Size) -> jax.Array:
    """Returns float[count.padded], the middles of `count` equal parts of (-1, 1); zero outside the active block."""
    return jnp.where(count.mask, (2 * jnp.arange(count.padded) + 1) / count.active - 1, 0.0)


def curve(x_N: jax.Array, hp: Polynomial) -> jax.Array:
    """Returns the noiseless labels."""
    return jnp.sin(jnp.pi * x_N) if hp.curve == "sine" else 2 * x_N + jnp.cos(25 * x_N)


def functions(x_N: jax.Array, hp: Polynomial) -> jax.Array:
    """Returns Φ, float[N, P.padded]: the basis functions at x, zero beyond the active ones."""

    def following(
        pair: tuple[jax.Array, jax.Array], degree: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        before_N, here_N = pair
        # (k + 1) P_{k+1} = (2k + 1) x P_k - k P_{k-1}
        legendre_N = ((2 * degree + 1) * x_N * here_N - degree * before_N) / (degree + 1)
        return (here_N, legendre_N if hp.basis == "legendre" else x_N * here_N), here_N

    degrees = jnp.arange(hp.functions.padded + hp.lowest_degree, dtype=float)
    values_PxN = jax.lax.scan(following, (jnp.zeros_like(x_N), jnp.ones_like(x_N)), degrees)[1]
    return jnp.where(hp.functions.mask[None, :], values_PxN[hp.lowest_degree :].T, 0.0)


def check_precision(hp: Polynomial, float_type: FloatType) -> None:
    """Raises InvalidValue for a run whose weights float32 cannot tell from rounding."""
    if float_type == "float32" and hp.functions.active > MOST_IN_FLOAT32:
        raise InvalidValue(
            f"functions: {hp.functions.active} is too many for float_type=float32, allowed are at most "
            f"{MOST_IN_FLOAT32}, or float64"
        )


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the inputs of the predictions as their coordinate."""
    return results.assign_coords(input=np.asarray(INPUTS))


def _keys(hp: Polynomial) -> jax.Array:
    """Returns the keys of training inputs, training noise and test set."""
    return jax.random.split(jax.random.key(hp.seed), 3)


def _uniform(key: jax.Array, count: Size) -> jax.Array:
    """Returns float[count.padded] ~ U(-1, 1), zero outside the active block."""
    return jnp.where(count.mask, 2 * draw_columns(key, exactly(1), count, jax.random.uniform)[0] - 1, 0.0)


experiment = Experiment(
    name="polynomial",
    hparams=Polynomial,
    init=init,
    step=None,
    measure=measure,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    float_type="float64",
    check_precision=check_precision,
)
