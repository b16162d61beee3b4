"""Optimisers with traced numbers against optax with constants and against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from phenom_jax.optim import OPTIMIZERS, adam, adamw, decay, grokfast, sgd

START = np.array([1.0, -2.0, 0.5])
TARGET = np.array([0.3, 0.1, -1.0])
STEPS = 25


def gradient(w):
    return np.array([1.0, 3.0, 10.0]) * (w - TARGET) + np.sin(5 * w)


def path(optimizer) -> jax.Array:
    """Returns the weights after each step, float[STEPS, 3]."""
    scales, target = jnp.array([1.0, 3.0, 10.0]), jnp.asarray(TARGET, jnp.float32)

    def body(carry, _):
        w, state = carry
        updates, state = optimizer.update(scales * (w - target) + jnp.sin(5 * w), state, w)
        w = optax.apply_updates(w, updates)
        return (w, state), w

    w = jnp.asarray(START, jnp.float32)
    return jnp.asarray(jax.lax.scan(body, (w, optimizer.init(w)), None, STEPS)[1])


def numpy_path(update):
    w, path = START, []
    for count in range(1, STEPS + 1):
        w = w + update(gradient(w), w, count)
        path.append(w)
    return np.array(path)


class NumpyAdam:
    """Kingma, Ba 2015, algorithm 1, in float64."""

    def __init__(self, beta1, beta2):
        self.beta1, self.beta2, self.m, self.v = beta1, beta2, 0.0, 0.0

    def __call__(self, g, count):
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g**2
        return self.m / (1 - self.beta1**count) / (np.sqrt(self.v / (1 - self.beta2**count)) + 1e-8)


def test_adamw_equals_optax_with_constants():
    ours = path(adamw(0.05, weight_decay=0.3, momentum=0.9, second_momentum=0.98))
    np.testing.assert_allclose(ours, path(optax.adamw(0.05, 0.9, 0.98, weight_decay=0.3)), rtol=1e-5)


@pytest.mark.parametrize("decay_to", ["zero", "start"])
@pytest.mark.parametrize("warmup", [0, 10])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_equal_numpy(name, warmup, decay_to):
    anchor = START if decay_to == "start" else 0.0
    moments, trace = NumpyAdam(0.8, 0.95), 0.0

    def update(g, w, count):
        nonlocal trace
        rate = 0.03 * min(1, count / max(warmup, 1))
        coupled = g + 0.4 * (w - anchor)
        trace = 0.8 * trace + coupled
        direction = {
            "adamw": lambda: moments(g, count) + 0.4 * (w - anchor),
            "adam": lambda: moments(coupled, count),
            "sgd": lambda: trace,
        }[name]()
        return -rate * direction

    optimizer = OPTIMIZERS[name](
        0.03, weight_decay=0.4, momentum=0.8, second_momentum=0.95, warmup=warmup, decay_to=decay_to
    )
    np.testing.assert_allclose(path(optimizer), numpy_path(update), rtol=2e-4, atol=2e-5)


def test_numbers_may_be_traced_and_differ_between_lanes():
    decays, rates = jnp.array([0.0, 0.3, 1.0]), jnp.array([0.1, 0.05, 0.01])
    for build in (adamw, adam, sgd):
        lanes = jax.jit(jax.vmap(lambda rate, decay, build=build: path(build(rate, weight_decay=decay))))(rates, decays)
        for lane, rate, decay_ in zip(lanes, rates.tolist(), decays.tolist()):
            np.testing.assert_allclose(lane, path(build(rate, weight_decay=decay_)), rtol=1e-4, atol=1e-5)


def test_grokfast_adds_the_slow_gradients_starting_from_the_first():
    slow = None

    def update(g, w, count):
        nonlocal slow
        slow = g if slow is None else 0.9 * slow + 0.1 * g
        return -0.01 * (g + 2.0 * slow)

    ours = path(optax.chain(grokfast(gain=2.0, memory=0.9), optax.sgd(0.01)))
    np.testing.assert_allclose(ours, numpy_path(update), rtol=1e-4, atol=1e-5)


def test_grokfast_without_gain_changes_nothing():
    np.testing.assert_array_equal(path(optax.chain(grokfast(0.0), optax.sgd(0.01))), path(optax.sgd(0.01)))


def test_decay_alone_returns_to_its_anchor():
    pulled = path(optax.chain(optax.set_to_zero(), decay(0.5, "start"), optax.scale(-1.0)))
    np.testing.assert_array_equal(pulled, np.broadcast_to(START, (STEPS, 3)))
    shrunk = path(optax.chain(optax.set_to_zero(), decay(0.5, "zero"), optax.scale(-1.0)))
    np.testing.assert_allclose(shrunk, START[None] * 0.5 ** np.arange(1, STEPS + 1)[:, None], rtol=1e-6)


def test_the_step_size_falls_as_the_inverse_root_of_periods_gone_by():
    slowed, plain = (
        path(sgd(0.01, weight_decay=0.0, momentum=0.0, slow_every=4)),
        path(sgd(0.01, weight_decay=0.0, momentum=0.0)),
    )
    np.testing.assert_array_equal(slowed[:4], plain[:4])
    expected = numpy_path(lambda g, w, count: -0.01 * g / np.sqrt(1 + (count - 1) // 4))
    np.testing.assert_allclose(slowed, expected, rtol=1e-5)
