"""How many runs side by side, how many one after the other: measured per bucket and machine, then remembered.

The fastest number of lanes is not the largest. Large models on a CPU are fastest one at a time per core, where
activations stay in cache; small ones want the widest vmap. A short probe times groups of growing size on the bucket's
own program.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from phenom_jax.engine.config import Settings
from phenom_jax.engine.devices import Devices, memory_budget
from phenom_jax.engine.program import Grid, Layout, Program, lane_shapes, stack_hps
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.plan import MACHINES, Bucket

CHUNK_SECONDS = 1.0  # between two looks of the host
PROBE_SECONDS = 0.15
WORTH_PROBING_SECONDS = 20.0  # shorter buckets take the first group size that was timed
GAIN = 1.03  # a larger group must be this much faster
STRIDE = 4
FULL_GROUP_FLOPS = {"cpu": 3e7, "gpu": 1e10, "tpu": 1e10}  # work of a step that fills one device
MOST_GROUPS = {"cpu": 8, "gpu": 1, "tpu": 1}  # per device; several even out runs that end at different times
LEAST_STEP_FLOPS = 2e6  # what dispatching the operations of a small step costs, in FLOPs


class Probe(NamedTuple):
    """What was measured of one group size on all devices at once."""

    lanes: int
    tick_seconds: float  # one tick of one group
    temporary_bytes: int  # per device


class Lanes(NamedTuple):
    """The layout chosen for a bucket and how many ticks one chunk runs."""

    layout: Layout
    ticks: int
    run_steps_per_second: float  # as probed, 0 if it was not
    bytes_per_device: int


def choose(experiment: Experiment, bucket: Bucket, grid: Grid, settings: Settings, devices: Devices) -> Lanes:
    """Returns the fastest layout that fits in memory, from the settings, the memory of earlier probes or a probe.

    Raises:
      InvalidValue: not even one lane per device fits, or `--lanes` does not divide into devices and groups.
    """
    per_device = math.ceil(len(bucket.runs) / devices.count)
    per_lane = _lane_bytes(experiment, bucket, grid)
    probe = _fixed(experiment, bucket, settings, devices) or _remembered(experiment, bucket, grid, settings, devices, per_device, per_lane)
    if probe is None:
        probe = _climb(experiment, bucket, grid, settings, devices, _most_lanes(per_lane, per_device, devices))
        _remember(probe, experiment, bucket, grid, settings, devices, per_device, per_lane)
    groups = _groups(probe, per_lane, per_device, settings, devices)
    resolution = experiment.schedule.resolution
    longest = max(experiment.steps(run.values) for run in bucket.runs) // resolution
    ticks = round(CHUNK_SECONDS / (probe.tick_seconds * groups))
    return Lanes(
        layout=Layout(devices.count, groups, probe.lanes),
        ticks=max(1, min(ticks, longest)),
        run_steps_per_second=devices.count * probe.lanes * resolution / probe.tick_seconds,
        bytes_per_device=_need(per_lane, groups, probe),
    )


def _fixed(experiment: Experiment, bucket: Bucket, settings: Settings, devices: Devices) -> Probe | None:
    """Returns what the settings fix, with the nominal time of a tick in place of a measured one."""
    if settings.group is None:
        return None
    rate = MACHINES[devices.platform].flops_per_second
    flops = max(bucket.step_flops, LEAST_STEP_FLOPS) * settings.group * experiment.schedule.resolution
    return Probe(settings.group, flops / rate, 0)


def _groups(probe: Probe, per_lane: int, per_device: int, settings: Settings, devices: Devices) -> int:
    if settings.lanes is not None:
        groups, rest = divmod(settings.lanes, devices.count * probe.lanes)
        if rest or not groups:
            raise InvalidValue(
                f"lanes: {settings.lanes} is not a multiple of {devices.count} devices x groups of {probe.lanes}"
            )
        return groups
    groups = min(math.ceil(per_device / probe.lanes), MOST_GROUPS[devices.platform])
    while groups > 1 and _need(per_lane, groups, probe) > memory_budget(devices):
        groups -= 1
    return groups


def _climb(
    experiment: Experiment, bucket: Bucket, grid: Grid, settings: Settings, devices: Devices, most: int
) -> Probe:
    """Returns the probe of the fastest group size, walking from a first guess by factors of STRIDE."""
    least = 2 if devices.count == 1 else 1
    probes: dict[int, Probe] = {}

    def at(lanes: int) -> float:
        """Lanes per second of a tick; remembers the probe."""
        if lanes not in probes:
            probes[lanes] = _probe(experiment, bucket, grid, settings, devices, lanes)
        return lanes / probes[lanes].tick_seconds

    full = FULL_GROUP_FLOPS[devices.platform] / max(bucket.step_flops, 1.0)
    best = max(least, min(STRIDE ** round(math.log(max(full, 1.0), STRIDE)), most))
    ticks = sum(experiment.steps(run.values) for run in bucket.runs) / experiment.schedule.resolution
    if ticks / (at(best) * devices.count) < WORTH_PROBING_SECONDS:
        return probes[best]
    for next_size in (lambda lanes: min(lanes * STRIDE, most), lambda lanes: max(lanes // STRIDE, least)):
        start = best
        while at(next_size(best)) > GAIN * at(best):
            best = next_size(best)
        if best != start:
            break
    return probes[best]


def _probe(
    experiment: Experiment, bucket: Bucket, grid: Grid, settings: Settings, devices: Devices, lanes: int
) -> Probe:
    layout = Layout(devices.count, 1, lanes)
    program = Program(experiment, bucket.template, layout, grid, experiment.schedule.resolution, devices.mesh)
    hps = stack_hps([bucket.hp(bucket.runs[i % len(bucket.runs)]) for i in range(layout.total)])
    state = program.admit(program.empty(), hps, np.ones(layout.total, bool))

    def seconds(ticks: int) -> float:
        nonlocal state
        start = time.perf_counter()
        state = jax.block_until_ready(program.chunk(state, ticks, grid.hidden()))
        return time.perf_counter() - start

    seconds(1)
    ticks = max(1, round(PROBE_SECONDS / seconds(1)))
    best = min(seconds(ticks), seconds(ticks)) / ticks
    stats = program.memory()
    return Probe(lanes, best, stats.temp_size_in_bytes if stats else 0)


def _lane_bytes(experiment: Experiment, bucket: Bucket, grid: Grid) -> int:
    shapes = jax.tree.leaves(lane_shapes(experiment, bucket.template, grid))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes)


def _need(per_lane: int, groups: int, probe: Probe) -> int:
    """Returns the bytes per device: lanes, the copy of them that a map over groups makes, temporaries of one group."""
    copies = 1 if groups == 1 else 2
    return copies * per_lane * groups * probe.lanes + probe.temporary_bytes


def _most_lanes(per_lane: int, per_device: int, devices: Devices) -> int:
    fit = memory_budget(devices) // (2 * per_lane)
    if fit < 1:
        raise InvalidValue(
            f"lanes: one run takes {per_lane / 2**20:.0f} MiB, a {devices.kind} device has room for "
            f"{memory_budget(devices) / 2**20:.0f} MiB: lower --points, --kept_points or the sizes"
        )
    least = 2 if devices.count == 1 else 1
    return max(least, min(per_device, fit))


def _key(
    experiment: Experiment,
    bucket: Bucket,
    grid: Grid,
    settings: Settings,
    devices: Devices,
    per_device: int,
    per_lane: int,
) -> str:
    described = (
        experiment.name,
        bucket.id,
        len(grid.steps),
        experiment.schedule.resolution,
        settings.float_type,
        settings.matmul_precision,
        jax.__version__,
        devices.kind,
        devices.count,
        os.cpu_count(),
        per_device,
        per_lane,
    )
    return hashlib.sha256(repr(described).encode()).hexdigest()[:16]


def _memory_file() -> Path | None:
    directory = jax.config.jax_compilation_cache_dir
    return Path(directory) / "layouts.json" if directory else None


def _remembered(*described: object) -> Probe | None:
    known = _read(_memory_file()).get(_key(*described))  # type: ignore[arg-type]
    return Probe(*known) if known else None


def _remember(probe: Probe, *described: object) -> None:
    path = _memory_file()
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    known = _read(path) | {_key(*described): list(probe)}  # type: ignore[arg-type]
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(known))
    scratch.replace(path)


def _read(path: Path | None) -> dict[str, list]:
    try:
        return json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}
