"""Fourier measures against numpy's transforms, dense projections and networks that are trigonometry."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from there import there

from phenom_jax.measures.fourier import excluded_loss, gini, key_frequencies, logit_spectrum, restricted_loss, spectrum
from phenom_jax.tasks.modular import Cyclic, Table, table

P = 13
RANDOM = np.random.default_rng(0)
OPERATIONS = ["add", "subtract", "multiply", "divide"]


def group(questions: Table) -> Cyclic:
    return there(questions.cyclic)


def exponents(questions):
    """Returns, of each usable row of the table, its row number, the sum of its group elements and their number n."""
    tokens_n, cosets_nxn = group(questions)
    rows = np.sort(cosets_nxn.ravel())
    sums = np.array([np.argwhere(cosets_nxn == row)[0, 0] for row in rows])
    return rows, sums, len(tokens_n)


def loss(logits, labels):
    return -scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels]


def wave_logits(questions, frequency, height):
    """Returns logits height cos w(a + b - c), the trigonometric solution in one frequency, float[P, classes]."""
    rows, sums, order = exponents(questions)
    logits = np.zeros((len(questions.answers_P), questions.classes))
    tokens_n = group(questions).tokens_n
    phases = 2 * np.pi * frequency * (sums[:, None] - np.arange(order)[None, :]) / order
    logits[np.ix_(rows, tokens_n)] = height * np.cos(phases)
    return jnp.asarray(logits, jnp.float32)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_trigonometric_network_is_all_in_its_frequency(operation):
    questions = table(operation, P)
    rows, _, order = exponents(questions)
    logits = wave_logits(questions, 3, 40.0)
    is_train = jnp.asarray(RANDOM.random(len(logits)) < 0.5)
    arguments = (questions.answers_P, group(questions).cosets_nxn)
    third, others = jnp.arange(1, order // 2 + 1) == 3, jnp.arange(1, order // 2 + 1) != 3
    full = loss(logits, questions.answers_P)[rows].mean()
    flat = np.log(questions.classes)
    labels = jnp.asarray(arguments[0])
    np.testing.assert_allclose(restricted_loss(logits, *arguments, third), full, rtol=1e-3)
    np.testing.assert_allclose(restricted_loss(logits, *arguments, third, ~is_train), full, rtol=1e-3)
    np.testing.assert_allclose(restricted_loss(logits, *arguments, others), flat, rtol=1e-4)
    np.testing.assert_allclose(excluded_loss(logits, labels, is_train, arguments[1], third), flat, rtol=1e-4)
    without_others = excluded_loss(logits, labels, is_train, arguments[1], others)
    np.testing.assert_allclose(without_others, full, rtol=1e-3)


@pytest.mark.parametrize("modulus", [13, 12])
@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_projections_equal_least_squares_on_the_waves(operation, modulus):
    questions = table(operation, modulus)
    logits = 3 * RANDOM.normal(size=(modulus**2, modulus)).astype(np.float32)
    labels = RANDOM.integers(0, modulus, modulus**2)
    is_train = RANDOM.random(modulus**2) < 0.4
    is_key = np.arange(1, modulus // 2 + 1) % 3 == 0
    x, y = questions.pairs_Px2.T
    total = x + y if operation == "add" else x - y
    angles = 2 * np.pi * np.outer(total, 1 + np.flatnonzero(is_key)) / modulus
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    kept = waves @ np.linalg.lstsq(waves, logits)[0]
    arguments = (group(questions).cosets_nxn, jnp.asarray(is_key))
    restricted = loss(logits.mean(0)[None] + kept, questions.answers_P).mean()
    np.testing.assert_allclose(
        restricted_loss(jnp.asarray(logits), questions.answers_P, *arguments), restricted, rtol=1e-4
    )
    excluded = loss(logits - kept, labels)[is_train].mean()
    ours = excluded_loss(jnp.asarray(logits), jnp.asarray(labels), jnp.asarray(is_train), *arguments)
    np.testing.assert_allclose(ours, excluded, rtol=1e-4)


def test_memorised_pairs_lower_the_restricted_loss_but_not_that_of_test_pairs():
    """A table look-up of the train pairs, silent elsewhere, has not generalised."""
    questions = table("add", P)
    is_train = RANDOM.random(P * P) < 0.5
    logits = jnp.asarray(20.0 * (is_train[:, None] & np.eye(P, dtype=bool)[questions.answers_P]), jnp.float32)
    arguments = (questions.answers_P, group(questions).cosets_nxn, jnp.ones(P // 2, bool))
    assert restricted_loss(logits, *arguments) < 0.1
    np.testing.assert_allclose(restricted_loss(logits, *arguments, jnp.asarray(~is_train)), np.log(P), rtol=1e-5)


@pytest.mark.parametrize("order", [13, 12])
def test_spectrum_equals_the_fast_fourier_transform(order):
    embedding = RANDOM.normal(size=(order, 5)).astype(np.float32)
    power = (np.abs(np.fft.fft(embedding, axis=0)) ** 2).sum(1)[1:]
    folded = [power[k - 1] + power[order - k - 1] * (2 * k != order) for k in range(1, order // 2 + 1)]
    np.testing.assert_allclose(spectrum(jnp.asarray(embedding), np.arange(order)), folded / power.sum(), rtol=1e-4)


def test_spectrum_follows_the_order_of_the_group_and_ignores_the_mean():
    tokens = group(table("multiply", P)).tokens_n
    embedding = np.zeros((P, 2), np.float32)
    embedding[tokens, 0] = 7 + np.sin(2 * np.pi * 4 * np.arange(12) / 12)
    shares = np.asarray(spectrum(jnp.asarray(embedding), tokens))
    np.testing.assert_allclose(shares, np.arange(1, 7) == 4, atol=1e-5)
    assert not spectrum(jnp.zeros((P, 2)), tokens).any()


def test_key_frequencies_have_twice_an_even_share():
    assert key_frequencies(jnp.array([0.5, 0.3, 0.10, 0.05, 0.05])).tolist() == [True, False, False, False, False]


def test_a_network_that_uses_all_frequencies_alike_has_no_key():
    """Of the perceptrons' 29 frequencies 25 to 29 were key once, so that nothing was restricted."""
    assert not key_frequencies(jnp.full(29, 1 / 29)).any()
    assert key_frequencies(jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(29)))).sum() <= 14


def test_the_logits_of_a_trigonometric_network_are_in_its_frequency():
    questions = table("add", P)
    logits = wave_logits(questions, 3, 2.0) + wave_logits(questions, 5, 1.0)
    shares = logit_spectrum(jnp.asarray(logits), group(questions).cosets_nxn)
    np.testing.assert_allclose(shares, [0, 0, 0.8, 0, 0.2, 0], atol=1e-5)
    assert not logit_spectrum(jnp.zeros_like(logits), group(questions).cosets_nxn).any()


@pytest.mark.parametrize("norms", [[1, 1, 1], [0, 0, 5], [3, 1, 2, 2], [0, 0]])
def test_gini_equals_its_definition(norms):
    norms = np.array(norms, np.float32)
    count, total = len(norms), norms.sum()
    definition = np.abs(norms[:, None] - norms[None, :]).sum() / (2 * count * total) if total else 0
    np.testing.assert_allclose(gini(jnp.asarray(norms)), definition, rtol=1e-6)
