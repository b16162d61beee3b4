import jax
import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.measures.curvature import hessian_trace, top_curvature
from phenom_jax.measures.effective_rank import effective_rank
from phenom_jax.sizes import Size

KEY = jax.random.key(0)


def test_of_a_known_hessian_and_none_of_what_is_not_active():
    draw = np.random.default_rng(0).normal(size=(6, 6))
    hessian = jnp.asarray(draw @ draw.T, jnp.float32)
    active = jnp.arange(6) < 4

    def loss(weights):
        return weights @ hessian @ weights / 2 + weights[0] ** 3

    found = top_curvature(loss, jnp.zeros(6), KEY, iterations=100)
    assert found == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-3)
    inside = np.asarray(hessian)[:4, :4]
    assert top_curvature(loss, jnp.zeros(6), KEY, active, 100) == pytest.approx(
        np.linalg.eigvalsh(inside)[-1], rel=1e-3
    )
    trace = hessian_trace(loss, jnp.zeros(6), KEY, active, probes=400)
    assert abs(trace.mean - inside.trace()) < 4 * trace.standard_error < 0.2 * inside.trace()


def test_the_trace_of_a_diagonal_hessian_needs_one_probe():
    trace = hessian_trace(lambda w: jnp.sum(jnp.arange(3.0) * w**2) / 2, jnp.ones(3), KEY, probes=2)
    assert trace.mean == pytest.approx(3.0) and trace.standard_error == pytest.approx(0, abs=1e-6)


def test_effective_rank_counts_directions_of_equal_spread():
    directions = np.concatenate([np.eye(5)[:3], -np.eye(5)[:3]])
    assert effective_rank(jnp.asarray(directions)) == pytest.approx(3)
    assert effective_rank(jnp.asarray(1e-13 * directions)) == pytest.approx(3)
    assert effective_rank(jnp.ones((4, 3))) == 0
    padded = jnp.asarray(np.concatenate([directions, np.full((3, 5), 9.0)]))
    assert effective_rank(padded, Size(6, 9)) == pytest.approx(3)
