"""Double descent of real networks: over width, training time and sample count (Nakkiran et al. 2020, arXiv:1912.02292).

Test error rises towards the width at which a network just fits its train set, and falls again beyond: most where
labels are noisy. The same peak lies along training time and along the number of examples.

python -m launch.deep_double_descent                     112 networks on MNIST-1D, a minute and a half on two CPU cores
python -m launch.deep_double_descent --preset=mnist1d    the published setting, a quarter of an hour
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from phenom_jax.claims.runs import last
from phenom_jax.experiment import Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.transition import first_crossing
from phenom_jax.measures.accuracy import correct, cross_entropy
from phenom_jax.measures.norms import squared_norms
from phenom_jax.models.cnn import FiveLayerCNN, SmallCNN
from phenom_jax.models.mlp import MLP
from phenom_jax.models.resnet import ResNet18
from phenom_jax.optim import OPTIMIZERS, advance, start
from phenom_jax.sizes import Size, masked_mean
from phenom_jax.tasks.augment import crop_and_flip
from phenom_jax.tasks.data import Data
from phenom_jax.tasks.digits import digits8, mnist5000
from phenom_jax.tasks.epochs import batch, steps_per_epoch
from phenom_jax.tasks.images import cifar10, mnist
from phenom_jax.tasks.labels import Convention, noisy_labels
from phenom_jax.tasks.mnist1d import mnist1d

SUBSET_STREAM, NOISE_STREAM, BATCH_STREAM = 0x5B5E, 0x2015E, 0xBA7C  # apart from what the weights draw from the seed
BLOCK = 500  # examples looked at together: their activations stay in cache
FITTED = 0.01  # train error up to which a train set counts as fitted

PACKAGED = {"mnist1d": lambda: mnist1d(4000, 12000), "digits": digits8, "mnist5000": mnist5000}
IN_FILES = {"mnist": mnist, "cifar10": cifar10}
SHAPES = {
    "mnist1d": (1, 40, 1),
    "digits": (8, 8, 1),
    "mnist5000": (28, 28, 1),
    "mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
}
CLASSES = 10
LAYOUT = ("data", "model", "hidden_layers", "width")  # what decides how many parameters a network has
PLAIN = {"cnn": SmallCNN}
NORMALISED = {"nakkiran_cnn": FiveLayerCNN, "resnet18": ResNet18}


@hparams
class DeepDoubleDescent:
    seed: int = swept(0, "initial weights, order of the batches, label noise, and the subset with subset=seed")
    steps: int = swept(5000, "optimiser steps; an epoch has as many as it takes to see each example", at_least=0)
    label_noise: float = swept(0.0, "probability that a train label is replaced", at_least=0, at_most=1)
    learning_rate: float = swept(0.01, "step size", above=0)
    momentum: float = swept(0.9, "decay of the gradient average: SGD's momentum, Adam's beta 1", at_least=0, below=1)
    second_momentum: float = swept(0.999, "Adam's beta 2; unused by sgd", at_least=0, below=1)
    weight_decay: float = swept(0.0, "weight decay, added to the gradient", at_least=0)
    slow_every: int = swept(0, "after k times so many steps the step size is 1/sqrt(1+k) of it; 0 keeps it", at_least=0)
    width: Size = size(64, "hidden units per layer; channels of a convolutional network's first layer")
    samples: Size = size(4000, "train examples")
    batch_size: Size = size(100, "examples of a step, each once per epoch")
    data: Literal["mnist1d", "digits", "mnist5000", "mnist", "cifar10"] = static(
        "mnist1d", "the task: generated, from a Python package (digits, mnist5000), or from files in data_dir"
    )
    data_dir: str = static("", "directory with the files of mnist or cifar10; unused by the others")
    test_samples: int = static(0, "test examples, the first of them and at most so many; 0 takes all", at_least=0)
    subset: Literal["first", "seed"] = static("first", "which train examples: the first, or drawn from the seed")
    convention: Convention = static("wrong", "what a noisy label is: any class, any wrong class, another's label")
    model: Literal["mlp", "cnn", "nakkiran_cnn", "resnet18"] = static("mlp", "the network")
    hidden_layers: int = static(2, "hidden layers of the mlp; unused by the others", at_least=0)
    optimizer: Literal["sgd", "adam"] = static("sgd", "the optimiser")
    augmentation: Literal["none", "crop_and_flip"] = static("none", "what is done to the images of a step")

    def check(self) -> None:
        """Raises InvalidValue if the data are not there or are fewer than asked for."""
        there = load(self)
        if self.augmentation == "crop_and_flip" and there.shape[0] == 1:
            raise InvalidValue(f"augmentation: crop_and_flip needs images, data={self.data} has signals")
        train = len(there.train_labels_N)
        if self.samples.active > train:
            raise InvalidValue(f"samples: {self.samples.active} is not at most {train}, which data={self.data} has")

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        idle = {
            "second_momentum": "optimizer=sgd" if self.optimizer == "sgd" else "",
            "hidden_layers": "" if self.model == "mlp" else f"model={self.model}",
            "data_dir": "" if self.data in IN_FILES else f"data={self.data}",
        }
        return {name: setting for name, setting in idle.items() if setting}


Model = MLP | SmallCNN | FiveLayerCNN | ResNet18


class State(NamedTuple):
    """One run; of `rows_N` and `labels_N` the first `samples.active` count.

    Attributes:
      step: int32, steps taken.
      rows_N: int32, which train examples.
      labels_N: int32, what they are trained to be.
    """

    model: Model
    optimizer: optax.OptState
    step: jax.Array
    rows_N: jax.Array
    labels_N: jax.Array


class StepMetrics(NamedTuple):
    batch_loss: Annotated[jax.Array, Quantity("cross-entropy of the step's examples", "nat")]


class Measures(NamedTuple):
    train_loss: Annotated[jax.Array, Quantity("train cross-entropy", "nat")]
    train_error: Annotated[jax.Array, Quantity("train error")]
    right_train_loss: Annotated[jax.Array, Quantity("train cross-entropy, right labels", "nat")]
    right_train_error: Annotated[jax.Array, Quantity("train error, right labels")]
    test_loss: Annotated[jax.Array, Quantity("test cross-entropy", "nat")]
    test_error: Annotated[jax.Array, Quantity("test error")]
    effective_noise: Annotated[jax.Array, Quantity("share of wrong train labels")]
    weight_norm: Annotated[jax.Array, Quantity("sum of squared weights")]


def init(hp: DeepDoubleDescent) -> State:
    """Returns the initial weights, the train examples and their labels, all drawn from the seed."""
    data, model = load(hp), make_model(hp)
    rows_N = jnp.arange(hp.samples.padded, dtype=jnp.int32)
    if hp.subset == "seed":
        rows_N = jax.random.permutation(_stream(hp, SUBSET_STREAM), len(data.train_labels_N))[: hp.samples.padded]
    right_N = jnp.asarray(data.train_labels_N)[rows_N]
    noise_key = _stream(hp, NOISE_STREAM)
    return State(
        model=model,
        optimizer=start(make_optimizer(hp), model),
        step=jnp.zeros((), jnp.int32),
        rows_N=rows_N,
        labels_N=noisy_labels(noise_key, right_N, hp.samples, data.classes, hp.label_noise, hp.convention),
    )


def step(state: State, hp: DeepDoubleDescent, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one optimiser step on the epoch's next batch."""
    chosen = batch(_stream(hp, BATCH_STREAM), state.step, hp.samples, hp.batch_size)
    data = load(hp)
    x_BxF = _examples(data, state.rows_N, chosen.examples_B, hp)
    if hp.augmentation == "crop_and_flip":
        x_BxF = crop_and_flip(key, x_BxF, data.shape)
    labels_B = state.labels_N[chosen.examples_B]

    def loss(model: Model) -> jax.Array:
        logits_BxC = model(x_BxF) if isinstance(model, MLP | SmallCNN) else model(x_BxF, chosen.mask_B)[0]
        losses_B = cross_entropy(logits_BxC, labels_B)
        return jnp.where(chosen.mask_B, losses_B, 0).sum() / chosen.mask_B.sum()

    batch_loss, gradients = jax.value_and_grad(loss)(state.model)
    model, optimizer = advance(make_optimizer(hp), gradients, state.optimizer, state.model)
    return state._replace(model=model, optimizer=optimizer, step=state.step + 1), StepMetrics(batch_loss)


