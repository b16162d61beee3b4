"""The product of three factors: its loss against the tensor itself, clamping, padding, and its claims."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments.three_factors import CLAIMS, ThreeFactors, experiment, init, loss, measure, step, summarise
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.results.claims import decide_all
from phenom_jax.sizes import Size, exactly
from phenom_jax.sweep.axes import parse_sweep


@functools.partial(jax.jit, static_argnums=1)
def train(hp, steps):
    """Returns the measures after each step and the last state."""

    def body(state, _):
        state, _ = step(state, hp, jax.random.key(0))
        return state, measure(state, hp)

    return jax.lax.scan(body, init(hp), length=steps)


def test_loss_is_that_of_the_tensors():
    factors, targets = np.random.default_rng(0).normal(size=(2, 3, 5))
    tensors = [np.einsum("i,j,k", *vectors) for vectors in (factors, targets)]
    expected = 0.5 * np.square(tensors[0] - tensors[1]).mean()
    np.testing.assert_allclose(loss(jnp.asarray(factors), jnp.asarray(targets), exactly(5)), expected, rtol=1e-5)


@pytest.mark.usefixtures("float64")
def test_with_two_clamped_the_loss_decays_as_its_closed_form_and_padding_changes_nothing():
    hps = [ThreeFactors(clamped=jnp.int32(2), dimension=Size(20, padded)) for padded in (20, 23)]
    (state, measured), (_, inside) = (train(hp, 60) for hp in hps)
    # the error of the free factor shrinks by 1 - 1/D in every step
    decayed = measured.loss[0] * (1 - 1 / 20) ** (2 * np.arange(60))
    np.testing.assert_allclose(measured.loss, decayed, rtol=1e-9)
    assert np.flatnonzero(measured.loss < 0.01)[0] + 1 in range(44, 49)  # published 46
    np.testing.assert_allclose(inside.loss, measured.loss, rtol=1e-9)
    np.testing.assert_array_equal(state.factors_3xD[:2], state.targets_3xD[:2])
    np.testing.assert_allclose(np.square(state.targets_3xD).sum(1), 20, rtol=1e-5)


def made(steps_to_learn, plateaus, seeds=8):
    """Returns a sweep in which the loss with c clamped leaves its plateau and is learnt at given steps."""
    grid = np.arange(0, 1001)
    rows = [(seed, clamped) for seed in range(seeds) for clamped in range(3)]
    losses = np.ones((len(rows), len(grid)))
    for row, (seed, clamped) in enumerate(rows):
        losses[row, grid >= plateaus[clamped] + seed % 3] = 0.5
        losses[row, grid >= steps_to_learn[clamped] + seed % 3] = 0.001
    fixed = {"scale": 0.1, "learning_rate": 1.0, "dimension": 20, "status": "done"}
    coords = {name: ("run", [value] * len(rows)) for name, value in fixed.items()}
    coords |= {"seed": ("run", [s for s, _ in rows]), "clamped": ("run", [c for _, c in rows]), "step": grid}
    return summarise(xr.Dataset({"loss": (("run", "step"), losses)}, coords))


@pytest.mark.parametrize(
    "steps, plateaus, verdicts",
    [
        ((800, 160, 46), (700, 60, 1), ["holds", "holds"]),
        ((300, 160, 160), (100, 60, 60), ["fails", "fails"]),
    ],
)
def test_claims_tell_true_from_false(steps, plateaus, verdicts):
    found = decide_all(CLAIMS, made(steps, plateaus))
    assert [found[name].verdict for name in ("sooner", "plateau")] == verdicts
    assert found["sooner"].numbers["median_0"] == pytest.approx(steps[0] + 1, abs=1)


def test_claims_without_enough_seeds_are_undecided():
    found = decide_all(CLAIMS, made((800, 160, 46), (700, 60, 1), seeds=3))
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    assert all("at least 6 seeds" in decision.statistic for decision in found.values())


def test_bad_values_and_presets():
    with pytest.raises(InvalidValue, match="clamped: 3 is not at least 0 and at most 2"):
        build(ThreeFactors, {"clamped": 3})
    assert len(parse_sweep(ThreeFactors, experiment.presets[""].flags)) == 450
