"""Grokking: generalisation long after memorisation (Power et al. 2022, Nanda et al. 2023).

A small network learns a ∘ b from part of the table, fits it, and much later, if weights decay, answers the rest.

python -m launch.grokking            100 runs, one to three minutes on two CPU cores
python -m launch.grokking --preset=nanda --seed=0:16
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from phenom_jax.experiment import Landscape, Quantity
from phenom_jax.hparams import InvalidValue, hparams, size, static, swept
from phenom_jax.laws.transition import first_crossing
from phenom_jax.measures.accuracy import correct, cross_entropy, mean_over, softmax_collapse
from phenom_jax.measures.fourier import (
    excluded_loss,
    gini,
    key_frequencies,
    logit_spectrum,
    restricted_loss,
    spectrum,
)
from phenom_jax.measures.norms import squared_norms, tensor_names
from phenom_jax.models.mlp import EmbeddingMLP, OneHotMLP
from phenom_jax.models.transformer import NandaTransformer, PowerDecoder
from phenom_jax.optim import OPTIMIZERS, advance, grokfast, start
from phenom_jax.sizes import Size, masked_mean
from phenom_jax.tasks.modular import NEED_PRIME, Operation, Split, is_prime, pair_count, split, table

DATA_STREAM = 0xDA7A  # apart from what the weights draw from the same seed
PERCEPTRONS = {"mlp": OneHotMLP, "embedding_mlp": EmbeddingMLP}
TRANSFORMERS = {"nanda": NandaTransformer, "power": PowerDecoder}
LAYOUT = ("model", "hidden_layers", "biases")  # what decides which tensors a model has
MEMORISED, GENERALISED, FOR_GOOD = 0.99, 0.95, 0.99


@hparams
class Grokking:
    seed: int = swept(0, "initial weights, minibatches and, by default, the train/test split")
    split_seed: int = swept(-1, "train/test split and noisy labels; -1 takes the seed's", at_least=-1)
    steps: int = swept(3000, "optimiser steps", at_least=0)
    weight_decay: float = swept(1.0, "weight decay, decoupled in AdamW", at_least=0)
    learning_rate: float = swept(1e-2, "step size", above=0)
    init_scale: float = swept(1.0, "factor on the usual initial weights", at_least=0)
    label_noise: float = swept(0.0, "share of train labels replaced by random ones", at_least=0, at_most=1)
    warmup: int = swept(0, "steps of linear learning-rate warm-up", at_least=0)
    momentum: float = swept(0.9, "decay of the gradient average: Adam's beta 1, SGD's momentum", at_least=0, below=1)
    second_momentum: float = swept(0.98, "decay of the squared gradient average: Adam's beta 2", at_least=0, below=1)
    grokfast_gain: float = swept(2.0, "Grokfast: weight of the slow gradients", at_least=0)
    grokfast_memory: float = swept(0.98, "Grokfast: decay of the gradient average", at_least=0, below=1)
    width: Size = size(128, "hidden units per layer; units between a transformer layer's two matrices")
    train_fraction: Size = size(
        0.5, "share of all pairs that train", of=lambda hp: pair_count(hp.operation, hp.modulus)
    )
    batch_size: Size = size(512, "examples of a minibatch, drawn with replacement; unused with batching=full")
    batching: Literal["full", "minibatch"] = static("full", "what a step sees of the train pairs")
    operation: Operation = static("add", "the operation ∘")
    modulus: int = static(59, "number of tokens p; unused by s5 operations", at_least=3, at_most=257)
    model: Literal["mlp", "embedding_mlp", "nanda", "power"] = static(
        "mlp", "perceptron on one-hot or embedded tokens, Nanda's one-layer transformer or Power's two-layer decoder"
    )
    activation: Literal["relu", "gelu", "quadratic"] = static("relu", "of the hidden units")
    hidden_layers: int = static(1, "hidden layers of the perceptrons; unused by the transformers", at_least=1)
    biases: bool = static(False, "whether the perceptrons' layers have biases; unused by the transformers")
    optimizer: Literal["adamw", "adam", "sgd"] = static("adamw", "adam and sgd add weight decay to the gradient")
    decay_to: Literal["zero", "start"] = static("zero", "what weights decay to")
    gradient_filter: Literal["none", "grokfast"] = static("none", "what gradients pass before the optimiser")

    def check(self) -> None:
        """Raises InvalidValue if the operation needs a prime modulus and has none, or no pair is left to test."""
        if self.operation in NEED_PRIME and not is_prime(self.modulus):
            raise InvalidValue(f"modulus: {self.modulus} is not prime, which operation={self.operation} needs")
        pairs = pair_count(self.operation, self.modulus)
        if self.train_fraction.active >= pairs:
            raise InvalidValue(f"train_fraction: {self.train_fraction.active} of {pairs} pairs leaves none to test")

    def unused(self) -> dict[str, str]:
        """Returns the fields that have no effect on this run, each with the setting that makes it so."""
        no_perceptron = "" if self.model in PERCEPTRONS else f"model={self.model}"
        no_grokfast = "" if self.gradient_filter == "grokfast" else "gradient_filter=none"
        idle = {
            "batch_size": "" if self.batching == "minibatch" else "batching=full",
            "modulus": f"operation={self.operation}" if self.operation.startswith("s5") else "",
            "second_momentum": "optimizer=sgd" if self.optimizer == "sgd" else "",
            "hidden_layers": no_perceptron,
            "biases": no_perceptron,
            "grokfast_gain": no_grokfast,
            "grokfast_memory": no_grokfast,
        }
        return {name: setting for name, setting in idle.items() if setting}


Model = OneHotMLP | EmbeddingMLP | NandaTransformer | PowerDecoder


class State(NamedTuple):
    model: Model
    optimizer: optax.OptState
    data: Split


class Examples(NamedTuple):
    pairs_Nx2: jax.Array
    labels_N: jax.Array


class StepMetrics(NamedTuple):
    batch_loss: Annotated[jax.Array, Quantity("cross-entropy of the step's examples", "nat")]
    gradient_norm: Annotated[jax.Array, Quantity("norm of the gradient")]


class Measures(NamedTuple):
    train_loss: Annotated[jax.Array, Quantity("train cross-entropy", "nat")]
    test_loss: Annotated[jax.Array, Quantity("test cross-entropy", "nat")]
    train_accuracy: Annotated[jax.Array, Quantity("train accuracy")]
    test_accuracy: Annotated[jax.Array, Quantity("test accuracy")]
    weight_norm: Annotated[jax.Array, Quantity("norm of all weights")]
    tensor_norms: Annotated[jax.Array, Quantity("norm of each tensor", dims=("tensor",))]
    softmax_collapse: Annotated[jax.Array, Quantity("share of train examples whose loss rounds to zero")]


class FourierMeasures(NamedTuple):
    restricted_loss: Annotated[jax.Array, Quantity("loss with key frequencies only", "nat")]
    restricted_test_loss: Annotated[jax.Array, Quantity("loss with key frequencies of the test pairs only", "nat")]
    summed_test_loss: Annotated[jax.Array, Quantity("loss with all frequencies of the test pairs, the control", "nat")]
    excluded_loss: Annotated[jax.Array, Quantity("train loss without key frequencies", "nat")]
    key_frequencies: Annotated[jax.Array, Quantity("number of key frequencies, over twice an even logit share")]
    fourier_gini: Annotated[jax.Array, Quantity("Gini coefficient of the embedding's Fourier norms")]
    fourier_spectrum: Annotated[jax.Array, Quantity("share of the embedding's squared norm", dims=("frequency",))]


def init(hp: Grokking) -> State:
    """Returns the initial weights, drawn from the seed, and the data, drawn from the split seed."""
    model = make_model(hp)
    return State(model=model, optimizer=start(make_optimizer(hp), model), data=make_data(hp))


def step(state: State, hp: Grokking, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one optimiser step on the whole train set or a minibatch of it."""
    loss, gradients = jax.value_and_grad(_batch_loss)(state.model, state.data, hp, key)
    model, optimizer = advance(make_optimizer(hp), gradients, state.optimizer, state.model)
    return State(model, optimizer, state.data), StepMetrics(loss, optax.tree.norm(gradients))


