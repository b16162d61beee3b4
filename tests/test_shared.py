"""What lanes share is what each would have computed alone, computed as often as neighbours differ."""

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.shared import shared


def test_lanes_get_what_they_would_alone_and_equal_neighbours_compute_once():
    calls = []

    def first(key, _):
        jax.debug.callback(lambda seed: calls.append(("first", int(seed))), key["seed"])
        return {"square": key["seed"] ** 2 * jnp.ones(3), "one": jnp.int32(1)}

    def second(key, value):
        jax.debug.callback(lambda seed: calls.append(("second", int(seed))), key[0])
        return value["square"].sum() + key[1]

    def run(seed, ridge, noise):
        return shared(first, second)({"seed": seed}, (seed, ridge)) * noise

    seeds, ridges, noises = jnp.array([2, 2, 2, 0, 0, 2]), jnp.array([1, 1, 5, 5, 5, 5]), jnp.arange(6)
    together = jax.jit(jax.vmap(run))(seeds, ridges, noises)
    np.testing.assert_array_equal(together, (3 * seeds**2 + ridges) * noises)
    jax.effects_barrier()
    assert sorted(calls) == sorted([("first", s) for s in (2, 0, 2)] + [("second", s) for s in (2, 2, 0, 2)])
    assert run(seeds[0], ridges[0], noises[1]) == together[1]


def test_keys_that_no_lane_owns_are_shared_by_all():
    found = jax.vmap(lambda x: shared(lambda key, _: key[0] + key[1])((x, 10)))(jnp.arange(3))
    np.testing.assert_array_equal(found, [10, 11, 12])
