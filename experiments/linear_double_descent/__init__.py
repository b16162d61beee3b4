"""Double descent in linear regression: the risk has a pole where there are as many features as samples.

Ridgeless and ridge regression on Gaussian inputs, a solve per run, in float64. Exact theory lies over every figure.

python -m launch.linear_double_descent                        the course's grid, 6400 solves
python -m launch.linear_double_descent --preset=weak_features --seed=0:1000
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp

from experiments.linear_double_descent.claims import CLAIMS
from experiments.linear_double_descent.figures import FIGURES
from experiments.linear_double_descent.presets import PRESETS
from experiments.linear_double_descent.solutions import Data, make_gram, solutions
from phenom_jax.experiment import Experiment, FloatType, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.shared import shared
from phenom_jax.sizes import Size, draw_columns, exactly

LEAST_RIDGE = 1e-3  # in float32; below, rounding errors of the Gram matrix are a percent of the risk at the threshold
BY_MODES = ("small_modes", "test_directions")  # ablations that need the singular vectors


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


def check_precision(hp: LinearDoubleDescent, float_type: FloatType) -> None:
    """Raises InvalidValue where float32 cannot solve: the condition number is without bound near d = n."""
    if float_type == "float32" and hp.ridge < LEAST_RIDGE:
        raise InvalidValue(
            f"ridge: {hp.ridge:g} in float32 is not at least {LEAST_RIDGE:g}; keep --float_type=float64, or raise it"
        )


experiment = Experiment(
    name="linear_double_descent",
    hparams=LinearDoubleDescent,
    init=init,
    step=None,
    measure=measure,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    float_type="float64",
    check_precision=check_precision,
)