def measure(state: State, hp: Grokking) -> Measures:
    """Returns what one forward pass over all pairs tells."""
    labels_P, is_train_P = state.data.labels_P, state.data.is_train_P
    logits_PxC = state.model(jnp.asarray(table(hp.operation, hp.modulus).pairs_Px2))
    loss_P, correct_P = cross_entropy(logits_PxC, labels_P), correct(logits_PxC, labels_P)
    squared = squared_norms(state.model)
    return Measures(
        train_loss=mean_over(loss_P, is_train_P),
        test_loss=mean_over(loss_P, ~is_train_P),
        train_accuracy=mean_over(correct_P, is_train_P),
        test_accuracy=mean_over(correct_P, ~is_train_P),
        weight_norm=jnp.sqrt(squared.sum()),
        tensor_norms=jnp.sqrt(squared),
        softmax_collapse=mean_over(softmax_collapse(loss_P), is_train_P),
    )


def expensive(state: State, hp: Grokking) -> FourierMeasures:
    """Returns the progress measures, NaN for operations that are not addition in a cyclic group."""
    questions = table(hp.operation, hp.modulus)
    if questions.cyclic is None:
        nan = jnp.full((), jnp.nan)
        return FourierMeasures(nan, nan, nan, nan, nan, nan, jnp.full(questions.tokens // 2, jnp.nan))
    tokens_n, cosets_nxn = questions.cyclic
    logits_PxC = state.model(jnp.asarray(questions.pairs_Px2))
    shares_F = spectrum(state.model.embedding(), tokens_n)
    is_key_F = key_frequencies(logit_spectrum(logits_PxC, cosets_nxn))
    answers_P, is_test_P = questions.answers_P, ~state.data.is_train_P
    return FourierMeasures(
        restricted_loss=restricted_loss(logits_PxC, answers_P, cosets_nxn, is_key_F),
        restricted_test_loss=restricted_loss(logits_PxC, answers_P, cosets_nxn, is_key_F, is_test_P),
        summed_test_loss=restricted_loss(logits_PxC, answers_P, cosets_nxn, jnp.ones_like(is_key_F), is_test_P),
        excluded_loss=excluded_loss(logits_PxC, state.data.labels_P, state.data.is_train_P, cosets_nxn, is_key_F),
        key_frequencies=is_key_F.sum().astype(jnp.float32),
        fourier_gini=gini(jnp.sqrt(shares_F)),
        fourier_spectrum=shares_F,
    )


def done(metrics: Measures) -> jax.Array:
    """Returns whether the run generalised for good: at least 99 % right on train and on test pairs."""
    return (metrics.train_accuracy >= FOR_GOOD) & (metrics.test_accuracy >= FOR_GOOD)


def make_model(hp: Grokking) -> Model:
    questions, key = table(hp.operation, hp.modulus), jax.random.key(hp.seed)
    task = {"tokens": questions.tokens, "classes": questions.classes}
    units = {"width": hp.width, "activation": hp.activation, "init_scale": hp.init_scale}
    if hp.model in TRANSFORMERS:
        return TRANSFORMERS[hp.model](key, **task, **units)
    return PERCEPTRONS[hp.model](key, **task, **units, hidden_layers=hp.hidden_layers, biases=hp.biases)


def make_data(hp: Grokking) -> Split:
    split_seed = jnp.where(hp.split_seed < 0, hp.seed, hp.split_seed)
    data_key = jax.random.fold_in(jax.random.key(split_seed), DATA_STREAM)
    return split(data_key, table(hp.operation, hp.modulus), hp.train_fraction, hp.label_noise)


def make_optimizer(hp: Grokking) -> optax.GradientTransformation:
    descent = OPTIMIZERS[hp.optimizer](
        hp.learning_rate,
        weight_decay=hp.weight_decay,
        momentum=hp.momentum,
        second_momentum=hp.second_momentum,
        warmup=hp.warmup,
        decay_to=hp.decay_to,
    )
    if hp.gradient_filter == "grokfast":
        return optax.chain(grokfast(hp.grokfast_gain, hp.grokfast_memory), descent)
    return descent


def _batch_loss(model: Model, data: Split, hp: Grokking, key: jax.Array) -> jax.Array:
    if hp.batching == "full":
        return masked_mean(cross_entropy(model(data.train_Nx2), data.train_labels_N), hp.train_fraction)
    chosen_B = jax.random.randint(key, (hp.batch_size.padded,), 0, hp.train_fraction.active)
    return masked_mean(cross_entropy(model(data.train_Nx2[chosen_B]), data.train_labels_N[chosen_B]), hp.batch_size)


def train_examples(hp: Grokking) -> Examples:
    data = make_data(hp)
    return Examples(data.train_Nx2, data.train_labels_N)


LANDSCAPE = Landscape(
    examples=train_examples,
    count=lambda hp: hp.train_fraction,
    outputs=lambda model, examples, hp: model(examples.pairs_Nx2),
    losses=lambda logits_BxC, examples, hp: cross_entropy(logits_BxC, examples.labels_N),
)


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the steps at which each run memorised and generalised, NaN where it did not.

    `memorisation_step` is where train accuracy passes 99 %, `generalisation_step` where test accuracy passes 95 %, on
    lines between measured steps; `generalisation_delay` is their difference. Frequencies are numbered from 1, and
    tensors named if all runs have the same.
    """
    memorised, generalised = (
        xr.DataArray(first_crossing(results[name].values, results["step"].values, threshold).between, dims="run")
        for name, threshold in (("train_accuracy", MEMORISED), ("test_accuracy", GENERALISED))
    )
    steps = {
        "memorisation_step": (memorised, "step at which train accuracy passes 99 %"),
        "generalisation_step": (generalised, "step at which test accuracy passes 95 %"),
        "generalisation_delay": (generalised - memorised, "steps from memorisation to generalisation"),
    }
    summary = {name: values.assign_attrs(long_name=said, units="steps") for name, (values, said) in steps.items()}
    labels: dict[str, object] = {"frequency": 1 + np.arange(results.sizes["frequency"])}
    layouts = set(zip(*(results[name].values.tolist() for name in LAYOUT)))
    if len(layouts) == 1:
        hp = Grokking(**dict(zip(LAYOUT, layouts.pop())))
        labels["tensor"] = tensor_names(jax.eval_shape(make_model, hp))
    return results.assign(summary).assign_coords(labels)
