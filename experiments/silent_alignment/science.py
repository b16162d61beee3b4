"""Silent alignment: from small weights the tangent kernel turns before the loss moves (Atanasov et al. 2021).

A deep linear network on whitened inputs points its kernel at the labels while its outputs are still near zero; then the
kernel only grows, and the network learns what regression with that kernel would. Time is t = step x learning_rate, the
gradient flow of the loss Σ_c (f_c - y_c)²/2 averaged over examples.

python -m launch.silent_alignment              depths 2, 3, 4 x init scales x seeds, about a minute on two CPU cores
python -m launch.silent_alignment --preset=digits
"""

from __future__ import annotations

import functools
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from phenom_jax.experiment import FloatType, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.transition import Direction, first_crossing
from phenom_jax.measures.linear_layers import growing_strengths, imbalances, mode_strengths
from phenom_jax.measures.tangent_kernel import Signals, alignment, layered_kernel, similarity
from phenom_jax.models.deep_linear import DeepLinear, DeepReLU, balanced
from phenom_jax.models.ridge import kernel_ridge
from phenom_jax.sizes import Size, exactly
from phenom_jax.tasks.digits import digits8, mnist5000
from phenom_jax.tasks.linear_teacher import directions, power_variances, teacher
from phenom_jax.tasks.zero_one import ZeroOne, zero_one
from phenom_jax.theory.deep_linear import most_alignment

DIGITS = {"digits": digits8, "mnist5000": mnist5000}
ALIGNED = 0.9  # of the largest alignment: the kernel has aligned
TURNED = 0.1  # of the loss is gone: learning has begun
SILENT = 0.95  # of the largest alignment, or cosine with what is there at the end: little is left to turn
SMALL, LARGE = 0.1, 0.3  # init scales up to which weights are small, and from which on they are large
LEARNT = 1e-4  # of the loss of zero outputs: the run is done
LOOKED_AT = 200  # examples, at most, whose kernel is followed over training
RIDGE = 1e-6  # of the kernel's mean eigenvalue: keeps kernel regression solvable where the kernel is nearly singular


@hparams
class SilentAlignment:
    seed: int = swept(0, "initial weights")
    steps: int = swept(40000, "steps of gradient descent, fewer where the loss falls to 1e-4 of its start", at_least=0)
    learning_rate: float = swept(0.01, "step size, the time that a step takes", above=0)
    init_scale: float = swept(0.01, "σ: initial weights have standard deviation σ/√width", above=0)
    spectrum: float = swept(0.0, "α: input variances fall as i^-α, their mean is 1; 0 is whitened", at_least=0)
    strength: float = swept(1.0, "s, the teacher's largest singular value", above=0)
    ratio: float = swept(0.5, "of each of the teacher's singular values to the one before", above=0, at_most=1)
    inputs: Size = size(30, "D, input features; of digits their leading principal components, at most 50")
    width: Size = size(50, "units of each hidden layer")
    modes: Size = size(1, "outputs of the network, and singular values of the teacher")
    depth: int = static(2, "L, number of layers", at_least=2, at_most=8)
    start: Literal["gaussian", "balanced"] = static(
        "gaussian", "initial weights: Gaussian, or σ times the identity in the teacher's directions"
    )
    model: Literal["linear", "relu"] = static("linear", "linear layers and a linear teacher, or ReLUs on digits")
    digits: Literal["digits", "mnist5000"] = static("digits", "zeros and ones of scikit-learn's digits or of MNIST")

    def check(self) -> None:
        """Raises InvalidValue for a teacher or a start that does not fit the network, and digits that are not there."""
        if self.model == "relu":
            if self.start == "balanced":
                raise InvalidValue("start: balanced is defined for model=linear, allowed with relu is gaussian")
            if self.inputs.active > 50:
                raise InvalidValue(
                    f"inputs: {self.inputs.active} is not at most 50, which model=relu has components of"
                )
            DIGITS[self.digits]()
            return
        for name, most in (("inputs", self.inputs.active), ("width", self.width.active)):
            if self.modes.active > most:
                raise InvalidValue(f"modes: {self.modes.active} is not at most {most}, the {name}")

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        if self.model == "linear":
            return {"digits": "model=linear"} | ({"ratio": "modes=1"} if self.modes.active == 1 else {})
        return dict.fromkeys(("spectrum", "strength", "ratio", "modes"), "model=relu")


