"""What neighbouring lanes share: computed once for runs that agree in all it depends on.

Runs that differ in a ridge or a noise level alone draw the same data. `shared` computes such a part for one run as any
function does; in lanes side by side on CPU it goes from lane to lane and computes anew only where the lane before is
another. On accelerators, where one lane at a time would leave them idle, it computes all lanes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def shared(*stages: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Returns a function of as many keys as stages, whose value is that of the last stage.

    Stage i is called as `stage(key_i, value of the stage before)`, None before the first. Batched over lanes on CPU it
    is called only where its key or an earlier one differs from that of the lane before. A key must hold, as arrays,
    everything its stage depends on beside the stage before; the value of a stage but the last is held once, not for
    every lane. Inside, LAPACK and `jax.lax.cond` see one lane.

    Args:
      stages: pure functions that return pytrees of arrays.
    """

    def one(keys: tuple[Any, ...]) -> Any:
        value = None
        for stage, key in zip(stages, keys, strict=True):
            value = stage(key, value)
        return value

    chain = jax.custom_batching.custom_vmap(one)

    @chain.def_vmap
    def over_lanes(lanes: int, batched: Any, keys: tuple[Any, ...]) -> tuple[Any, Any]:
        spread = jax.tree.map(
            lambda x, own: x if own else jnp.broadcast_to(x, (lanes, *jnp.shape(x))), keys, batched[0]
        )
        found = jax.lax.platform_dependent(spread, cpu=one_after_the_other, default=jax.vmap(one))
        return found, jax.tree.map(lambda _: True, found)

    def one_after_the_other(spread: tuple[Any, ...]) -> Any:
        first = jax.tree.map(lambda x: x[0], spread)
        shapes, value = [], None
        for stage, key in zip(stages, first, strict=True):
            value = jax.eval_shape(stage, key, value)
            shapes.append(value)
        empty = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

        def lane(before: tuple[Any, Any, jax.Array], keys: tuple[Any, ...]) -> tuple[Any, Any]:
            earlier, kept, anything = before
            fresh, value, values = ~anything, None, []
            for stage, key, old, result in zip(stages, keys, earlier, kept, strict=True):
                fresh = fresh | ~_equal(key, old)
                value = jax.lax.cond(fresh, stage, lambda _key, _value, result=result: result, key, value)
                values.append(value)
            return (keys, values, jnp.asarray(True)), value

        return jax.lax.scan(lane, (first, empty, jnp.asarray(False)), spread)[1]

    return lambda *keys: chain(keys)


def _equal(one: Any, other: Any) -> jax.Array:
    parts = [jnp.all(a == b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)]
    return jnp.all(jnp.stack(parts)) if parts else jnp.asarray(True)