def measure(state: State, hp: DeepDoubleDescent) -> Measures:
    """Returns losses and errors on all train examples, against noisy and right labels, and on the test examples.

    Networks with BatchNorm are evaluated with its moments on the first train examples, which the weights alone decide:
    running averages would be one more state, and an estimate of the same.
    """
    data = load(hp)
    answer = _evaluated(state, hp, data)
    right_N = jnp.asarray(data.train_labels_N)[state.rows_N]
    test_M = jnp.asarray(data.test_labels_M[: hp.test_samples or None])
    losses_2, errors_2 = _scores(
        lambda places: answer(_examples(data, state.rows_N, places, hp)),
        jnp.stack([state.labels_N, right_N]),
        hp.samples,
    )
    test_losses_1, test_errors_1 = _scores(
        lambda places: answer(data.examples(jnp.asarray(data.test_MxF)[places])),
        test_M[None, :],
        Size(len(test_M), len(test_M)),
    )
    return Measures(
        train_loss=losses_2[0],
        train_error=errors_2[0],
        right_train_loss=losses_2[1],
        right_train_error=errors_2[1],
        test_loss=test_losses_1[0],
        test_error=test_errors_1[0],
        effective_noise=masked_mean((state.labels_N != right_N).astype(jnp.float32), hp.samples),
        weight_norm=squared_norms(state.model).sum(),
    )