class State(NamedTuple):
    """One run: its weights, those it began with, and those at the last step at which the loss was hardly lower.

    Attributes:
      turning: the weights when 10 % of the loss was about to be gone; the current ones until then.
    """

    model: DeepLinear
    initial: DeepLinear
    turning: DeepLinear


class Examples(NamedTuple):
    inputs_NxD: jax.Array
    labels_NxC: jax.Array


class StepMetrics(NamedTuple):
    gradient_norm: Annotated[jax.Array, Quantity("norm of the gradient")]


class Measures(NamedTuple):
    """Those of modes are NaN for ReLU networks, the growing part beyond two layers too."""

    loss: Annotated[jax.Array, Quantity("half the mean squared error, summed over outputs")]
    relative_loss: Annotated[jax.Array, Quantity("loss ÷ loss of zero outputs")]
    output_scale: Annotated[jax.Array, Quantity("norm of the outputs ÷ norm of the labels")]
    label_cosine: Annotated[jax.Array, Quantity("cosine of outputs and labels")]
    kernel_alignment: Annotated[jax.Array, Quantity("kernel-target alignment")]
    turning_alignment: Annotated[jax.Array, Quantity("kernel-target alignment when 10 % of the loss was gone")]
    kernel_similarity: Annotated[jax.Array, Quantity("cosine with the kernel when 10 % of the loss was gone")]
    balance_change: Annotated[jax.Array, Quantity("largest change of W W' - W'W of neighbouring layers")]
    mode_strengths: Annotated[jax.Array, Quantity("strength of each mode of the teacher", dims=("mode",))]
    growing_strengths: Annotated[jax.Array, Quantity("its part that grows, of two layers", dims=("mode",))]


class KernelMeasures(NamedTuple):
    """A ReLU network's outputs for test digits beside kernel regression; NaN for linear networks."""

    initial_kernel_error: Annotated[jax.Array, Quantity("distance to regression with the initial kernel")]
    kernel_error: Annotated[jax.Array, Quantity("distance to regression with the present kernel")]
    initial_kernel_correlation: Annotated[jax.Array, Quantity("correlation with the initial kernel's outputs")]
    kernel_correlation: Annotated[jax.Array, Quantity("correlation with the present kernel's outputs")]
    test_accuracy: Annotated[jax.Array, Quantity("test accuracy")]


def init(hp: SilentAlignment) -> State:
    """Returns the initial weights."""
    model = make_model(hp)
    return State(model, initial=model, turning=model)


