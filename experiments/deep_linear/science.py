"""Stages of learning: a deep linear network learns a teacher's singular values one after the other (Saxe et al. 2013).

From small weights the product of the matrices stays near zero, then gains one rank after the other: a plateau of the
loss, then a fall, for each. The weights kept on the way have exact local learning coefficients to compare with.

python -m launch.deep_linear          200 networks, a few seconds on two CPU cores
python -m launch.llc --preset=deep_linear    around what 8 of them keep
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from phenom_jax.experiment import Landscape, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.transition import first_crossing
from phenom_jax.models.deep_linear import DeepLinear
from phenom_jax.sizes import Size, draw_columns, masked_mean
from phenom_jax.theory.learning_coefficient import deep_linear

WEIGHTS, INPUTS, NOISE = range(3)  # streams of random numbers of one seed
MODES = 3  # singular values that the teacher may have
LEARNT = 0.5  # share of a singular value from which on it counts as learnt
SMALL = 0.1  # deviation up to which initial weights are small


@hparams
class DeepLinearStages:
    seed: int = swept(0, "initial weights, train inputs and their noise")
    steps: int = swept(6000, "steps of gradient descent", at_least=0)
    learning_rate: float = swept(0.02, "step size", above=0)
    deviation: float = swept(0.05, "standard deviation of the initial weights", at_least=0)
    strength_1: float = swept(3.0, "largest singular value of the teacher", at_least=0)
    strength_2: float = swept(1.5, "second singular value of the teacher", at_least=0)
    strength_3: float = swept(0.7, "third singular value of the teacher; the others are zero", at_least=0)
    noise: float = swept(0.0, "standard deviation of the train outputs about the teacher's", at_least=0)
    inputs: Size = size(3, "input coordinates")
    outputs: Size = size(3, "output coordinates")
    width: Size = size(3, "units of every hidden layer")
    samples: Size = size(100, "train examples; unused with data=population")
    depth: int = static(3, "number of matrices", at_least=1)
    data: Literal["population", "gaussian"] = static(
        "population", "train on the expected loss of Gaussian inputs, or on samples of them"
    )

    def check(self) -> None:
        """Raises InvalidValue for singular values that are not in descending order or do not fit into the teacher."""
        strengths = (self.strength_1, self.strength_2, self.strength_3)
        for place, (before, strength) in enumerate(itertools.pairwise(strengths), start=2):
            if strength > before:
                raise InvalidValue(f"strength_{place}: {strength:g} is not at most {before:g}, strength_{place - 1}")
        modes, most = sum(strength > 0 for strength in strengths), min(self.inputs.active, self.outputs.active)
        if modes > most:
            name = "inputs" if self.inputs.active == most else "outputs"
            raise InvalidValue(f"{name}: {most} is not at least {modes}, the number of the teacher's singular values")

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        return dict.fromkeys(("samples", "noise"), "data=population") if self.data == "population" else {}


class Examples(NamedTuple):
    """Inputs and outputs; padded examples and coordinates are zero."""

    inputs_NxI: jax.Array
    outputs_NxO: jax.Array


class State(NamedTuple):
    model: DeepLinear
    train: Examples


class StepMetrics(NamedTuple):
    gradient_norm: Annotated[jax.Array, Quantity("norm of the gradient")]


class Measures(NamedTuple):
    """A loss is half the squared error summed over outputs."""

    train_loss: Annotated[jax.Array, Quantity("train loss")]
    excess_risk: Annotated[jax.Array, Quantity("expected loss on noiseless outputs")]
    product: Annotated[jax.Array, Quantity("product of the matrices", dims=("output", "input"))]


def init(hp: DeepLinearStages) -> State:
    """Returns Gaussian initial weights and the train examples."""
    model = DeepLinear(
        _stream(hp, WEIGHTS),
        inputs=hp.inputs,
        width=hp.width,
        outputs=hp.outputs,
        depth=hp.depth,
        deviation=hp.deviation,
    )
    return State(model, train_examples(hp))


def step(state: State, hp: DeepLinearStages, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one step of gradient descent on all train examples."""
    gradients = jax.grad(_train_loss)(state.model, state.train, hp)
    model = jax.tree.map(lambda weight, gradient: weight - hp.learning_rate * gradient, state.model, gradients)
    return State(model, state.train), StepMetrics(optax.tree.norm(gradients))


def measure(state: State, hp: DeepLinearStages) -> Measures:
    """Returns the losses and the linear function that the network is."""
    product_OxI = state.model.product()
    return Measures(
        train_loss=_train_loss(state.model, state.train, hp),
        excess_risk=jnp.square(product_OxI - teacher(hp)).sum() / 2,
        product=product_OxI,
    )


def teacher(hp: DeepLinearStages) -> jax.Array:
    """Returns the matrix to learn, float[outputs, inputs], with the strengths on its diagonal.

    Initial weights and inputs look the same from every rotated frame, so a diagonal teacher stands for all others.
    """
    rows_O, columns_I = jnp.arange(hp.outputs.padded), jnp.arange(hp.inputs.padded)
    strengths_M = jnp.stack([jnp.asarray(s, jnp.result_type(float)) for s in _strengths(hp)])
    strengths_O = jnp.where(rows_O < MODES, strengths_M[jnp.minimum(rows_O, MODES - 1)], 0)
    return jnp.where(rows_O[:, None] == columns_I[None, :], strengths_O[:, None], 0)


