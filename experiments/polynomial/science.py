"""Polynomial regression: bias against variance, and what comes after interpolation.

Few functions cannot follow the curve (bias), many follow the noise (variance). Fitted by least norm beyond as many
functions as samples, the error comes down a second time (Schaeffer et al. 2023).

python -m launch.polynomial                     bias and variance over 400 datasets, half a minute on two CPU cores
python -m launch.polynomial --preset=legendre   double descent of the least-norm fit
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from numpy.polynomial.legendre import legvander
from numpy.polynomial.polynomial import polyvander
from scipy.special import roots_legendre

from phenom_jax.experiment import FloatType, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.models.ridge import least_norm
from phenom_jax.sizes import Size, draw_columns, exactly, masked_mean

TEST_SAMPLES = 1000
MOST_IN_FLOAT32 = 5  # functions; at n = 25 rounding costs 4e-6 of the risk here, and all of it at 16
DATASETS = 20  # seeds of a block, of which bias and variance are estimated
# quadrature over U(-1, 1), exact for squares of polynomials of degree 255; beyond the accuracy is that of the nodes
INPUTS, NODES = (np.asarray(values) for values in roots_legendre(256)[:2])
NODES = NODES / NODES.sum()
CURVES = {"sine": lambda x: np.sin(np.pi * x), "wiggle": lambda x: 2 * x + np.cos(25 * x)}
CHECKED = {5: 0.79, 10: 14.0, 15: 6.7e6, 20: 30.0, 30: 0.351, 200: 0.556}  # median risks found by others, by functions
CHECKED_IN = {"curve": "wiggle", "samples": 15, "inputs": "uniform", "basis": "legendre", "lowest_degree": 1}
OF_THE_FIT = ("curve", "basis", "lowest_degree", "samples", "ridge", "noise", "functions")


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


class Decomposition(NamedTuple):
    """Of the mean excess risk over datasets: bias² + variance is the mean excess risk exactly."""

    bias2: float
    variance: float

    @property
    def total(self) -> float:
        return self.bias2 + self.variance


def decompose(predictions_SxQ: np.ndarray, curve: str) -> Decomposition:
    """Returns bias² and variance of the fits to S datasets, averaged over the inputs.

    The variance is that about the mean of these S fits, divided by S - 1, and bias² has what this mean is off by taken
    out again, variance / S: both are unbiased. So bias² may come out below 0 where the variance is large.
    """
    count = len(predictions_SxQ)
    off_Q = predictions_SxQ.mean(0) - CURVES[curve](INPUTS)
    variance = float(NODES @ predictions_SxQ.var(0, ddof=1))
    return Decomposition(float(NODES @ off_Q**2) - variance / count, variance)


@functools.cache
def exact(
    curve: str, basis: str, lowest_degree: int, samples: int, ridge: float, noise: float, functions: int
) -> Decomposition:
    """Returns bias² and variance of a fit, exact for inputs on the grid.

    The fit is linear in the labels: f(x) = φ(x)' M y with M = V diag(s / (s² + ridge)) U' of the design's singular
    values. So the bias is that of the fit to noiseless labels and the variance is noise² |φ(x)' M|².
    """
    x_N, vander = (2 * np.arange(samples) + 1) / samples - 1, legvander if basis == "legendre" else polyvander
    design_NxP, at_QxP = (vander(x, lowest_degree + functions - 1)[:, lowest_degree:] for x in (x_N, INPUTS))
    left, values, right = np.linalg.svd(design_NxP, full_matrices=False)
    kept = values > np.finfo(float).eps * max(samples, functions) * values[0]
    gains = np.where(kept, values / np.where(kept, values**2 + ridge, 1), 0)
    effect_QxN = at_QxP @ (right.T * gains) @ left.T
    off_Q = effect_QxN @ CURVES[curve](x_N) - CURVES[curve](INPUTS)
    return Decomposition(float(NODES @ off_Q**2), float(noise**2 * NODES @ (effect_QxN**2).sum(1)))


def setting(runs: xr.Dataset, run: int = 0) -> dict[str, str | int | float]:
    """Returns what decides bias and variance of a run, by the names of `exact`'s arguments."""
    return {name: runs[name].values[run].item() for name in OF_THE_FIT}


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with blocks of datasets, bias² and variance over each, and what is exact.

    A block are 20 seeds that follow each other. Its bias² and variance stand at its first seed, NaN at the others, so
    that each counts once. Exact are those of inputs on the grid, with the risk over its mean; NaN for drawn inputs.
    """
    results = results.assign_coords(input=INPUTS, block=("run", results["seed"].values // DATASETS))
    parts_Nx2, exact_Nx2 = np.full((2, results.sizes["run"], 2), np.nan)
    codes = [np.unique(results[name].values, return_inverse=True)[1] for name in (*OF_THE_FIT, "inputs", "block")]
    cells = np.unique(np.stack(codes), axis=1, return_inverse=True)[1].reshape(-1)
    is_over, predictions = results["status"].isin(["finished", "done"]).values, results["predictions"].values[:, 0]
    for rows in np.split(np.argsort(cells, kind="stable"), np.flatnonzero(np.diff(np.sort(cells))) + 1):
        if is_over[rows].sum() == DATASETS:
            parts_Nx2[rows[0]] = decompose(predictions[rows[is_over[rows]]], str(results["curve"].values[rows[0]]))
        if results["inputs"].values[rows[0]] == "grid":
            exact_Nx2[rows] = exact(**setting(results, rows[0]))
    added = {
        "bias2": (parts_Nx2[:, 0], "bias² of 20 datasets"),
        "variance": (parts_Nx2[:, 1], "variance of 20 datasets"),
        "sum_of_parts": (parts_Nx2.sum(1) + results["noise"].values ** 2, "bias² + variance + noise² of 20 datasets"),
        "exact_risk": (exact_Nx2.sum(1), "exact mean of the excess risk"),
    }
    risk = results["excess_risk"]
    for name, (values, said) in added.items():
        results[name] = (xr.DataArray(values, dims="run") * xr.ones_like(risk)).assign_attrs(long_name=said)
    relative = (risk / results["exact_risk"]).assign_attrs(long_name="excess risk over its exact mean")
    return results.assign(relative_risk=relative)


def _keys(hp: Polynomial) -> jax.Array:
    """Returns the keys of training inputs, training noise and test set."""
    return jax.random.split(jax.random.key(hp.seed), 3)


def _uniform(key: jax.Array, count: Size) -> jax.Array:
    """Returns float[count.padded] ~ U(-1, 1), zero outside the active block."""
    return jnp.where(count.mask, 2 * draw_columns(key, exactly(1), count, jax.random.uniform)[0] - 1, 0.0)
