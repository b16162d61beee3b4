"""Sparse parity: the loss stands still while the weights that matter grow (Barak et al. 2022, Merrill et al. 2023).

The label is the product of k of n ±1 inputs. Test accuracy stays at chance for most of training and then jumps. From
the first step on the gradient of a deciding input is a little larger: its weights move ahead while accuracy is at
chance, and how far tells something of the time that remains.

python -m launch.sparse_parity           720 runs: n and k in one sweep on fresh examples, two minutes on two CPU cores

Expected: every run is solved, in steps that grow with the number of inputs, faster for larger k; weights of deciding
inputs move ahead while test accuracy is at chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from phenom_jax.experiment import Landscape, Quantity, Schedule
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.transition import first_crossing, value_at
from phenom_jax.measures.norms import squared_norms
from phenom_jax.measures.progress import NeuronGradient, active_neurons, movement, neuron_gradient
from phenom_jax.models.parity import DisjointPolyNet, ParityMLP, SineNeuron
from phenom_jax.sizes import Size, exactly, masked_mean
from phenom_jax.store.axes import strata
from phenom_jax.tasks.epochs import batch
from phenom_jax.tasks.parity import Examples, draw, labels, sums, unpacked
from phenom_jax.theory.parity import neuron_gradient as neuron_gradient_in_closed_form
from phenom_jax.theory.parity import usual_bias

TRAIN, ORDER, TEST, GRADIENT = range(0x9A0, 0x9A4)  # streams of random numbers of one seed, apart from the weights'
TEST_EXAMPLES = 512
POPULATION, BLOCK = 1 << 21, 1 << 12  # examples that stand for all, and of them at a time
SOLVED, CHANCE = 0.99, 0.6  # chance: half, and 4.5 standard errors of the test examples
LEAD = 1.5
BLOCK_OF_SEEDS, EARLY = 4, 0.5  # looked at early: where the first of a block leaves chance, accuracy tells as well
ACTIVE = 0.01
LOSSES: dict[str, Callable[[jax.Array], jax.Array]] = {  # of the margin y f(x)
    "hinge": lambda margin: jax.nn.relu(1 - margin),
    "square": lambda margin: jnp.square(1 - margin),  # (y - f)², for y = ±1
    "logistic": lambda margin: jax.nn.softplus(-margin),
}


@hparams
class SparseParity:
    seed: int = swept(0, "initial weights and examples")
    steps: int = swept(20_000, "SGD steps", at_least=0)
    learning_rate: float = swept(0.1, "step size", above=0)
    weight_decay: float = swept(0.0, "factor of the weights that is added to their gradient", at_least=0)
    init_scale: float = swept(1.0, "factor on the usual initial weights", at_least=0)
    inputs: Size = size(30, "±1 inputs n", at_least=1, at_most=64)
    degree: Size = size(3, "inputs k that decide the label", at_least=1, at_most=64)
    width: Size = size(100, "hidden units of model=mlp")
    batch_size: Size = size(32, "examples of a step")
    samples: Size = size(1000, "train examples with data=finite")
    data: Literal["online", "finite"] = static("online", "fresh examples in every step, or epochs of a train set")
    model: Literal["mlp", "sine", "polynet"] = static(
        "mlp", "one hidden layer of ReLU units, sin(w·x + b), or a product of linear forms of disjoint inputs"
    )
    loss: Literal["hinge", "square", "logistic"] = static("hinge", "of the output and the label")
    biases: bool = static(True, "whether mlp and sine have biases")

    def check(self) -> None:
        """Raises InvalidValue for more deciding inputs or samples than there are, and parities no weights can have."""
        inputs, degree = int(self.inputs.active), int(self.degree.active)
        if degree > inputs:
            raise InvalidValue(f"degree: {degree} is more than inputs={inputs}, allowed are at most all inputs")
        if self.data == "finite" and self.samples.active > 2**inputs:
            raise InvalidValue(
                f"samples: {self.samples.active} is more than the {2**inputs} there are of {inputs} inputs"
            )
        if self.model == "mlp" and not self.biases and degree % 2 == 1 and degree > 1:
            raise InvalidValue(
                f"degree: {degree} is odd, but with biases=false a ReLU network's odd part is linear; allowed are 1 "
                "and even degrees, or biases=true"
            )
        if self.model == "sine" and not self.biases and degree % 2 == 0:
            raise InvalidValue(
                f"degree: {degree} is even, but with biases=false sin(w·x) is odd; allowed are odd degrees, or "
                "biases=true"
            )

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        idle = {
            "width": "" if self.model == "mlp" else f"model={self.model}",
            "samples": "data=online" if self.data == "online" else "",
            "biases": "model=polynet" if self.model == "polynet" else "",
        }
        return {name: setting for name, setting in idle.items() if setting}


Model = ParityMLP | SineNeuron | DisjointPolyNet


class TrainSet(NamedTuple):
    """The train examples of data=finite and where training is in them.

    Attributes:
      words_NxW: uint32, as `tasks.parity.draw` returns them.
      step: int32, steps taken.
    """

    words_NxW: jax.Array
    step: jax.Array


class State(NamedTuple):
    """One run.

    Attributes:
      train: None: fresh examples.
      neuron: what a neuron with weights 1 would do first, on many examples; it never changes.
    """

    model: Model
    train: TrainSet | None
    neuron: NeuronGradient


class StepMetrics(NamedTuple):
    batch_loss: Annotated[jax.Array, Quantity("loss of the step's examples")]


class Measures(NamedTuple):
    """Train loss and accuracy are NaN with data=online, active neurons for all models but mlp."""

    test_loss: Annotated[jax.Array, Quantity("test loss")]
    test_accuracy: Annotated[jax.Array, Quantity("test accuracy")]
    train_loss: Annotated[jax.Array, Quantity("train loss")]
    train_accuracy: Annotated[jax.Array, Quantity("train accuracy")]
    relevant_movement: Annotated[jax.Array, Quantity("largest |w - w₀| of deciding inputs")]
    irrelevant_movement: Annotated[jax.Array, Quantity("largest |w - w₀| of other inputs")]
    active_neurons: Annotated[jax.Array, Quantity("active hidden units")]
    weight_norm: Annotated[jax.Array, Quantity("sum of squared weights")]
    relevant_gradient: Annotated[jax.Array, Quantity("gradient of a neuron with weights 1, of a deciding input")]
    irrelevant_gradient: Annotated[jax.Array, Quantity("gradient of a neuron with weights 1, of another input")]


def init(hp: SparseParity) -> State:
    """Returns the initial weights, and the train set if there is one."""
    train = None
    if hp.data == "finite":
        train = TrainSet(draw(stream(hp, TRAIN), hp.samples.padded, hp.inputs), jnp.zeros((), jnp.int32))
    return State(make_model(hp), train, first_gradient(hp))


def step(state: State, hp: SparseParity, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one step of SGD on fresh examples or the epoch's next batch."""
    if state.train is None:
        words_BxW, mask_B, train = draw(key, hp.batch_size.padded, hp.inputs), hp.batch_size.mask, None
    else:
        chosen = batch(stream(hp, ORDER), state.train.step, hp.samples, hp.batch_size)
        words_BxW, mask_B = state.train.words_NxW[chosen.examples_B], chosen.mask_B
        train = state.train._replace(step=state.train.step + 1)
    examples = unpacked(words_BxW, hp.inputs, hp.degree.active)

    def batch_loss(model: Model) -> jax.Array:
        losses_B = LOSSES[hp.loss](margins(model, examples, hp))
        return jnp.where(mask_B, losses_B, 0).sum() / mask_B.sum()

    loss, gradients = jax.value_and_grad(batch_loss)(state.model)
    model = jax.tree.map(
        lambda weight, gradient: weight - hp.learning_rate * (gradient + hp.weight_decay * weight),
        state.model,
        gradients,
    )
    return State(model, train, state.neuron), StepMetrics(loss)


