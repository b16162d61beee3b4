"""The grokking experiment of one run: its phenomenon, its measures, and its refusals."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments.grokking import experiment
from experiments.grokking.science import (
    Grokking,
    Measures,
    done,
    expensive,
    init,
    make_model,
    measure,
    step,
    summarise,
)
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size

SMALL: dict[str, Any] = {"modulus": 7, "width": Size(6, 6)}
start, one_step = (jax.jit(function, compiler_options=QUICK_TO_COMPILE) for function in (init, step))


def train(hp, steps):
    def body(state, count):
        return step(state, hp, jax.random.fold_in(jax.random.key(hp.seed), count))

    return jax.lax.scan(body, init(hp), jnp.arange(steps))


@pytest.mark.usefixtures("float64")
def test_weight_decay_decides_whether_a_run_generalises():
    """Quadratic units, addition mod 59: test accuracy passes 95 % by 300 steps with decay 1, stays at 10 % without."""

    def trained(weight_decay):
        hp = Grokking(activation="quadratic", weight_decay=weight_decay)
        return measure(train(hp, 300)[0], hp)

    measured = jax.jit(jax.vmap(trained))(jnp.array([0.0, 1.0]))
    assert (measured.train_accuracy == 1).all()
    assert measured.test_accuracy[0] < 0.3
    assert measured.test_accuracy[1] > 0.95
    assert done(measured).tolist() == [False, measured.test_accuracy[1] >= 0.99]


def test_measures_equal_a_computation_with_plain_indexing():
    hp = Grokking(**SMALL, label_noise=0.3, split_seed=4)
    state = start(hp)
    pairs = np.array([(a, b) for a in range(7) for b in range(7)])
    logits = np.asarray(state.model(jnp.asarray(pairs)), float)
    labels, is_train = np.asarray(state.data.labels_P), np.asarray(state.data.is_train_P)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(49), labels]
    right = logits.argmax(1) == labels
    measured = jax.jit(measure)(state, hp)
    np.testing.assert_allclose(measured.train_loss, losses[is_train].mean(), rtol=1e-5)
    np.testing.assert_allclose(measured.test_loss, losses[~is_train].mean(), rtol=1e-5)
    np.testing.assert_allclose(measured.train_accuracy, right[is_train].mean(), rtol=1e-6)
    np.testing.assert_allclose(measured.test_accuracy, right[~is_train].mean(), rtol=1e-6)
    weights = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(state.model)])
    np.testing.assert_allclose(measured.weight_norm, np.sqrt((weights**2).sum()), rtol=1e-5)
    assert is_train.sum() == 24  # round(0.5 * 49)


def test_a_full_batch_step_sees_every_train_pair_and_a_minibatch_the_key_s_choice():
    full = Grokking(**SMALL, weight_decay=0.0)
    state = start(full)
    losses = [one_step(state, full, jax.random.key(seed))[1].batch_loss for seed in range(2)]
    assert losses[0] == losses[1]
    np.testing.assert_allclose(losses[0], jax.jit(measure)(state, full).train_loss, rtol=1e-5)
    mini = Grokking(**SMALL, batching="minibatch", batch_size=Size(4, 4))
    drawn = [float(one_step(state, mini, jax.random.key(seed))[1].batch_loss) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_minibatches_never_draw_a_pair_beyond_the_train_set():
    hp = Grokking(modulus=7, batching="minibatch", batch_size=Size(400, 400), train_fraction=Size(5, 40))
    state = start(hp)
    poisoned = state._replace(data=state.data._replace(train_labels_N=state.data.train_labels_N.at[5:].set(-1)))
    honest, seen = (one_step(data, hp, jax.random.key(0))[1].batch_loss for data in (state, poisoned))
    assert honest == seen


def test_split_follows_its_own_seed_or_the_seed():
    def trained(**seeds):
        return np.asarray(start(Grokking(**SMALL, **seeds)).data.is_train_P)

    assert (trained(seed=3) == trained(seed=5, split_seed=3)).all()
    assert (trained(seed=3) != trained(seed=5)).any()
    first, second = (jax.jit(make_model)(Grokking(**SMALL, seed=seed, split_seed=3)).embedding() for seed in (3, 5))
    assert (first != second).any()


def test_fourier_measures_are_nan_where_there_is_no_group():
    for operation, cyclic in (("x^2+y^2", False), ("multiply", True)):
        values: dict[str, Any] = SMALL | {"operation": operation}
        hp = Grokking(**values)
        measured = jax.jit(expensive)(start(hp), hp)
        assert measured.fourier_spectrum.shape == (3,)
        assert all(bool(jnp.isfinite(value).all()) == cyclic for value in measured)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"operation": "divide", "modulus": 58}, "modulus: 58 is not prime, which operation=divide needs"),
        ({"operation": "divide_or_subtract", "modulus": 9}, "modulus: 9 is not prime"),
        ({"width": 0}, "width: 0 is not at least 1"),
        ({"train_fraction": 1.0}, "train_fraction: 1.0 is not above 0 and below 1"),
        ({"label_noise": 1.5}, "label_noise: 1.5 is not at least 0 and at most 1"),
        ({"model": "resnet"}, "model: 'resnet' is not one of mlp, embedding_mlp, nanda, power"),
        ({"train_fraction": 0.999, "modulus": 5}, "train_fraction: 25 of 25 pairs"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=message.replace("(", r"\(")):
        build(Grokking, values)


def test_summary_finds_steps_between_measures():
    nan = np.nan
    results = xr.Dataset(
        {
            "train_accuracy": (("run", "step"), [[0.1, nan, 0.99, 1.0, 1.0], [0.1, nan, 0.2, 0.3, 0.4]]),
            "test_accuracy": (("run", "step"), [[0.0, nan, 0.2, 0.95, 0.9], [0.96, nan, nan, nan, nan]]),
            "fourier_spectrum": (("run", "step", "frequency"), np.zeros((2, 5, 3))),
            "tensor_norms": (("run", "step", "tensor"), np.zeros((2, 5, 2))),
        },
        coords={
            "step": [0, 10, 20, 30, 40],
            "model": ("run", ["mlp", "mlp"]),
            "hidden_layers": ("run", [1, 1]),
            "biases": ("run", [False, False]),
        },
    )
    summary = summarise(results)
    expected = {
        "memorisation_step": [20, nan],
        "generalisation_step": [30, 0],
        "generalisation_delay": [10, nan],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(summary[name], values)
        assert summary[name].attrs["units"] == "steps"
    assert summary["frequency"].values.tolist() == [1, 2, 3]
    assert summary["tensor"].values.tolist() == ["layers.0.weight", "layers.1.weight"]
    mixed = summarise(results.assign_coords(model=("run", ["mlp", "nanda"])))
    assert "tensor" not in mixed.coords


def test_measures_are_those_done_reads():
    fields = dict.fromkeys(Measures._fields, jnp.zeros(()))
    assert not done(Measures(**fields))
    assert done(Measures(**fields | {"train_accuracy": jnp.ones(()), "test_accuracy": jnp.array(0.99)}))
    assert not done(Measures(**fields | {"train_accuracy": jnp.array(0.5), "test_accuracy": jnp.ones(())}))


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--batch_size=64"], "batch_size: has no effect with batching=full in any run of this sweep"),
        (["--model=nanda", "--hidden_layers=2"], "hidden_layers: has no effect with model=nanda in any run"),
        (["--grokfast_gain=1,2"], "grokfast_gain: has no effect with gradient_filter=none in any run"),
    ],
)
def test_a_flag_without_effect_is_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, flags)


def test_a_flag_with_an_effect_on_some_runs_is_taken():
    command = parse(experiment, ["--batch_size=64", "--batching=full,minibatch", "--gradient_filter=none,grokfast"])
    assert len(command.sweep) == 4 * 100
