"""Random features: double descent in the number of features, held against its limit (Mei, Montanari 2022).

A network whose first layer stays as drawn is fitted in closed form. Its error peaks where N features first interpolate
n samples, falls again beyond, and a small ridge takes the peak away.

python -m launch.random_features                  ReLU and Fourier features on a sphere, a minute on two CPU cores
python -m launch.random_features --preset=course  the 1-D setting whose second descent does not come

Without ridge the excess risk at N = n is hundreds of times what a ridge of 1e-2 leaves, and at N = 4n it is below a
third of the lowest with fewer features than samples.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.special import roots_hermitenorm

from phenom_jax.experiment import FloatType, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.models.ridge import least_norm, ridge_regression
from phenom_jax.sizes import Size, draw_columns, exactly, masked_mean
from phenom_jax.theory.random_features import RELU, fourier, risk

NODES = 300  # of the quadrature over x ~ N(0, 1)
SMALLEST_RIDGE = 1e-3  # in float32: it costs 5e-5 of the risk at N = n, without ridge a tenth


@hparams
class RandomFeatures:
    seed: int = swept(0, "inputs, label noise, features and the target's direction")
    ridge: float = swept(0.0, "sphere: of |y - Φa|²/n + ridge (N/d) |a|², line: of |y - Φa|² + ridge |a|²", at_least=0)
    noise: float = swept(0.45, "standard deviation of the label noise", at_least=0)
    frequency: float = swept(1.0, "of Fourier features; unused by ReLU features", above=0)
    features: Size = size(150, "N random features")
    samples: Size = size(150, "n training inputs")
    dimension: Size = size(50, "d of the inputs on the sphere; unused on the line", at_least=2)
    activation: Literal["relu", "fourier"] = static("relu", "of the features on the sphere, fourier: cos + sin")
    inputs: Literal["sphere", "line"] = static(
        "sphere", "x on the sphere of radius √d, y linear in x; or x ~ N(0, 1), y = sin 3x, features cos(ωx + b)"
    )

    def check(self) -> None:
        """Raises InvalidValue where the exact risk loses its digits."""
        if self.inputs == "sphere" and self.activation == "fourier" and self.frequency > 2:
            raise InvalidValue(f"frequency: {self.frequency} is not at most 2, which inputs=sphere needs")

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        if self.inputs == "line":
            return {"dimension": "inputs=line", "activation": "inputs=line"}
        return {} if self.activation == "fourier" else {"frequency": "activation=relu"}


class State(NamedTuple):
    weights_F: jax.Array  # a
    directions_DxF: jax.Array  # θ of length √d; on the line ω
    shifts_F: jax.Array  # b; zero on the sphere
    target_D: jax.Array  # β of length 1; nothing on the line
    train_error: jax.Array


class Measures(NamedTuple):
    """The excess risk is E (f(x) - y*)² with the noiseless label y*; the test error adds the noise variance."""

    excess_risk: Annotated[jax.Array, Quantity("excess risk")]
    test_error: Annotated[jax.Array, Quantity("test error")]
    train_error: Annotated[jax.Array, Quantity("train error")]
    weight_norm: Annotated[jax.Array, Quantity("norm of the weights")]


def init(hp: RandomFeatures) -> State:
    """Returns the fitted weights: the whole experiment, which trains no steps."""
    keys = jax.random.split(jax.random.key(hp.seed), 5)
    dimension = hp.dimension if hp.inputs == "sphere" else exactly(1)
    inputs_NxD = draw_columns(keys[0], dimension, hp.samples).T
    directions_DxF = draw_columns(keys[1], dimension, hp.features)
    target_D = draw_columns(keys[2], dimension, exactly(1))[:, 0]
    shifts_F = jnp.zeros(hp.features.padded)
    if hp.inputs == "sphere":
        radius = jnp.sqrt(dimension.active)
        inputs_NxD = radius * _unit(inputs_NxD.T).T
        directions_DxF = radius * _unit(directions_DxF)
        target_D = _unit(target_D[:, None])[:, 0]
    else:
        directions_DxF = hp.frequency * directions_DxF
        shifts_F = 2 * jnp.pi * draw_columns(keys[4], exactly(1), hp.features, jax.random.uniform)[0]
    noise_N = hp.noise * draw_columns(keys[3], exactly(1), hp.samples)[0]
    targets_N = jnp.where(hp.samples.mask, target(inputs_NxD, target_D, hp) + noise_N, 0.0)
    features_NxF = features(inputs_NxD, directions_DxF, shifts_F, hp)
    features_NxF = jnp.where(hp.samples.mask[:, None] & hp.features.mask[None, :], features_NxF, 0.0)
    if hp.inputs == "sphere":
        penalty = hp.samples.active * hp.ridge * hp.features.active / dimension.active
        weights_F = ridge_regression(features_NxF, targets_N, penalty, hp.samples, hp.features)
    else:  # smooth functions of one number: the features are all but dependent
        weights_F = least_norm(features_NxF, targets_N, hp.samples, hp.features, hp.ridge)
    train_error = masked_mean(jnp.square(targets_N - features_NxF @ weights_F), hp.samples)
    return State(weights_F, directions_DxF, shifts_F, target_D, train_error)


def measure(state: State, hp: RandomFeatures) -> Measures:
    """Returns the risk over all inputs, not over a sample of them."""
    excess = (sphere_risk if hp.inputs == "sphere" else line_risk)(state, hp)
    return Measures(excess, excess + hp.noise**2, state.train_error, jnp.linalg.norm(state.weights_F))


def features(x_NxD: jax.Array, directions_DxF: jax.Array, shifts_F: jax.Array, hp: RandomFeatures) -> jax.Array:
    """Returns Φ, float[N, F]; padded features are whatever σ(0) is."""
    if hp.inputs == "line":
        return jnp.cos(x_NxD @ directions_DxF + shifts_F[None, :])
    u_NxF = x_NxD @ directions_DxF / jnp.sqrt(hp.dimension.active)
    if hp.activation == "relu":
        return jax.nn.relu(u_NxF)
    return jnp.cos(hp.frequency * u_NxF) + jnp.sin(hp.frequency * u_NxF)


def target(x_NxD: jax.Array, target_D: jax.Array, hp: RandomFeatures) -> jax.Array:
    """Returns the noiseless labels."""
    return x_NxD @ target_D if hp.inputs == "sphere" else jnp.sin(3 * x_NxD[:, 0])


def sphere_risk(state: State, hp: RandomFeatures) -> jax.Array:
    """Returns E (Φ(x)a - <β, x>)² over the sphere, exact for every d: a'Ka - 2 a'm + 1.

    K = E σ(<θ, x>/√d) σ(<θ', x>/√d) and m = E σ(<θ, x>/√d) <β, x> depend on the angle between θ and θ' and on
    <θ, β>. ReLU is homogeneous and E |x|² = d, so both are those of a Gaussian x (Cho, Saul 2009, equation 6). For
    cos + sin they follow from E cos <s, x> = 0F1(; d/2; -|s|² d/4), the characteristic function of the sphere.
    """
    d = jnp.asarray(hp.dimension.active, float)
    cosines_FxF = jnp.clip(state.directions_DxF.T @ state.directions_DxF / d, -1.0, 1.0)
    shown_F = state.target_D @ state.directions_DxF / jnp.sqrt(d)
    if hp.activation == "relu":
        sines_FxF = jnp.sqrt(1 - cosines_FxF**2)
        kernel_FxF = (sines_FxF + (jnp.pi - jnp.arccos(cosines_FxF)) * cosines_FxF) / (2 * jnp.pi)
        shown_F = shown_F / 2
    else:
        k2 = jnp.square(hp.frequency)
        kernel_FxF = _bessel_0f1(d / 2, -k2 * d * (1 - cosines_FxF) / 2)
        shown_F = hp.frequency * _bessel_0f1(d / 2 + 1, -k2 * d / 4) * shown_F
    a_F = state.weights_F  # zero where padded, whatever the kernel is there
    return a_F @ kernel_FxF @ a_F - 2 * a_F @ shown_F + 1


def line_risk(state: State, hp: RandomFeatures) -> jax.Array:
    """Returns E (Φ(x)a - sin 3x)² over x ~ N(0, 1) by Gauss-Hermite quadrature."""
    nodes, shares = roots_hermitenorm(NODES)
    x_Qx1 = jnp.asarray(nodes, float)[:, None]
    values_Q = features(x_Qx1, state.directions_DxF, state.shifts_F, hp) @ state.weights_F
    return jnp.asarray(shares / shares.sum(), float) @ jnp.square(values_Q - target(x_Qx1, state.target_D, hp))


def _unit(columns_DxK: jax.Array) -> jax.Array:
    """Returns the columns at length 1; those of zeros stay."""
    norms_K = jnp.linalg.norm(columns_DxK, axis=0)
    return columns_DxK / jnp.where(norms_K > 0, norms_K, 1.0)[None, :]


def _bessel_0f1(b: jax.Array, z: jax.Array) -> jax.Array:
    """Returns 0F1(; b; z) by its series, for |z| <= 8 b: its terms stay below e^8 and fall fast."""
    term = total = jnp.ones_like(z)
    for m in range(1, 48):
        term = term * z / (m * (b + m - 1))
        total = total + term
    return total


def check_precision(hp: RandomFeatures, float_type: FloatType) -> None:
    """Raises InvalidValue for a run whose weights float32 cannot tell from rounding."""
    if float_type == "float64":
        return
    if hp.inputs == "line":
        raise InvalidValue("float_type: float32 cannot solve inputs=line, allowed is float64")
    if hp.ridge < SMALLEST_RIDGE:
        raise InvalidValue(
            f"ridge: {hp.ridge} is too small for float_type=float32, allowed is at least {SMALLEST_RIDGE:g}, or float64"
        )


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with `of_limit`, the excess risk over its limit; NaN on the line."""
    of_limit = results["excess_risk"].max("step") / xr.DataArray(limit(results), dims="run")
    return results.assign(of_limit=of_limit.assign_attrs(long_name="excess risk over its limit", units="1"))


def limit(runs: xr.Dataset) -> np.ndarray:
    """Returns float[run], the limit of the excess risk; NaN for inputs on the line, where there is none."""
    found = np.full(runs.sizes["run"], np.nan)
    kinds = runs["activation"].values, runs["frequency"].values
    for kind, frequency in sorted(set(zip(*(values.tolist() for values in kinds), strict=True))):
        of_kind = (kinds[0] == kind) & (kinds[1] == frequency) & (runs["inputs"].values == "sphere")
        names = ("features", "samples", "dimension", "ridge", "noise")
        features, samples, dimension, ridge, noise = (runs[name].values[of_kind] for name in names)
        activation = RELU if kind == "relu" else fourier(frequency)
        found[of_kind] = risk(features, samples, dimension, ridge, activation, noise=noise)
    return found


def along(runs: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """Returns float[values], the limit of runs like these over N, or over n where that varies in its place."""
    return limit(runs.isel(run=np.zeros(len(values), int)).assign_coords({size_that_varies(runs): ("run", values)}))


def size_that_varies(runs: xr.Dataset) -> str:
    """Returns which of N and n varies between runs."""
    return "samples" if len(np.unique(runs["samples"].values)) > 1 else "features"