def measure(state: State, hp: SparseParity) -> Measures:
    """Returns loss and accuracy on test and train examples, and how far the first layer has moved."""
    every = exactly(hp.inputs.padded)  # weights of padded inputs are zero: all runs look at the same unpacked examples
    test = unpacked(draw(jax.random.key(TEST), TEST_EXAMPLES, every), every, hp.degree.active)
    test_margins = margins(state.model, test, hp)
    nan = jnp.full((), jnp.nan)
    train_loss = train_accuracy = neurons = nan
    if state.train is not None:
        train_margins = margins(state.model, unpacked(state.train.words_NxW, hp.inputs, hp.degree.active), hp)
        train_loss = masked_mean(LOSSES[hp.loss](train_margins), hp.samples)
        train_accuracy = masked_mean((train_margins > 0).astype(jnp.float32), hp.samples)
    if isinstance(state.model, ParityMLP):
        neurons = active_neurons(state.model.units(test.inputs_NxI), state.model.readout_Wx1[...][:, 0], ACTIVE)
    start_IxW, now_IxW = make_model(hp).first_weights(), state.model.first_weights()
    relevant_I = jnp.arange(hp.inputs.padded) < hp.degree.active
    return Measures(
        test_loss=LOSSES[hp.loss](test_margins).mean(),
        test_accuracy=(test_margins > 0).mean(),
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        relevant_movement=movement(start_IxW, now_IxW, relevant_I),
        irrelevant_movement=movement(start_IxW, now_IxW, ~relevant_I),
        active_neurons=neurons,
        weight_norm=squared_norms(state.model).sum(),
        relevant_gradient=state.neuron.relevant,
        irrelevant_gradient=state.neuron.irrelevant,
    )