def load(hp: DeepDoubleDescent) -> Data:
    """Returns the data of a run, which runs share."""
    return IN_FILES[hp.data](hp.data_dir) if hp.data in IN_FILES else PACKAGED[hp.data]()


def make_model(hp: DeepDoubleDescent) -> Model:
    key, shape = jax.random.key(hp.seed), SHAPES[hp.data]
    if hp.model == "mlp":
        inputs = int(np.prod(shape))
        return MLP(key, inputs=inputs, classes=CLASSES, width=hp.width, hidden_layers=hp.hidden_layers)
    return (PLAIN | NORMALISED)[hp.model](key, shape=shape, classes=CLASSES, width=hp.width)


def make_optimizer(hp: DeepDoubleDescent) -> optax.GradientTransformation:
    return OPTIMIZERS[hp.optimizer](
        hp.learning_rate,
        weight_decay=hp.weight_decay,
        momentum=hp.momentum,
        second_momentum=hp.second_momentum,
        slow_every=hp.slow_every,
    )


def _stream(hp: DeepDoubleDescent, stream: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(hp.seed), stream)


def _examples(data: Data, rows_N: jax.Array, places: jax.Array, hp: DeepDoubleDescent) -> jax.Array:
    """Returns the train examples at these places of the run's own train set, float32[places, F]."""
    rows = places if hp.subset == "first" else rows_N[places]
    return data.examples(jnp.asarray(data.train_NxF)[rows])


def _evaluated(state: State, hp: DeepDoubleDescent, data: Data) -> Callable[[jax.Array], jax.Array]:
    """Returns the function from examples to logits that the weights of a run are."""
    model = state.model
    if isinstance(model, MLP | SmallCNN):
        return model
    places = jnp.arange(BLOCK, dtype=jnp.int32) % hp.samples.active
    moments = model(_examples(data, state.rows_N, places, hp))[1]
    return lambda x_NxF: model(x_NxF, moments=moments)[0]


