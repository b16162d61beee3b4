"""Double descent in linear regression: the risk has a pole where there are as many features as samples.

Ridgeless and ridge regression on Gaussian inputs, a solve per run, in float64. Exact theory lies over every figure.
A seed is a training set: runs of one seed share its draws, whatever their noise, ridge and sizes.

python -m launch.linear_double_descent                          the course's grid, half a minute on two CPU cores
python -m launch.linear_double_descent --preset=weak_features   the second descent below the first minimum
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from phenom_jax.experiment import FloatType, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.shared import shared
from phenom_jax.sizes import Size, draw_columns, exactly
from phenom_jax.theory.ridge import Expected, ridge_regression, weak_features

LEAST_RIDGE = 1e-3  # in float32; below, rounding errors of the Gram matrix are a percent of the risk at the threshold
BY_MODES = ("small_modes", "test_directions")  # ablations that need the singular vectors
OF_THE_MEAN = ("model", "ablation", "samples", "dimension", "coordinates", "ridge", "signal", "noise")


@hparams
class LinearDoubleDescent:
    # runs are taken in the order of these fields, the last one first: neighbours share inputs, then the factorisation
    seed: int = swept(0, "training inputs, target and noise; other values at one seed share them")
    samples: Size = size(200, "training samples n")
    dimension: Size = size(100, "features d that are regressed on")
    signal: float = swept(1.0, "norm of the target β", at_least=0)
    cutoff: float = swept(
        0.3,
        "of small_modes and test_directions: modes with a singular value below this share of the largest are cut",
        at_least=0,
        below=1,
    )
    ridge: float = swept(0.0, "λ in |y - Xw|²/n + λ |w|²; 0 is the solution of least norm", at_least=0)
    noise: float = swept(0.5, "standard deviation σ of the labels' noise", at_least=0)
    coordinates: int = static(100, "of model=weak_features: input coordinates D, of which d are seen", at_least=1)
    model: Literal["isotropic", "weak_features"] = static(
        "isotropic", "whether the target depends on the d features alone, or on D coordinates alike of which d are seen"
    )
    ablation: Literal["none", "small_modes", "residuals", "test_directions"] = static(
        "none",
        "which cause of the peak is removed: small singular values are cut, labels have no residual, or test "
        "inputs lie in the large modes of the training inputs",
    )
    singular_values: bool = static(False, "also measure the smallest singular value; ten times slower")

    def check(self) -> None:
        """Raises InvalidValue if more features are to be seen than there are coordinates."""
        if self.model == "weak_features" and self.dimension.active > self.coordinates:
            raise InvalidValue(
                f"dimension: {self.dimension.active} is more than the {self.coordinates} coordinates "
                "of model=weak_features"
            )

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        idle = {
            "coordinates": "" if self.model == "weak_features" else f"model={self.model}",
            "cutoff": "" if self.ablation in BY_MODES else f"ablation={self.ablation}",
            "singular_values": f"ablation={self.ablation}" if self.ablation in BY_MODES else "",
        }
        return {name: setting for name, setting in idle.items() if setting}


class Measures(NamedTuple):
    excess_risk: Annotated[jax.Array, Quantity("excess test risk")]
    train_error: Annotated[jax.Array, Quantity("train mean squared error")]
    squared_norm: Annotated[jax.Array, Quantity("squared norm of the weights")]
    smallest_singular_value: Annotated[jax.Array, Quantity("smallest singular value over √n")]


State = Measures  # a solve leaves nothing else behind


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


def init(hp: LinearDoubleDescent) -> State:
    """Returns what the fit of this run's training set measures."""
    if hp.singular_values or hp.ablation in BY_MODES:
        return _by_modes(make_data(hp), hp)
    solve = shared(
        lambda hp, _: make_gram(make_data(hp)), lambda hp, gram: solutions(gram, hp.samples.active * hp.ridge)
    )
    found = solve(_without(hp, "ridge", "noise"), _without(hp, "noise"))
    noise = 0 if hp.ablation == "residuals" else hp.noise
    return Measures(
        excess_risk=found.risk.at(noise) + found.unseen,
        train_error=found.train.at(noise) / hp.samples.active,
        squared_norm=found.norm.at(noise),
        smallest_singular_value=jnp.full((), jnp.nan),
    )