def step(state: State, hp: SilentAlignment, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one step of gradient descent on all examples."""
    examples = train_examples(hp)
    loss, gradients = jax.value_and_grad(mean_loss)(state.model, examples)
    early = loss >= (1 - TURNED) * zero_loss(examples)
    turning = jax.tree.map(lambda now, before: jnp.where(early, now, before), state.model, state.turning)
    model = jax.tree.map(lambda weight, slope: weight - hp.learning_rate * slope, state.model, gradients)
    return State(model, state.initial, turning), StepMetrics(optax.tree.norm(gradients))


def measure(state: State, hp: SilentAlignment) -> Measures:
    """Returns how large, how aligned and how balanced the network is."""
    examples = train_examples(hp)
    outputs_NxC, labels_NxC = state.model(examples.inputs_NxD), examples.labels_NxC
    loss = mean_loss(state.model, examples)
    seen_NxD, answers_N = examples.inputs_NxD[:LOOKED_AT], labels_NxC[:LOOKED_AT].reshape(-1)
    kernel, turning = (kernel_of(model, hp, seen_NxD) for model in (state.model, state.turning))
    strengths_K, growing_K = strengths(state.model, hp)
    return Measures(
        loss=loss,
        relative_loss=loss / zero_loss(examples),
        output_scale=jnp.linalg.norm(outputs_NxC) / jnp.linalg.norm(labels_NxC),
        label_cosine=similarity(outputs_NxC, labels_NxC),
        kernel_alignment=alignment(kernel, answers_N),
        turning_alignment=alignment(turning, answers_N),
        kernel_similarity=similarity(kernel, turning),
        balance_change=balance_change(state, hp),
        mode_strengths=strengths_K,
        growing_strengths=growing_K,
    )


def kernel_measures(state: State, hp: SilentAlignment) -> KernelMeasures:
    """Returns how near the network is to regression with its kernel now and with the one that it began with.

    Kernel regression starts from the initial outputs, as training does; they vanish with the init scale.
    """
    if hp.model == "linear":
        return KernelMeasures(*[jnp.full((), jnp.nan)] * len(KernelMeasures._fields))
    digits = load(hp.digits, hp.inputs.padded)
    train_NxD, test_MxD = (active_components(inputs, hp) for inputs in (digits.train_NxD, digits.test_MxD))
    outputs_M, labels_M = state.model(test_MxD)[:, 0], jnp.asarray(digits.test_labels_M, test_MxD.dtype)
    labels_N = jnp.asarray(digits.train_labels_N, train_NxD.dtype)
    missing_N = labels_N - state.initial(train_NxD)[:, 0]

    def compare(model: DeepLinear) -> tuple[jax.Array, jax.Array]:
        kernel_NxN, across_MxN = kernel_of(model, hp, train_NxD), kernel_of(model, hp, test_MxD, train_NxD)
        penalty = RIDGE * jnp.trace(kernel_NxN) / len(kernel_NxN)
        learnt_M = across_MxN @ kernel_ridge(kernel_NxN, missing_N, penalty)
        predicted_M = state.initial(test_MxD)[:, 0] + learnt_M
        error = jnp.linalg.norm(predicted_M - outputs_M) / jnp.linalg.norm(outputs_M)
        return error, similarity(predicted_M - predicted_M.mean(), outputs_M - outputs_M.mean())

    (initial_error, initial_correlation), (error, correlation) = compare(state.initial), compare(state.model)
    return KernelMeasures(
        initial_kernel_error=initial_error,
        kernel_error=error,
        initial_kernel_correlation=initial_correlation,
        kernel_correlation=correlation,
        test_accuracy=jnp.mean((outputs_M > 0) == (labels_M > 0)),
    )


def done(metrics: Measures) -> jax.Array:
    """Returns whether the loss is at most 1e-4 of that of zero outputs."""
    return metrics.relative_loss <= LEARNT


def check_precision(hp: SilentAlignment, float_type: FloatType) -> None:
    """Raises InvalidValue where kernel regression would be solved in single precision."""
    if hp.model == "relu" and float_type != "float64":
        raise InvalidValue(f"float_type: {float_type} is not enough for model=relu, whose kernels are nearly singular")


def mean_loss(model: DeepLinear, examples: Examples) -> jax.Array:
    """Returns Σ_c (f_c - y_c)²/2, averaged over examples."""
    return jnp.sum(jnp.square(model(examples.inputs_NxD) - examples.labels_NxC)) / 2


def train_examples(hp: SilentAlignment) -> Examples:
    """Returns the train set, inputs and labels times 1/√N, so that sums over examples are means.

    Networks without biases hand the factor on. A linear network sees N = D inputs, one along each axis: descent depends
    on their covariance alone, which is exactly diag(λ). That of digits is the identity.
    """
    if hp.model == "relu":
        digits = load(hp.digits, hp.inputs.padded)
        inputs_NxD = active_components(digits.train_NxD, hp)
        count = jnp.sqrt(jnp.asarray(len(inputs_NxD), inputs_NxD.dtype))
        return Examples(inputs_NxD / count, jnp.asarray(digits.train_labels_N, inputs_NxD.dtype)[:, None] / count)
    inputs_DxD = jnp.diag(jnp.sqrt(power_variances(hp.spectrum, hp.inputs)))
    return Examples(inputs_DxD, inputs_DxD @ teacher(hp.strength, hp.ratio, hp.modes, hp.inputs).T)


def active_components(inputs_NxD: np.ndarray, hp: SilentAlignment) -> jax.Array:
    """Returns digits with the components beyond the active ones at zero."""
    return jnp.where(hp.inputs.mask[None, :], jnp.asarray(inputs_NxD, jnp.result_type(float)), 0.0)


@functools.cache
def load(name: str, components: int) -> ZeroOne:
    return zero_one(DIGITS[name](), components)


def zero_loss(examples: Examples) -> jax.Array:
    """Returns the loss of a network whose outputs are zero."""
    return jnp.sum(jnp.square(examples.labels_NxC)) / 2


def make_model(hp: SilentAlignment) -> DeepLinear:
    network = DeepReLU if hp.model == "relu" else DeepLinear
    outputs = exactly(1) if hp.model == "relu" else hp.modes
    model = network(
        jax.random.key(hp.seed),
        inputs=hp.inputs,
        width=hp.width,
        outputs=outputs,
        depth=hp.depth,
        deviation=hp.init_scale / jnp.sqrt(hp.width.active),
    )
    if hp.start == "balanced":
        return balanced(model, directions(hp.modes, hp.inputs), hp.init_scale)
    return model


def kernel_of(
    model: DeepLinear, hp: SilentAlignment, x_NxD: jax.Array, others_MxD: jax.Array | None = None
) -> jax.Array:
    """Returns the tangent kernel of the examples, or between them and others; zero for outputs that are padding."""

    def signals(x_NxD: jax.Array) -> list[Signals]:
        active_C = jnp.ones(1, bool) if hp.model == "relu" else hp.modes.mask
        return [
            Signals(inputs, jnp.where(active_C[None, :, None], slopes, 0)) for inputs, slopes in model.signals(x_NxD)
        ]

    return layered_kernel(signals(x_NxD), None if others_MxD is None else signals(others_MxD))


def balance_change(state: State, hp: SilentAlignment) -> jax.Array:
    """Returns the largest norm of a change of what gradient flow conserves, with ReLUs the diagonals alone."""
    now, before = (imbalances([weight[...] for weight in model.weights]) for model in (state.model, state.initial))
    changes = [one - other for one, other in zip(now, before, strict=True)]
    if hp.model == "relu":
        changes = [jnp.diag(change) for change in changes]
    return jnp.stack([jnp.linalg.norm(change) for change in changes]).max()


def strengths(model: DeepLinear, hp: SilentAlignment) -> tuple[jax.Array, jax.Array]:
    """Returns the strength of each mode and the part that grows, NaN where they are not defined."""
    nan = jnp.full(hp.modes.padded, jnp.nan)
    if hp.model == "relu":
        return nan, nan
    modes_KxD = directions(hp.modes, hp.inputs)
    strengths_K = mode_strengths(model.product(), modes_KxD)
    if hp.depth > 2:
        return strengths_K, nan
    first_WxD, second_KxW = (weight[...] for weight in model.weights)
    return strengths_K, growing_strengths(first_WxD, second_KxW, modes_KxD)


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with when each run turned its kernel and learnt, between measured steps; NaN for never.

    Attributes:
      aligned: the alignment as a share of the largest, which is L/√(L² + D - 1) for a linear network with one output on
        whitened inputs and 1 for others.
      turning_step: when 10 % of the loss is gone; `turning_time` is its time.
      half_time: when half of the loss is gone.
      alignment_time: when the alignment is 90 % of the largest.
      silent_alignment: `aligned` when 10 % of the loss is gone.
      mode_times: when each mode has half of its strength.
    """

    def crossed(curves_NxP: xr.DataArray, level: float | np.ndarray, direction: Direction = "up") -> np.ndarray:
        return first_crossing(curves_NxP.values, results["step"].values, level, direction).between

    relative, rate = results["relative_loss"], results["learning_rate"].values
    known = (results["model"] == "linear") & (results["spectrum"] == 0) & (results["modes"] == 1)
    most = np.where(known, most_alignment(results["depth"].values, results["inputs"].values), 1.0)
    turned = results["turning_alignment"].where(relative < 1 - TURNED).max("step").values  # the same at all later steps
    turning = crossed(relative, 1 - TURNED, "down")
    modes = range(results.sizes["mode"])
    half = [(results["strength"] * results["ratio"] ** k / 2).values for k in modes]
    times = [crossed(results["mode_strengths"].isel(mode=k), half[k]) * rate for k in modes]
    found = {
        "turning_step": ("run", turning, "10 % of the loss is gone"),
        "turning_time": ("run", turning * rate, "10 % of the loss is gone"),
        "half_time": ("run", crossed(relative, 0.5, "down") * rate, "half of the loss is gone"),
        "alignment_time": ("run", crossed(results["kernel_alignment"], ALIGNED * most) * rate, "kernel aligned"),
        "aligned": (("run", "step"), results["kernel_alignment"].values / most[:, None], "alignment ÷ the largest"),
        "silent_alignment": ("run", turned / most, "alignment ÷ the largest when 10 % of the loss is gone"),
        "mode_times": (("run", "mode"), np.stack(times, 1), "mode has half of its strength"),
    }
    summary = {name: (dims, values, {"long_name": said}) for name, (dims, values, said) in found.items()}
    return results.assign(summary).assign_coords(mode=1 + np.arange(results.sizes["mode"]))