def _scores(
    answer: Callable[[jax.Array], jax.Array], labels_KxN: jax.Array, count: Size
) -> tuple[jax.Array, jax.Array]:
    """Returns the mean loss and error of the first `count` examples, float[K] each, against K sets of labels.

    Args:
      answer: from places to logits.
      labels_KxN: right and noisy ones, say.
      count: how many examples there are.
    """
    blocks = -(-count.padded // BLOCK)

    def block(index: jax.Array) -> tuple[jax.Array, jax.Array]:
        places = index * BLOCK + jnp.arange(min(BLOCK, count.padded), dtype=jnp.int32)
        inside = places < count.active
        places = jnp.minimum(places, count.padded - 1)
        logits = answer(places)
        labels = labels_KxN[:, places]
        losses = [jnp.where(inside, cross_entropy(logits, row), 0).sum() for row in labels]
        errors = [jnp.where(inside, 1 - correct(logits, row), 0).sum() for row in labels]
        return jnp.stack(losses), jnp.stack(errors)

    sums = jax.lax.map(block, jnp.arange(blocks, dtype=jnp.int32))
    losses_K, errors_K = (sum_BxK.sum(0) / count.active for sum_BxK in sums)
    return losses_K, errors_K


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with each run's parameters, its epochs by step, and when it learnt what.

    `fit_step` is where train error first falls to 1 %, between measures, NaN where it never does. `best_step` is the
    measured step of the least train error against right labels until then: there a network has learnt what its train
    set has in common, and not yet its noise. Test examples have no part in it.
    """
    steps, per_epoch = results["step"].values, steps_per_epoch(results["samples"].values, results["batch_size"].values)
    fit_N = first_crossing(results["train_error"].values, steps, FITTED, "down").between
    until_NxP = steps <= np.where(np.isnan(fit_N), np.inf, fit_N)[:, None]
    right_NxP = np.where(until_NxP, results["right_train_error"].fillna(np.inf).values, np.inf)
    layouts = list(zip(*(results[name].values.tolist() for name in LAYOUT), strict=True))
    counts = {layout: _parameters(dict(zip(LAYOUT, layout, strict=True))) for layout in set(layouts)}
    said = {
        "parameters": ("run", [counts[layout] for layout in layouts], "weights and biases of the network", "1"),
        "fit_step": ("run", fit_N, "train error falls to 1 %", "steps"),
        "best_step": ("run", steps[right_NxP.argmin(1)], "least train error against right labels", "steps"),
        "epochs": (("run", "step"), steps / per_epoch[:, None], "epochs", "epochs"),
    }
    return results.assign(
        {
            name: (dims, values, {"long_name": long, "units": units})
            for name, (dims, values, long, units) in said.items()
        }
    )


def fitting_width(runs: xr.Dataset) -> float:
    """Returns the width from which on train error is at most 1 %, between those trained; NaN without one.

    Args:
      runs: alike but for their width.
    """
    log_widths_K, errors_K = by_width(runs, "train_error")
    worst_K = np.maximum.accumulate(errors_K[::-1])[::-1]  # of this width and of all wider ones
    return float(np.exp(first_crossing(worst_K[None], log_widths_K, FITTED, "down").between[0]))


def by_width(runs: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the logarithms of the widths in ascending order, and a measure's last values there."""
    order = runs["width"].values.argsort()
    values = last(runs, name) if "step" in runs[name].dims else runs[name].values
    return np.log(runs["width"].values[order]), values[order]


def _parameters(layout: dict[str, Any]) -> int:
    """Returns how many weights and biases a network has; nothing is computed and no data are read."""
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(make_model, DeepDoubleDescent(**layout))))
