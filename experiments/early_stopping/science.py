"""Early stopping: validation loss falls, rises, and may fall again (Heckel, Yilmaz 2021; Ali et al. 2019).

Gradient descent on noisy labels learns strong features and their noise before weak ones have begun. The risk of a
linear model is then known in closed form, and has a second minimum that stopping at the first one misses.

python -m launch.early_stopping           the linear model beside its closed form, half a minute on two CPU cores
python -m launch.early_stopping --preset=network

At noise 1 the mean risk is lowest near step 12, rises, and is a third lower near step 500; a rule that waits until the
steps have doubled stops at the first minimum in about half of the runs with 16 features per scale.
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax.scipy.sparse.linalg import cg

from phenom_jax.experiment import Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.stopping import lowest, patient
from phenom_jax.models.layers import Dense
from phenom_jax.sizes import Size, exactly, masked_mean
from phenom_jax.tasks.scaled import cosines, even_cosines, gaussian
from phenom_jax.theory.epochwise import Contributions, aligned_step_sizes
from phenom_jax.theory.epochwise import excess_risk as exact_risk


class Scales(NamedTuple):
    """Of each scale the features' standard deviation g and the norm θ of the true coefficients, the fastest first."""

    deviation: tuple[float, ...]
    signal: tuple[float, ...]


SCALES = {
    "one": Scales((1.0,), (1.0,)),
    "two": Scales((1.0, 0.15), (0.45, 3.0)),  # Heckel, Yilmaz 2021
    "three": Scales((1.0, 0.15, 0.02), (0.45, 3.0, 20.0)),
}
TRAIN, VALIDATION, TEST, WEIGHTS = range(4)  # streams of random numbers of one seed
Count = int | jax.Array
Number = float | jax.Array

FRESH = 1000  # noiseless examples that a network's excess risk is averaged over
PENALTIES = np.geomspace(1e-5, 1e2, 57)
PATIENCE = 2.0


@hparams
class EarlyStopping:
    seed: int = swept(0, "inputs, label noise and a network's initial weights")
    steps: int = swept(3000, "steps of gradient descent", at_least=0)
    learning_rate: float = swept(0.1, "step size, with step_sizes=aligned that of the first scale", above=0)
    noise: float = swept(1.0, "standard deviation of the label noise", at_least=0)
    features: Size = size(1, "input features of each scale, which share its signal")
    samples: Size = size(10, "train examples")
    validation: Size = size(500, "validation examples, whose labels are as noisy")
    width: Size = size(200, "hidden units of the network; unused with model=linear")
    model: Literal["linear", "network"] = static("linear", "linear in the features, or one hidden layer of ReLU units")
    scales: Literal["one", "two", "three"] = static("two", "standard deviations of features: 1, then 0.15, then 0.02")
    inputs: Literal["grid", "gaussian"] = static(
        "grid", "cosines of evenly spaced points, exactly uncorrelated in the train set, or Gaussian features"
    )
    step_sizes: Literal["equal", "aligned"] = static(
        "equal", "of the linear model's features; aligned: every scale's risk is lowest at the same step"
    )

    def check(self) -> None:
        """Raises InvalidValue for inputs that cannot be uncorrelated, and step sizes that do not exist or diverge."""
        inputs = self.features.active * len(SCALES[self.scales].deviation)
        if self.inputs == "grid" and self.samples.active <= inputs:
            raise InvalidValue(
                f"samples: {self.samples.active} is not above {inputs}, all features, which inputs=grid needs"
            )
        if self.model == "network":
            if self.step_sizes == "aligned":
                raise InvalidValue("step_sizes: aligned is defined for model=linear, allowed with network is equal")
            return
        if self.step_sizes == "aligned" and self.noise == 0:
            raise InvalidValue("noise: 0 is not above 0, which step_sizes=aligned needs")
        most = (1 if self.step_sizes == "aligned" else 2) / SCALES[self.scales].deviation[0] ** 2
        if self.learning_rate >= most:
            raise InvalidValue(f"learning_rate: {self.learning_rate:g} is not below {most:g}, where descent diverges")

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        return {"width": "model=linear"} if self.model == "linear" else {}


class Linear(NamedTuple):
    coefficients_D: jax.Array

    def __call__(self, inputs_NxD: jax.Array) -> jax.Array:
        """Returns float[N], one prediction for each example."""
        return inputs_NxD @ self.coefficients_D


class Network(NamedTuple):
    hidden: Dense
    readout: Dense

    def __call__(self, inputs_NxD: jax.Array) -> jax.Array:
        """Returns float[N], one prediction for each example."""
        return self.readout(jax.nn.relu(self.hidden(inputs_NxD)))[:, 0]


class Examples(NamedTuple):
    """Inputs and their labels; padded examples are zero."""

    inputs_NxD: jax.Array
    labels_N: jax.Array


class State(NamedTuple):
    model: Linear | Network
    train: Examples
    validation: Examples


class StepMetrics(NamedTuple):
    gradient_norm: Annotated[jax.Array, Quantity("norm of the gradient")]


