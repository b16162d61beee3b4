"""The sparse-parity experiment of one run: its jump, its measures, its refusals."""

import dataclasses
import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from there import there

from experiments.sparse_parity import experiment
from experiments.sparse_parity.science import Measures, SparseParity, done, init, margins, measure, step, summarise
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size
from phenom_jax.tasks.parity import unpacked

SMALL: dict[str, Any] = {"inputs": Size(10, 10), "degree": Size(2, 2), "width": Size(16, 16)}


def train(hp, steps):
    def body(state, count):
        return step(state, hp, jax.random.fold_in(jax.random.key(hp.seed), count))

    state, metrics = jax.lax.scan(body, init(hp), jnp.arange(steps))
    return state, metrics, measure(state, hp)


quick = jax.jit(train, static_argnums=1, compiler_options=QUICK_TO_COMPILE)


@pytest.mark.usefixtures("float64")
def test_accuracy_jumps_and_only_the_deciding_weights_went_far():
    """n = 10, k = 2: solved by step 400."""

    def one_run(seed):
        hp = dataclasses.replace(SparseParity(**SMALL, seed=seed), width=Size(100, 100))
        return train(hp, 400)[2]

    late = jax.jit(jax.vmap(one_run), compiler_options=QUICK_TO_COMPILE)(jnp.arange(3))
    assert (late.test_accuracy == 1).all() and done(late).all()
    assert (late.relevant_movement > 1.3 * late.irrelevant_movement).all()
    assert not jnp.isfinite(late.train_accuracy).any()


FINITE: dict[str, Any] = SMALL | {"data": "finite", "samples": Size(12, 12), "loss": "square"}


def test_steps_are_sgd_with_decayed_weights_and_measures_those_of_numpy():
    hp = SparseParity(**FINITE, batch_size=Size(12, 12), weight_decay=0.5)

    @functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
    def by_hand():
        state = init(hp)
        examples = unpacked(there(state.train).words_NxW, hp.inputs, 2)

        def loss(model):
            return jnp.square(examples.labels_N - model(examples.inputs_NxI)).mean()

        model = state.model
        for _ in range(3):
            model = jax.tree.map(lambda w, g: w - 0.1 * (g + 0.5 * w), model, jax.grad(loss)(model))
        return state.model, model, loss(state.model), margins(model, examples, hp)

    start, model, first_loss, margins_N = by_hand()
    state, metrics, measured = quick(hp, 3)
    for ours, theirs in zip(jax.tree.leaves(state.model), jax.tree.leaves(model), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics.batch_loss[0], first_loss, rtol=1e-5)
    np.testing.assert_allclose(measured.train_loss, np.square(1 - np.asarray(margins_N)).mean(), rtol=1e-4)
    np.testing.assert_allclose(measured.train_accuracy, (np.asarray(margins_N) > 0).mean(), rtol=1e-6)
    moved = np.abs(np.asarray(model.first_weights()) - np.asarray(start.first_weights()))
    np.testing.assert_allclose(measured.relevant_movement, moved[:2].max(), rtol=1e-4)
    np.testing.assert_allclose(measured.irrelevant_movement, moved[2:].max(), rtol=1e-4)
    assert 1 <= measured.active_neurons <= 16
    weights = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(model)])
    np.testing.assert_allclose(measured.weight_norm, (weights**2).sum(), rtol=1e-4)
    landscape, keep = there(experiment.landscape), there(experiment.keep)
    examples = landscape.examples(hp)
    losses = landscape.losses(landscape.outputs(keep(state), examples, hp), examples, hp)
    assert losses.shape == (landscape.count(hp).padded,)
    np.testing.assert_allclose(measured.train_loss, losses.mean(), rtol=1e-5)


