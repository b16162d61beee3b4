"""The devices at hand: one mesh over all of them, what they are called and how much memory they have."""

from __future__ import annotations

import dataclasses
import os

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from phenom_jax.device import processes

MEBIBYTE = 2**20
MOST_PER_CORE = 8  # CPU devices: each has threads of its own, a thousand start for minutes
SHARE_OF_FREE_MEMORY = {"cpu": 0.5, "gpu": 0.9, "tpu": 0.9}


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices that share the run axis."""

    mesh: Mesh
    platform: str  # cpu, gpu or tpu
    kind: str  # as the runtime names it
    count: int


def cores() -> int:
    """Returns the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def all_devices(axis: str) -> Devices:
    """Returns every device of every process on a mesh of one axis."""
    devices = jax.devices()
    mesh = jax.make_mesh((len(devices),), (axis,), axis_types=(AxisType.Auto,))
    platform = devices[0].platform
    return Devices(mesh, platform if platform in ("cpu", "tpu") else "gpu", devices[0].device_kind, len(devices))


def memory_budget(devices: Devices) -> int:
    """Returns the bytes that one device's lanes and their temporaries may take; several processes agree on it."""
    share = SHARE_OF_FREE_MEMORY[devices.platform]
    here = devices.mesh.local_devices
    stats = here[0].memory_stats()
    if stats and "bytes_limit" in stats:
        free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    else:
        free = _host_memory() / len(here)
    return int(processes.agreed(np.int32(share * free / MEBIBYTE))) * MEBIBYTE


def _host_memory() -> int:
    """Returns the bytes of host memory that are free, within the limit of this process's control group."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/sys/fs/cgroup/memory.max") as limit, open("/sys/fs/cgroup/memory.current") as current:
            return min(free, int(limit.read()) - int(current.read()))
    except (OSError, ValueError):
        return free