def done(metrics: Measures) -> jax.Array:
    """Returns whether every test and train example is right."""
    return (metrics.test_accuracy == 1) & ~(metrics.train_accuracy < 1)


def margins(model: Model, examples: Examples, hp: SparseParity) -> jax.Array:
    """Returns float[N], label times output."""
    return examples.labels_N * outputs(model, examples, hp)


def outputs(model: Model, examples: Examples, hp: SparseParity) -> jax.Array:
    """Returns float[N]."""
    x_NxI = examples.inputs_NxI
    return model(x_NxI, hp.degree) if isinstance(model, DisjointPolyNet) else model(x_NxI)


def train_examples(hp: SparseParity) -> Examples:
    """Returns the train set; with data=online as many fresh examples, which the train loss is as well a mean over."""
    return unpacked(draw(stream(hp, TRAIN), hp.samples.padded, hp.inputs), hp.inputs, hp.degree.active)


def make_model(hp: SparseParity) -> Model:
    key, scaled = jax.random.key(hp.seed), {"inputs": hp.inputs, "scale": hp.init_scale}
    if hp.model == "polynet":
        return DisjointPolyNet(key, degree=hp.degree, **scaled)
    if hp.model == "sine":
        return SineNeuron(key, biases=hp.biases, **scaled)
    return ParityMLP(key, width=hp.width, biases=hp.biases, **scaled)