def test_an_epoch_sees_every_example_once():
    whole = SparseParity(**FINITE, batch_size=Size(12, 12), learning_rate=0.0)
    parts = SparseParity(**FINITE, batch_size=Size(5, 12), learning_rate=0.0)
    losses = quick(parts, 3)[1].batch_loss  # of 5, 5 and 2 examples
    np.testing.assert_allclose(np.average(losses, weights=[5, 5, 2]), quick(whole, 3)[1].batch_loss[0], rtol=1e-5)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"inputs": 65}, "inputs: 65 is not at least 1 and at most 64"),
        ({"degree": 31}, "degree: 31 is more than inputs=30, allowed are at most all inputs"),
        ({"inputs": 8, "data": "finite"}, "samples: 1000 is more than the 256 there are of 8 inputs"),
        ({"biases": False}, "degree: 3 is odd, but with biases=false a ReLU network's odd part is linear"),
        ({"biases": False, "degree": 2, "model": "sine"}, "degree: 2 is even, but with biases=false sin(w·x) is odd"),
        ({"loss": "cubic"}, "loss: 'cubic' is not one of hinge, square, logistic"),
        ({"learning_rate": -1.0}, "learning_rate: -1.0 is not above 0"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(SparseParity, values)


@pytest.mark.parametrize(
    "values", [{"biases": False, "degree": 4}, {"biases": False, "degree": 1}, {"biases": False, "model": "sine"}]
)
def test_parities_that_need_no_biases_are_taken_without(values):
    build(SparseParity, values)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--samples=100"], "samples: has no effect with data=online in any run"),
        (["--model=sine", "--width=10"], "width: has no effect with model=sine in any run"),
        (["--model=polynet", "--biases=true"], "biases: has no effect with model=polynet in any run"),
    ],
)
def test_a_flag_without_effect_is_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, flags)


def test_summary_finds_steps_between_measures():
    nan = np.nan
    curves = {
        "test_accuracy": [[0.5, 0.58, 0.68, 0.99, 1.0], [0.5, 0.5, 0.5, 0.5, 0.5]],
        "train_accuracy": [[nan] * 5, [0.5, 0.8, 1.0, 1.0, 1.0]],
        "relevant_movement": [[0.0, 0.1, 0.4, 0.5, 0.9], [0.0, 0.1, 0.1, 0.1, 0.1]],
        "irrelevant_movement": [[0.0, 0.1, 0.2, 0.2, 0.2], [0.0, 0.1, 0.2, 0.3, 0.4]],
        "relevant_gradient": [[-0.25] * 5, [nan] * 5],
        "irrelevant_gradient": [[0.125] * 5, [nan] * 5],
    }
    runs = {"seed": [0, 0], "inputs": [3, 3], "degree": [1, 3]}
    coords = {name: ("run", values, {"hyperparameter": 1}) for name, values in runs.items()}
    summary = summarise(
        xr.Dataset(
            {name: (("run", "step"), values) for name, values in curves.items()},
            coords | {"step": [0, 10, 20, 30, 40]},
            {"order": list(runs)},
        )
    )
    expected = {"solved": [30, nan], "memorised": [nan, 19.5], "rise": [12, nan], "lead": [15, nan]}
    for name, steps in expected.items():
        np.testing.assert_allclose(summary[f"{name}_step"], steps, err_msg=name)
    np.testing.assert_array_equal(summary["movement"].values[:, -1], [0.9, 0.4])
    np.testing.assert_allclose(summary["exact_gap"], [0.75, nan])  # 7 / 8 and 1 / 8: Σ x > -2 in all but one of 8
    np.testing.assert_allclose(summary["gap"], [0.125, nan])
    np.testing.assert_array_equal(summary["seed_block"], [0, 0])
    np.testing.assert_array_equal(summary["look_step"], [6, nan])
    assert summary["remained"].isnull().all()  # nothing to compare with


def test_done_means_every_example_is_right():
    fields = dict.fromkeys(Measures._fields, jnp.full((), jnp.nan))
    one = jnp.ones(())
    assert done(Measures(**fields | {"test_accuracy": one}))
    assert not done(Measures(**fields | {"test_accuracy": one, "train_accuracy": 0.99 * one}))
    assert not done(Measures(**fields | {"test_accuracy": 0.999 * one}))