def measure(state: State, hp: LinearDoubleDescent) -> Measures:
    """Returns what `init` measured."""
    return state


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the exact mean risk of every run's setting, and the risk over it.

    NaN for ablations, and within one of the threshold without ridge, where the mean is infinite.
    """
    codes = np.stack([np.unique(results[name].values, return_inverse=True)[1] for name in OF_THE_MEAN])
    _, first, setting = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    one_of_each = (results.isel(run=[row]) for row in first)
    means = np.array([expected(run, "dimension", run["dimension"].values).excess_risk.item() for run in one_of_each])
    means = np.where((means > 0) & (means < np.inf), means, np.nan)
    risk = results["excess_risk"]
    exact = risk.notnull() * xr.DataArray(means[setting.reshape(-1)], dims="run")
    return results.assign(
        exact_risk=exact.assign_attrs(long_name="exact mean of the excess test risk"),
        relative_risk=(risk / exact).assign_attrs(long_name="excess test risk over its exact mean"),
    )


def expected(runs: xr.Dataset, x: str, values: np.ndarray) -> Expected:
    """Returns the exact means for runs that are alike but for `x`, at these values of it; NaN for an ablation."""
    of = {name: runs[name].values[0] for name in ("samples", "dimension", "ridge", "signal", "noise")} | {x: values}
    if runs["ablation"].values[0] != "none":
        return Expected(*[np.full(np.shape(values), np.nan)] * 3)
    if runs["model"].values[0] == "isotropic":
        return ridge_regression(**of)
    coordinates = runs["coordinates"].values[0]
    return weak_features(of["samples"], of["dimension"], coordinates, of["ridge"], of["signal"], of["noise"])


def make_data(hp: LinearDoubleDescent) -> Data:
    """Returns the training set drawn from the seed: the first n samples and d features of an endless table.

    Numbers are drawn as float32: programs in float32 and float64 see the same ones, and drawing takes half the time,
    less than solving. A float32 normal number has 23 random bits and ends at 5.4: its moments are off by less than
    1e-6. Programs may round it differently in its last bit, which moves a risk by 1e-7, times 1000 at the threshold.
    """
    inputs_key, target_key, noise_key = jax.random.split(jax.random.key(hp.seed), 3)
    coordinates = hp.dimension if hp.model == "isotropic" else exactly(hp.coordinates)
    inputs_NxD = draw_columns(inputs_key, hp.samples, coordinates, _normal)
    target_D = draw_columns(target_key, coordinates, exactly(1), _normal)[:, 0]
    target_D = hp.signal * target_D / jnp.linalg.norm(target_D)
    noise_N = draw_columns(noise_key, hp.samples, exactly(1), _normal)[:, 0]
    features_Nxd = jnp.where(hp.dimension.mask, inputs_NxD[:, : hp.dimension.padded], 0)
    target_d = jnp.where(hp.dimension.mask, target_D[: hp.dimension.padded], 0)
    is_seen_D = jnp.arange(len(target_D)) < hp.dimension.active
    return Data(
        features_Nxd=features_Nxd,
        clean_N=features_Nxd @ target_d if hp.ablation == "residuals" else inputs_NxD @ target_D,
        noise_N=noise_N,
        target_d=target_d,
        unseen=(jnp.where(is_seen_D, 0, target_D) ** 2).sum(),
        samples=hp.samples,
        features=hp.dimension,
    )


def _normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.random.normal(key, shape, jnp.float32).astype(float)


def _without(hp: LinearDoubleDescent, *names: str) -> LinearDoubleDescent:
    """Returns the hyperparameters with these at 0: what they decide is the same for runs that differ in them alone."""
    return dataclasses.replace(hp, **dict.fromkeys(names, 0.0))


def _by_modes(data: Data, hp: LinearDoubleDescent) -> Measures:
    """Returns the same from the singular values, of which the small ones may be cut."""
    left_NxK, values_K, right_Kxd = jnp.linalg.svd(data.features_Nxd, full_matrices=False)
    least = jnp.minimum(hp.samples.active, hp.dimension.active)
    is_mode_K = jnp.arange(len(values_K)) < least
    is_large_K = is_mode_K & (values_K >= hp.cutoff * values_K[0])
    fitted_K = is_large_K if hp.ablation == "small_modes" else is_mode_K
    penalty = hp.samples.active * hp.ridge
    gains_K = jnp.where(fitted_K, values_K / jnp.where(fitted_K, values_K**2 + penalty, 1), 0)
    labels_N = data.clean_N + (0 if hp.ablation == "residuals" else hp.noise) * data.noise_N
    weights_d = (gains_K * (labels_N @ left_NxK)) @ right_Kxd
    missed_d = weights_d - data.target_d
    if hp.ablation == "test_directions":
        missed_d = jnp.where(is_large_K, right_Kxd @ missed_d, 0)  # its coordinates along the large modes
    return Measures(
        excess_risk=(missed_d**2).sum() + data.unseen,
        train_error=((labels_N - data.features_Nxd @ weights_d) ** 2).sum() / hp.samples.active,
        squared_norm=(weights_d**2).sum(),
        smallest_singular_value=values_K[least - 1] / jnp.sqrt(hp.samples.active),
    )


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
    """Returns what the solutions for t and ε give at this penalty μ; at 0 the one of least norm.

    Labels are y = t + σ ε and the solution is linear in them, w = w_t + σ w_ε: risk, train error and norm are quadratic
    in σ. With no more features than samples the weights solve (XᵀX + μ) w = Xᵀy; else w = Xᵀa with (XXᵀ + μ) a = y,
    and everything follows from XXᵀ alone.
    """
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


def check_precision(hp: LinearDoubleDescent, float_type: FloatType) -> None:
    """Raises InvalidValue where float32 cannot solve: the condition number is without bound near d = n."""
    if float_type == "float32" and hp.ridge < LEAST_RIDGE:
        raise InvalidValue(
            f"ridge: {hp.ridge:g} in float32 is not at least {LEAST_RIDGE:g}; keep --float_type=float64, or raise it"
        )