def first_gradient(hp: SparseParity) -> NeuronGradient:
    """Returns the gradient of a neuron with weights 1 on `POPULATION` examples."""
    degree, inputs = hp.degree.active, hp.inputs.active

    def block(key: jax.Array) -> NeuronGradient:
        words_NxW = draw(key, BLOCK, hp.inputs)
        deciding_N, every_N = sums(words_NxW, degree), sums(words_NxW, inputs)
        return neuron_gradient(deciding_N, every_N, labels(words_NxW, degree), degree, inputs, usual_bias(degree))

    keys = jax.random.split(stream(hp, GRADIENT), POPULATION // BLOCK)
    return jax.tree.map(jnp.mean, jax.lax.map(block, keys))


def stream(hp: SparseParity, which: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(hp.seed), which)


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what happened when in each run, between measures, NaN where it did not.

    `solved_step` is the first step with 99 % test accuracy, `memorised_step` with 99 % train accuracy, `rise_step` with
    test accuracy above chance (60 %), and `lead_step` where a weight of a deciding input has moved 1.5 times as far as
    any other. `movement` is how far any weight of the first layer has moved; `gap` and `exact_gap` the Fourier gap,
    measured and in closed form, `exact_gradient` of a deciding input. `seed_block` numbers groups of four seeds, as
    independent as seeds, inside which runs of one setting are compared by what `looked_at` adds.
    """
    moved = results["irrelevant_movement"].where(results["step"] > 0)  # at step 0 there is rounding
    lead = results["relevant_movement"] / moved.where(moved > 0)
    events = (
        ("solved_step", results["test_accuracy"], SOLVED, "first step with 99 % test accuracy"),
        ("memorised_step", results["train_accuracy"], SOLVED, "first step with 99 % train accuracy"),
        ("rise_step", results["test_accuracy"], CHANCE, "first step with test accuracy above chance"),
        ("lead_step", lead, LEAD, "first step at which a deciding input's weight moved farthest"),
    )
    steps = {
        name: ("run", first_crossing(curve.values, results["step"].values, limit).between, {"long_name": said})
        for name, curve, limit, said in events
    }
    farthest = xr.concat([results["relevant_movement"], results["irrelevant_movement"]], "kind").max("kind")
    block = ("run", results["seed"].values // BLOCK_OF_SEEDS)
    known = results.assign(steps | {"movement": farthest.assign_attrs(long_name="largest |w - w₀|")})
    return looked_at(with_gap(known.assign_coords(seed_block=block)))


def with_gap(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the Fourier gap of the first gradient, measured and in closed form."""
    tasks = zip(results["inputs"].values, results["degree"].values, strict=True)
    exact = [neuron_gradient_in_closed_form(int(n), int(k), float(usual_bias(int(k)))) for n, k in tasks]
    relevant, irrelevant = (results[f"{kind}_gradient"].max("step").values for kind in ("relevant", "irrelevant"))
    gaps = {
        # with the signs of the closed form: the absolute value of a noisy number is too large
        "gap": (np.sign([e.relevant for e in exact]) * relevant - np.sign([e.irrelevant for e in exact]) * irrelevant),
        "exact_gap": np.array([e.gap for e in exact]),
        "exact_gradient": np.array([e.relevant for e in exact]),
    }
    return results.assign({name: ("run", values) for name, values in gaps.items()})


def looked_at(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with how far weights had moved halfway to when the first run of their group left chance.

    A group are the runs of one setting and one block of seeds; `look_step` is when it is looked at, `moved` how far any
    weight had moved by then, `relevant_moved` one of a deciding input, `remained` how many steps were left to 99 % test
    accuracy, these three over their geometric means over the group's solved runs. NaN for runs that are not solved.
    """
    group = np.stack([strata(results), results["seed_block"].values])
    group = np.unique(group, axis=1, return_inverse=True)[1].reshape(-1)
    earliest = np.full(group.max(initial=-1) + 1, np.inf)
    np.fmin.at(earliest, group, results["rise_step"].values)
    look = EARLY * np.where(np.isfinite(earliest), earliest, np.nan)[group]
    numbers = {"remained": results["solved_step"].values - look} | {
        name: value_at(results[curve].values, results["step"].values, look)
        for name, curve in (("moved", "movement"), ("relevant_moved", "relevant_movement"))
    }
    known = np.all([values > 0 for values in numbers.values()], axis=0)
    count = np.bincount(group[known], minlength=len(earliest))

    def over_mean(values: np.ndarray) -> np.ndarray:
        logs = np.log(np.where(known, values, 1))
        means = np.bincount(group, logs, len(earliest)) / np.maximum(count, 1)
        return np.where(known & (count[group] > 1), np.exp(logs - means[group]), np.nan)

    relative = {name: ("run", over_mean(values)) for name, values in numbers.items()}
    return results.assign(relative | {"look_step": ("run", look)})


LANDSCAPE = Landscape(
    examples=train_examples,
    count=lambda hp: hp.samples,
    outputs=outputs,
    losses=lambda outputs_B, examples, hp: LOSSES[hp.loss](examples.labels_N * outputs_B),
)
SCHEDULE = Schedule(resolution=10, points=80, expensive_points=0, kept_points=4)