class Measures(NamedTuple):
    """Losses are mean squared errors of noisy labels, the excess risk is the expected one of noiseless labels."""

    train_loss: Annotated[jax.Array, Quantity("train loss")]
    validation_loss: Annotated[jax.Array, Quantity("validation loss")]
    excess_risk: Annotated[jax.Array, Quantity("excess risk")]
    scale_risk: Annotated[jax.Array, Quantity("excess risk of each scale, NaN for a network", dims=("scale",))]


class RidgeMeasures(NamedTuple):
    ridge_excess_risk: Annotated[jax.Array, Quantity("excess risk of ridge regression", dims=("penalty",))]
    ridge_validation_loss: Annotated[jax.Array, Quantity("validation loss of ridge regression", dims=("penalty",))]


def init(hp: EarlyStopping) -> State:
    """Returns the model before its first step, a linear one at zero, and its data."""
    return State(
        model=make_model(hp),
        train=labelled(hp, TRAIN, hp.samples),
        validation=labelled(hp, VALIDATION, hp.validation),
    )


def step(state: State, hp: EarlyStopping, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one step of gradient descent on half the mean squared error of all train examples."""
    gradients = jax.grad(lambda model: squared_error(model, state.train, hp.samples) / 2)(state.model)
    rates = step_sizes_of(hp) if hp.model == "linear" else hp.learning_rate
    model = jax.tree.map(lambda weight, gradient: weight - rates * gradient, state.model, gradients)
    return state._replace(model=model), StepMetrics(optax.tree.norm(gradients))


def measure(state: State, hp: EarlyStopping) -> Measures:
    """Returns the losses, and the excess risk: exact for a linear model, on fresh examples for a network."""
    if isinstance(state.model, Linear):
        scale_risk = by_scale(state.model.coefficients_D, hp)
        excess_risk = scale_risk.sum()
    else:
        fresh_FxD = make_inputs(hp, TEST, exactly(FRESH))
        scale_risk = jnp.full(len(SCALES[hp.scales].deviation), jnp.nan)
        excess_risk = jnp.square(state.model(fresh_FxD) - fresh_FxD @ truth(hp)).mean()
    return Measures(
        train_loss=squared_error(state.model, state.train, hp.samples),
        validation_loss=squared_error(state.model, state.validation, hp.validation),
        excess_risk=excess_risk,
        scale_risk=scale_risk,
    )


def ridge_path(state: State, hp: EarlyStopping) -> RidgeMeasures:
    """Returns what ridge regression on the same features, |y - Xw|²/n + penalty |w|², reaches at every penalty.

    Solved by conjugate gradients: all penalties share the products with X'X, and the smallest is well conditioned.
    """
    inputs_NxD, labels_N = state.train
    moments_DxD, target_D = inputs_NxD.T @ inputs_NxD / hp.samples.active, labels_N @ inputs_NxD / hp.samples.active

    def solve(penalty: jax.Array) -> jax.Array:
        return cg(lambda weights: moments_DxD @ weights + penalty * weights, target_D, tol=1e-6)[0]

    weights_RxD = jax.vmap(solve)(jnp.asarray(PENALTIES, labels_N.dtype))
    return RidgeMeasures(
        ridge_excess_risk=jax.vmap(lambda weights: by_scale(weights, hp).sum())(weights_RxD),
        ridge_validation_loss=jax.vmap(lambda w: squared_error(Linear(w), state.validation, hp.validation))(
            weights_RxD
        ),
    )


def squared_error(model: Linear | Network, examples: Examples, count: Size) -> jax.Array:
    """Returns the mean over the examples."""
    return masked_mean(jnp.square(model(examples.inputs_NxD) - examples.labels_N), count)


def by_scale(coefficients_D: jax.Array, hp: EarlyStopping) -> jax.Array:
    """Returns float[scales], the part of a linear model's excess risk that each scale has: Σ g² (w - θ)²."""
    error_D = jnp.square(deviations(hp) * (coefficients_D - truth(hp)))
    return error_D.reshape(hp.features.padded, -1).sum(0)


def make_model(hp: EarlyStopping) -> Linear | Network:
    inputs = all_features(hp)
    if hp.model == "linear":
        return Linear(jnp.zeros(inputs.padded))
    hidden_key, readout_key = jax.random.split(stream(hp, WEIGHTS))
    return Network(Dense(hidden_key, inputs, hp.width), Dense(readout_key, hp.width, exactly(1)))


def labelled(hp: EarlyStopping, which: int, count: Size) -> Examples:
    inputs_NxD = make_inputs(hp, which, count)
    noise_N = hp.noise * jax.random.normal(jax.random.fold_in(stream(hp, which), 1), (count.padded,))
    return Examples(inputs_NxD, jnp.where(count.mask, inputs_NxD @ truth(hp) + noise_N, 0.0))


def make_inputs(hp: EarlyStopping, which: int, count: Size) -> jax.Array:
    """Returns float[count.padded, D]; on the grid the train inputs are those of evenly spaced points."""
    if hp.inputs == "grid" and which == TRAIN:
        return even_cosines(count, deviations(hp))
    draw = gaussian if hp.inputs == "gaussian" else cosines
    return draw(jax.random.fold_in(stream(hp, which), 0), count, deviations(hp))


def truth(hp: EarlyStopping) -> jax.Array:
    """Returns float[D], the true coefficients: the features of a scale have equal ones."""
    return _tiled(SCALES[hp.scales].signal, hp) / jnp.sqrt(hp.features.active)


def deviations(hp: EarlyStopping) -> jax.Array:
    """Returns float[D], the standard deviation of each feature; zero for padded ones."""
    return _tiled(SCALES[hp.scales].deviation, hp)


def step_sizes_of(hp: EarlyStopping) -> jax.Array:
    """Returns float[D], the step size of each feature."""
    of_scale = of_each_scale(
        hp.step_sizes, hp.scales, hp.samples.active, hp.noise, hp.learning_rate, hp.features.active
    )
    return jnp.tile(of_scale, hp.features.padded)


def of_each_scale(
    schedule: str, scales: str, samples: Count, noise: Number, rate: Number, features: Count
) -> jax.Array:
    """Returns the step size of each scale, float[scales]: equal ones, or those whose risks are lowest together."""
    if schedule == "aligned":
        return aligned_step_sizes(*SCALES[scales], samples, noise, rate, features)
    return jnp.full(len(SCALES[scales].deviation), rate)


def all_features(hp: EarlyStopping) -> Size:
    """Returns the Size of D: one feature of every scale, then the next of every scale."""
    scales = len(SCALES[hp.scales].deviation)
    return Size(hp.features.active * scales, hp.features.padded * scales)


def stream(hp: EarlyStopping, which: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(hp.seed), which)


def _tiled(of_scale: tuple[float, ...], hp: EarlyStopping) -> jax.Array:
    return jnp.where(all_features(hp).mask, jnp.tile(jnp.asarray(of_scale), hp.features.padded), 0.0)


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what each run would have got by stopping.

    `stopping_step` has the lowest validation loss of all measured steps, `best_step` the lowest excess risk;
    `patience_step` is where a rule stops that gives up once the steps have doubled without a lower validation loss;
    `*_risk` is the excess risk there, `last_risk` that of the last step. `ridge_risk` is that of ridge regression with
    the penalty of lowest validation loss, `best_ridge_risk` the lowest of all penalties.
    """
    steps, loss, risk = (results[name].values for name in ("step", "validation_loss", "excess_risk"))
    chosen = {
        "stopping": (lowest(loss), "of lowest validation loss"),
        "best": (lowest(risk), "of lowest excess risk"),
        "patience": (patient(loss, steps, PATIENCE), "where the patience rule stops"),
    }
    found = {
        "last_risk": _per_run(
            risk, np.where(np.isfinite(risk), np.arange(risk.shape[1]), -1).max(1), "excess risk at the last step"
        )
    }
    for name, (place, said) in chosen.items():
        found[f"{name}_step"] = _per_run(steps, place, f"step {said}", "steps")
        found[f"{name}_risk"] = _per_run(risk, place, f"excess risk at the step {said}")
    ridge_loss, ridge = (results[f"ridge_{name}"].max("step").values for name in ("validation_loss", "excess_risk"))
    found["ridge_risk"] = _per_run(ridge, lowest(ridge_loss), "excess risk at the penalty of lowest validation loss")
    found["best_ridge_risk"] = _per_run(ridge, lowest(ridge), "lowest excess risk of all penalties")
    return results.assign(found).assign_coords(penalty=PENALTIES, scale=1 + np.arange(results.sizes["scale"]))


def _per_run(values: np.ndarray, place: np.ndarray, long_name: str, units: str = "1") -> xr.DataArray:
    """Returns values[P] or values[run, P] at each run's place, NaN where it is -1."""
    rows = np.broadcast_to(values, (len(place), values.shape[-1]))
    at = np.take_along_axis(rows, np.maximum(place, 0)[:, None], 1)[:, 0]
    return xr.DataArray(np.where(place < 0, np.nan, at), dims="run", attrs={"long_name": long_name, "units": units})


def closed_form(runs: xr.Dataset, steps: np.ndarray, schedule: str | None = None) -> Contributions:
    """Returns the excess risk after each step of runs that differ in their seeds alone; NaN for a network.

    Args:
      runs: at least one.
      steps: numbers of steps.
      schedule: "equal" or "aligned" in place of the runs' own step sizes.
    """
    names = ("model", "step_sizes", "scales", "samples", "noise", "learning_rate", "features")
    model, own, *values = (runs[name].values[0].item() for name in names)
    found = _closed_form(tuple(np.asarray(steps).tolist()), schedule or own, *values)
    return found if model == "linear" else Contributions(found.bias * np.nan, found.variance * np.nan)


@functools.lru_cache(maxsize=1000)
def _closed_form(
    steps: tuple[int, ...], schedule: str, scales: str, samples: int, noise: float, rate: float, features: int
) -> Contributions:
    sizes = np.asarray(of_each_scale(schedule, scales, samples, noise, rate, features), float)
    return exact_risk(steps, *SCALES[scales], samples, noise, sizes, features)
