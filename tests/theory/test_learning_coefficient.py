import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from phenom_jax.theory.learning_coefficient import (
    deep_linear,
    half_jacobian_rank,
    normal_crossing,
    quadratic,
    reduced_rank,
)


@pytest.mark.parametrize(
    "widths, values", [((2, 2, 2), (1.5, 2, 2)), ((3, 3, 3, 3), (3, 4, 4.5, 4.5)), ((4, 3), (6, 6, 6, 6))]
)
def test_known_deep_linear_networks(widths, values):
    assert [deep_linear(widths, rank).value for rank in range(len(values))] == list(values)


def test_two_matrices_are_reduced_rank_regression():
    for widths in itertools.product(range(1, 7), repeat=3):
        for rank in range(min(widths) + 1):
            assert deep_linear(widths, rank) == pytest.approx(reduced_rank(*widths, rank=rank)), (widths, rank)


def test_a_rank_beyond_the_smallest_width_is_refused():
    with pytest.raises(ValueError, match="rank: 3 of widths"):
        deep_linear((4, 2, 4), 3)


@pytest.mark.parametrize("widths", [(2, 2, 2), (3, 3, 3, 3), (4, 3, 5)])
def test_at_full_rank_it_is_half_the_rank_of_the_jacobian(widths):
    draw = np.random.default_rng(0)
    weights = [jnp.asarray(draw.normal(size=(out, into))) for into, out in itertools.pairwise(widths)]

    def product(weights):
        whole = jnp.eye(widths[0])
        for weight in weights:
            whole = weight @ whole
        return whole

    assert half_jacobian_rank(product, weights) == deep_linear(widths, min(widths)).value


@pytest.mark.parametrize("prime, hidden, expected", [(3, 4, 16), (5, 6, 42)])
def test_quadratic_networks_on_modular_addition(prime, hidden, expected):
    """V (W x)² has half a Jacobian rank of K (3 p - 1) / 2 on generic x of 2 p coordinates: K scales change nothing.

    On the p² pairs of tokens alone K shifts between the two tokens change nothing either.
    """
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(100, 2 * prime))
    tokens = np.eye(prime)
    pairs = np.array([[*tokens[a], *tokens[b]] for a in range(prime) for b in range(prime)])
    weights = draw.normal(size=(2 * prime, hidden)), draw.normal(size=(hidden, prime))

    with jax.enable_x64(True):
        on_generic, on_pairs = (
            half_jacobian_rank(lambda w, x=x: jnp.square(x @ w[0]) @ w[1], jax.tree.map(jnp.asarray, weights))
            for x in (inputs, pairs)
        )
    assert on_generic == expected == hidden * (3 * prime - 1) / 2
    assert on_pairs == min(prime**3, hidden * (3 * prime - 2)) / 2


def test_quadratic_minimum():
    curvatures = np.array([1.0, 2, 5, 0, 0])
    assert quadratic(curvatures, 100, 1) == pytest.approx(1.492, abs=5e-4)
    assert quadratic(curvatures, 100, 1, step_size=2e-3) == pytest.approx(1.740, abs=5e-4)


def test_normal_crossings():
    assert normal_crossing((1, 1), 1e3, 1) == pytest.approx(0.390, abs=5e-4)
    assert normal_crossing((1, 2), 1e3, 1) < normal_crossing((1, 2), 1e6, 1) < 0.25
    n_beta, gamma = 50.0, 2.0

    def integral(weigh):
        def density(second, first):
            loss = first**2 * second**4
            return weigh(loss) * np.exp(-n_beta * loss - gamma * (first**2 + second**2) / 2)

        return integrate.dblquad(density, 0, 8, 0, 8, epsabs=1e-9)[0]

    expected = integral(lambda loss: n_beta * loss) / integral(lambda loss: 1.0)
    assert normal_crossing((1, 2), n_beta, gamma) == pytest.approx(expected, rel=1e-3)
