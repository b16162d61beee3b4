"""Scores of heads on patterns that are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.measures.attention import copying, in_context, prefix_matching, previous_token

TOKENS = jnp.array([[0, 1, 2, 0, 1, 2], [2, 2, 0, 1, 2, 0]])
QUERIES = np.arange(6) >= 3


def pattern(attended):
    """Returns a pattern in which each query attends to one position alone."""
    return jnp.asarray(np.eye(6)[attended])[:, None]


def test_an_induction_head_scores_one_and_its_neighbours_zero():
    exact = pattern([[0, 0, 0, 1, 2, 3], [0, 1, 0, 0, 1, 3]])
    # the second sequence: token 1 at 3 has no earlier one; 2 at 4 was followed by 2 (at 1) and by 0 (at 2)
    assert prefix_matching(exact, TOKENS, QUERIES)[0] == pytest.approx((3 + 2) / 6)
    shifted = pattern([[0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 0, 2]])
    assert prefix_matching(shifted, TOKENS, QUERIES)[0] == 0


def test_prefix_matching_adds_attention_to_all_earlier_occurrences():
    even = jnp.asarray(np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None])[None, None]
    tokens = TOKENS[0].tolist()
    counted = [
        sum(tokens[j - 1] == tokens[i] and j <= i for j in range(1, 6)) / (i + 1) for i in range(6) if QUERIES[i]
    ]
    assert prefix_matching(even, TOKENS[:1], QUERIES)[0] == pytest.approx(np.mean(counted))


def test_previous_token_is_read_below_the_diagonal():
    before = pattern([[0, 0, 1, 2, 3, 4], [0, 0, 1, 0, 0, 0]])
    assert previous_token(before, np.arange(6) > 0)[0] == pytest.approx((5 + 2) / 10)
    assert previous_token(before, np.arange(6) == 2)[0] == 1


def test_copying_is_the_order_of_the_own_logit():
    circuits = jnp.stack([jnp.eye(4), -jnp.eye(4), jnp.zeros((4, 4)), jnp.arange(16.0).reshape(4, 4)])[:, None]
    np.testing.assert_allclose(copying(circuits)[:, 0], [1, -1, 0, 0])


def test_in_context_is_late_less_early():
    assert in_context(jnp.arange(8.0)[None]) == 6.0
