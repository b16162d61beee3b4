"""Silent alignment in one small network, and its refusals."""

import functools
import re

import jax
import numpy as np
import pytest
import xarray as xr

from experiments.silent_alignment import experiment
from experiments.silent_alignment.science import (
    SilentAlignment,
    done,
    init,
    kernel_measures,
    measure,
    step,
    summarise,
)
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size
from phenom_jax.theory.deep_linear import half_loss_time, most_alignment

SMALL = {"inputs": Size(6, 6), "width": Size(8, 8), "learning_rate": 0.05}
quick = functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)


def train(hp, steps):
    """Returns the first measures and those after so many steps."""
    state = init(hp)
    trained = jax.lax.fori_loop(0, steps, lambda _, state: step(state, hp, jax.random.key(0))[0], state)
    return measure(state, hp), measure(trained, hp)


measured_after = quick(train)


@pytest.mark.usefixtures("float64")
def test_the_kernel_aligns_before_the_loss_falls_and_two_layers_keep_saxe_s_time():
    """Six whitened inputs, σ = 0.001: at half of Saxe's time to learn the kernel has aligned and no loss is gone."""
    hp = SilentAlignment(**SMALL, init_scale=1e-3)
    start, _ = measured_after(hp, 0)
    time = half_loss_time(1.0, float(start.growing_strengths[0]), 2)
    _, early = measured_after(hp, round(time / 2 / 0.05))
    assert early.relative_loss > 0.99 and early.kernel_alignment > 0.99 * most_alignment(2, 6)
    _, half = measured_after(hp, round(time / 0.05))
    assert 0.2 < half.relative_loss < 0.8
    _, end = measured_after(hp, 3 * round(time / 0.05))
    assert end.relative_loss < 1e-4 and done(end) and not done(half)
    np.testing.assert_allclose(end.mode_strengths, 1, atol=0.01)
    assert end.kernel_similarity > 0.999 and end.turning_alignment > 0.99 * most_alignment(2, 6)
    assert end.balance_change < 1.1 * 0.05 * (start.loss - end.loss)


def test_relu_networks_are_compared_with_kernel_regression():
    pytest.importorskip("sklearn")
    hp = SilentAlignment(model="relu", inputs=Size(5, 6), width=Size(6, 6), init_scale=0.5)
    with jax.enable_x64(True):
        found = jax.tree.map(float, quick(lambda hp: kernel_measures(init(hp), hp))(hp))
    assert found.kernel_error == found.initial_kernel_error > 0.1  # at the start both kernels are one
    assert -1 <= found.kernel_correlation <= 1 and 0 <= found.test_accuracy <= 1
    linear = SilentAlignment(**SMALL)
    assert all(np.isnan(value) for value in kernel_measures(jax.eval_shape(init, linear), linear))


def test_kernel_regression_needs_double_precision():
    with pytest.raises(InvalidValue, match="float_type: float32 is not enough for model=relu"):
        parse(experiment, ["--preset=digits", "--float_type=float32"])
    parse(experiment, ["--float_type=float32"])


def test_balanced_weights_are_balanced_and_carry_every_mode_alike():
    hp = SilentAlignment(**SMALL, start="balanced", modes=Size(2, 3), init_scale=0.2, strength=2.0)
    state, strengths = quick(lambda hp: (init(hp), measure(init(hp), hp).mode_strengths))(hp)
    first, second = (np.asarray(weight[...]) for weight in state.model.weights)
    np.testing.assert_allclose(first @ first.T, second.T @ second, atol=1e-7)
    np.testing.assert_allclose(strengths, [0.04, 0.04, 0], atol=1e-7)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"init_scale": 0.0}, "init_scale: 0.0 is not above 0"),
        ({"depth": 1}, "depth: 1 is not at least 2 and at most 8"),
        ({"ratio": 1.5}, "ratio: 1.5 is not at most 1 and above 0"),
        ({"modes": 31}, "modes: 31 is not at most 30, the inputs"),
        ({"modes": 9, "width": 8}, "modes: 9 is not at most 8, the width"),
        ({"model": "relu", "start": "balanced"}, "start: balanced is defined for model=linear, allowed with relu is"),
        ({"model": "relu", "inputs": 60}, "inputs: 60 is not at most 50, which model=relu has components of"),
        ({"spectrum": -1.0}, "spectrum: -1.0 is not at least 0"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(SilentAlignment, values)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--digits=mnist5000"], "digits: has no effect with model=linear in any run of this sweep"),
        (["--ratio=0.3"], "ratio: has no effect with modes=1 in any run of this sweep"),
        (["--preset=digits", "--spectrum=1"], "spectrum: has no effect with model=relu in any run of this sweep"),
    ],
)
def test_a_flag_without_effect_is_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, flags)


def test_summary_says_when_the_kernel_aligned_and_when_the_loss_fell():
    most = float(most_alignment(2, 30))
    coordinates = {
        "learning_rate": 0.1,
        "model": "linear",
        "spectrum": [0.0, 1.0],
        "modes": 1,
        "depth": 2,
        "inputs": 30,
    }
    coordinates |= {"strength": 1.0, "ratio": 0.5}
    results = xr.Dataset(
        {
            "relative_loss": (("run", "step"), [[1.0, 1.0, 0.5, 0.0]] * 2),
            "kernel_alignment": (("run", "step"), np.array([[0.0, 0.8, 1.0, 1.0]] * 2) * most),
            "turning_alignment": (("run", "step"), np.array([[0.0, 0.8, 0.9, 0.9]] * 2)),
            "mode_strengths": (("run", "step", "mode"), np.array([[[0.0], [0.0], [0.25], [1.0]]] * 2)),
        },
        coords={"step": [0, 10, 20, 30]} | {n: ("run", np.resize(v, 2)) for n, v in coordinates.items()},
    )
    summary = summarise(results)
    np.testing.assert_allclose(summary["alignment_time"], [1.5, np.nan])
    np.testing.assert_allclose(summary["aligned"].values[0], [0, 0.8, 1, 1])
    np.testing.assert_allclose(summary["turning_step"], 12)
    np.testing.assert_allclose(summary["turning_time"], 1.2)
    np.testing.assert_allclose(summary["half_time"], 2)
    np.testing.assert_allclose(summary["silent_alignment"], [0.9 / most, 0.9])  # a share, where the largest is known
    np.testing.assert_allclose(summary["mode_times"], [[2 + 1 / 3]] * 2)