def train_examples(hp: DeepLinearStages) -> Examples:
    """Returns the train examples; those of the population are as many as inputs, orthogonal, of squared length I.

    Their mean loss is the expected loss of inputs with covariance 1.
    """
    if hp.data == "population":
        inputs_NxI = jnp.sqrt(hp.inputs.active) * jnp.diag(hp.inputs.mask.astype(jnp.result_type(float)))
        return Examples(inputs_NxI, inputs_NxI @ teacher(hp).T)
    inputs_NxI = draw_columns(_stream(hp, INPUTS), hp.inputs, hp.samples).T
    noise_NxO = hp.noise * draw_columns(_stream(hp, NOISE), hp.outputs, hp.samples).T
    return Examples(inputs_NxI, inputs_NxI @ teacher(hp).T + noise_NxO)


def count(hp: DeepLinearStages) -> Size:
    """Returns the number of train examples."""
    return hp.inputs if hp.data == "population" else hp.samples


def losses(predictions_BxO: jax.Array, examples: Examples, hp: DeepLinearStages) -> jax.Array:
    """Returns the loss of each example, float[B]."""
    return jnp.square(predictions_BxO - examples.outputs_NxO).sum(1) / 2


def _train_loss(model: DeepLinear, train: Examples, hp: DeepLinearStages) -> jax.Array:
    return masked_mean(losses(model(train.inputs_NxI), train, hp), count(hp))


def _strengths(hp: DeepLinearStages) -> tuple[float, ...]:
    return hp.strength_1, hp.strength_2, hp.strength_3


def _stream(hp: DeepLinearStages, stream: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(hp.seed), stream)


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what the network has of each of the teacher's modes, numbered from 1, largest first.

    `singular_values` are the product's, sorted. `mode_strength` is the product's entry in the place of the teacher's
    mode, as a share of the teacher's; NaN where the teacher has none. A mode is learnt at `learnt_step`, where that
    first reaches half, between measured steps; NaN if never. `rank` counts the modes past half at a step, and
    `learning_coefficient` is the exact one of a network of that rank.
    """
    product = results["product"].transpose("run", "step", "output", "input").values.astype(float)
    shape = (*product.shape[:2], MODES)
    singular_NxPxM, share_NxPxM = np.full(shape, np.nan), np.full(shape, np.nan)
    known_NxP = np.isfinite(product).all((2, 3))
    found = np.linalg.svd(product[known_NxP], compute_uv=False)[:, :MODES]
    singular_NxPxM[known_NxP, : found.shape[1]] = found
    diagonal_NxPxM = np.diagonal(product, axis1=2, axis2=3)[..., :MODES]
    strengths_NxM = np.stack([results[f"strength_{mode}"].values for mode in range(1, MODES + 1)], 1)
    wanted_NxM = np.where(strengths_NxM > 0, strengths_NxM, np.nan)[:, None, : diagonal_NxPxM.shape[2]]
    share_NxPxM[..., : diagonal_NxPxM.shape[2]] = diagonal_NxPxM / wanted_NxM
    learnt = [first_crossing(share_NxPxM[..., mode], results["step"].values, LEARNT).between for mode in range(MODES)]
    rank_NxP = np.where(known_NxP, (share_NxPxM >= LEARNT).sum(2), np.nan)
    curve, mode = ("run", "step", "mode"), ("run", "mode")
    return results.assign_coords(mode=1 + np.arange(MODES)).assign(
        singular_values=(curve, singular_NxPxM, {"long_name": "singular values of the product", "units": "1"}),
        mode_strength=(curve, share_NxPxM, {"long_name": "share of the teacher's mode", "units": "1"}),
        rank=(curve[:2], rank_NxP, {"long_name": "modes past half of the teacher's", "units": "1"}),
        learning_coefficient=(
            curve[:2],
            _of_rank(results, rank_NxP),
            {"long_name": "exact coefficient of this rank", "units": "1"},
        ),
        learnt_step=(mode, np.stack(learnt, 1), {"long_name": "mode learnt", "units": "steps"}),
    )


def _of_rank(results: xr.Dataset, rank_NxP: np.ndarray) -> np.ndarray:
    """Returns the exact learning coefficient at each rank, float[runs, steps]; NaN where no network has that rank."""
    sizes_Nx4 = np.stack([results[name].values for name in ("inputs", "width", "outputs", "depth")], 1)
    found = np.full(rank_NxP.shape, np.nan)
    for inputs, width, outputs, depth in np.unique(sizes_Nx4, axis=0).tolist():
        runs = (sizes_Nx4 == (inputs, width, outputs, depth)).all(1)
        widths = [inputs, *[width] * (depth - 1), outputs]
        for rank in range(min(MODES, *widths) + 1):
            found[runs[:, None] & (rank_NxP == rank)] = deep_linear(widths, rank).value
    return found


landscape = Landscape(
    examples=train_examples,
    count=count,
    outputs=lambda model, examples, hp: model(examples.inputs_NxI),
    losses=losses,
)
