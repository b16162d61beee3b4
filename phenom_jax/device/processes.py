"""Several processes that train one sweep together: what they agree on, and arrays that lie on the devices of all.

Every process runs the same program on a mesh over all devices and takes the same decisions; the first alone writes
results. With one process all of this is the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

from phenom_jax.hparams import InvalidValue

T = TypeVar("T")


class Group(NamedTuple):
    """The processes that train together, as far as the command line says; JAX finds out the rest from the scheduler."""

    coordinator_address: str | None  # host:port of the first process
    num_processes: int | None
    process_id: int | None


def join(group: Group) -> None:
    """Makes this process one of the group; before JAX's first operation.

    Raises:
      InvalidValue: neither the flags nor a scheduler that JAX knows say who the others are, or they do not answer.
    """
    try:
        jax.distributed.initialize(*group)
    except (ValueError, RuntimeError) as error:
        raise InvalidValue(
            f"distributed: {str(error).splitlines()[0]} Where no scheduler says who takes part, give "
            "--coordinator_address=HOST:PORT of the first process, --num_processes and --process_id"
        ) from None


def several() -> bool:
    """Whether more than one process trains this sweep."""
    return jax.process_count() > 1


def first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def agreed(value: Any) -> np.ndarray:
    """Returns the first process's value, of equal shape and dtype, on every process."""
    return np.asarray(multihost_utils.broadcast_one_to_all(np.asarray(value)) if several() else value)


def anywhere(flags: Any) -> np.ndarray:
    """Returns bool[n], each flag True where it is True on some process."""
    flags = np.asarray(flags, bool)
    return multihost_utils.process_allgather(flags).any(0) if several() else flags


def on_first(action: Callable[[], T]) -> T | None:
    """Returns what `action` returns on the first process, None on the others, which wait for it.

    Raises:
      InvalidValue: on every process, where the first one's `action` raised it.
    """
    found, refused = None, None
    if first():
        try:
            found = action()
        except InvalidValue as error:
            refused = error
    if agreed(refused is not None):
        raise refused or InvalidValue("refused by the first process")
    return found


def to_host(tree: Any) -> Any:
    """Returns the arrays of `tree` as NumPy arrays, whole on every process."""
    if not several():
        return jax.device_get(tree)

    def read(array: Any) -> np.ndarray:
        local = not isinstance(array, jax.Array) or array.is_fully_addressable
        return np.asarray(array) if local else multihost_utils.process_allgather(array, tiled=True)

    return jax.tree.map(read, tree)


def to_devices(tree: Any, sharding: Sharding) -> Any:
    """Returns the arrays of `tree`, equal on every process, laid out over the devices of all."""
    if not several():
        return jax.device_put(tree, sharding)

    def put(value: Any) -> jax.Array:
        array = np.asarray(value)
        array = array.astype(jax.dtypes.canonicalize_dtype(array.dtype))
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(put, tree)
