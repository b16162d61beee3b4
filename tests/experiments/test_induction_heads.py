"""The induction-head experiment of one run: its phenomenon, its measures and refusals."""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from experiments.induction_heads import experiment
from experiments.induction_heads.science import InductionHeads, baselines, draw, init, layout, measure, step, summarise
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size

SMALL: dict[str, Any] = {"width": Size(8, 8), "batch_size": Size(4, 4), "length": 8, "symbols": 4}
SMALL |= {"probe_block": 3, "probe_repeats": 2}


@pytest.mark.usefixtures("float64")
def test_a_head_forms_as_the_loss_falls():
    """Seed 3, in float64, is on its plateau at step 180 and has solved the task with an induction head by 420."""

    hp = InductionHeads(seed=jnp.int32(3))

    @functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
    def further(state, begin):
        def body(state, count):
            return step(state, hp, jax.random.fold_in(jax.random.key(hp.seed), count))

        state, metrics = jax.lax.scan(body, state, begin + jnp.arange(60))
        return state, measure(state, hp), metrics.gradient_norm

    state, measured, norms = jax.jit(init, compiler_options=QUICK_TO_COMPILE)(hp), [], []
    for begin in range(0, 420, 60):
        state, *seen = further(state, begin)
        measured.append(seen[0])
        norms.append(seen[1])
    plateau, solved, gradient_norm = measured[2], measured[-1], jnp.concatenate(norms)
    assert plateau.loss > 1.6 and plateau.prefix_matching < 0.2
    assert solved.loss < 0.2 and solved.prefix_matching > 0.8 and solved.accuracy > 0.95
    assert solved.head_copying[1, 0] > 0.8 and solved.head_previous_token[0, 0] > 2 * plateau.head_previous_token[0, 0]
    assert 200 < 100 + gradient_norm[100:].argmax() < 400


def test_measures_equal_a_computation_with_plain_indexing():
    hp, told = InductionHeads(**SMALL, task="repeated", start_token=True), [5, 6, 7]

    @functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
    def measured():
        state, tokens = init(hp), draw(jax.random.key(0xE7A1), 128, hp)
        return measure(state, hp), tokens, state.model(tokens, hp.width)

    found, tokens, seen = measured()
    logits = np.asarray(seen.logits_NxQxT, float)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = -np.take_along_axis(log_p[:, :-1], np.asarray(tokens)[:, 1:, None], 2)[..., 0]
    assert layout(hp).told.tolist() == told and layout(hp).asked.tolist() == list(range(8))
    np.testing.assert_allclose(found.loss, losses[:, told].mean(), rtol=1e-5)
    np.testing.assert_allclose(found.in_context, losses[:, 6:].mean() - losses[:, :2].mean(), rtol=1e-4)
    by_head = [
        np.mean([pattern[n, 0, q, 1 : q + 1][tokens[n, :q] == tokens[n, q]].sum() for n in range(128) for q in told])
        for pattern in seen.patterns
    ]
    np.testing.assert_allclose(found.head_prefix_matching[:, 0], by_head, rtol=1e-4)
    assert found.prefix_matching == found.head_prefix_matching.max() and np.isnan(found.unigram_divergence)


def test_a_model_that_guesses_is_as_far_from_the_counting_predictors_as_they_are_from_even():
    values: dict[str, Any] = SMALL | {"symbols": 3, "task": "markov", "start_token": True}
    hp = InductionHeads(**values)
    tokens = np.array([[3, 0, 1, 1, 2, 0, 1, 0, 2]])
    found = baselines(jnp.zeros((1, 9, 4)).at[..., 3].set(-50.0), jnp.asarray(tokens), hp)
    counts = np.array([[1 + (tokens[0, 1 : 2 + place] == symbol).sum() for symbol in range(3)] for place in range(8)])
    shares = counts / counts.sum(1, keepdims=True)
    expected = np.log(3) + (shares * np.log(shares)).sum(1).mean()
    np.testing.assert_allclose(found["unigram_divergence"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["unigram_loss"], -np.log(shares[np.arange(7), tokens[0, 2:]]).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["uniform_loss"], np.log(3), rtol=1e-6)


def test_recall_asks_at_the_second_keys_and_has_its_sources_at_the_first_values():
    found = layout(InductionHeads(**SMALL, start_token=True))
    assert found.told.tolist() == found.asked.tolist() == [5, 7]
    assert found.sources.tolist() == [2, 4] and found.answers == slice(4, 8)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"length": 30}, "length: 30 is not a multiple of 4"),
        ({"length": 40}, "length: 40 holds 10 different keys, symbols=8 allows fewer"),
        ({"task": "repeated", "repeats": 3}, "repeats: 3 does not divide length=32"),
        ({"task": "repeated", "repeats": 32}, "repeats: 32 of one token leave nothing to match, length=32"),
        ({"heads": 5}, "heads: 5 does not divide width=32"),
        ({"positions": "learned"}, "probe_block: 25 x probe_repeats=4 and a start token are 101 tokens, beyond the 32"),
        ({"length": 3}, "length: 3 is not at least 4"),
        ({"task": "copy"}, "task: 'copy' is not one of recall, repeated, markov"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(InductionHeads, values)


def test_a_flag_without_effect_is_refused():
    with pytest.raises(InvalidValue, match="repeats: has no effect with task=recall in any run of this sweep"):
        parse(experiment, ["--repeats=4"])


def test_summary_says_when_what_happened():
    nan, steps = np.nan, [0, 10, 20, 30, 40, 50]
    row = {
        "loss": [3.0, 1.9, 1.8, 1.0, 0.3, 0.0],
        "gradient_norm": [nan, 2.0, 1.0, 1.5, 0.5, 0.9],
        "prefix_matching": [0.0, 0.1, 0.2, 0.6, 0.9, 1.0],
        "probe_matching": [0.0, 0.1, 0.1, 0.2, 0.5, 0.5],
        "in_context": [0.0, 0.0, -0.1, -0.6, -0.9, -1.0],
        "unigram_divergence": [0.3, 0.1, 0.02, 0.05, 0.1, 0.2],
        "bigram_divergence": [0.4, 0.2, 0.15, 0.1, 0.1, 0.05],
    }
    tasks, varied = ["recall", "repeated", "markov"], [False, False, False]
    curves = {name: (("run", "step"), [values] * 3) for name, values in row.items()}
    coords = {"step": steps, "task": ("run", tasks), "symbols": ("run", [8, 8, 3]), "varied": ("run", varied)}
    arrays = {"head_copying": (("run", "step", "layer", "head"), np.zeros((3, 6, 2, 1)))}
    found = summarise(xr.Dataset(curves | arrays, coords))
    guess = np.log(8)
    leave = 20 + 10 * (1.8 - 0.8 * guess) / 0.8
    solve = 30 + 10 * (1.0 - 0.25 * guess) / 0.7
    expected = {
        "leave": [leave, leave, nan],
        "solve": [solve, solve, nan],
        "fall": [25, 25, nan],
        "match": [27.5, 40, nan],
        "peak": [30 - 19, 30 - 19, nan],
        "unigram": [20, 20, 20],
        "bigram": [40, 40, 40],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[f"{name}_step"], values, err_msg=name)
