"""How many runs side by side, how many one after the other: measured per program and machine, then remembered.

The fastest number of lanes is not the largest. Large models on a CPU are fastest one at a time per core, where
activations stay in cache; small ones want the widest vmap. A short probe times groups of growing size on the program's
own program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import math
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from phenom_jax.device import processes
from phenom_jax.device.devices import memory_budget
from phenom_jax.device.program import CompiledProgram, Layout, batches_lapack, lane_shapes
from phenom_jax.device.work import Work
from phenom_jax.hparams import InvalidValue, stack_hps
from phenom_jax.sweep.plan import MACHINES, Program

CHUNK_SECONDS = 1.0  # between two looks of the host
PROBE_SECONDS = 0.15
PROBE_SHARE = 0.05  # of a program's expected time, above which no further group size is timed
WIDEST_GUESS = 256  # lanes of the first group that is timed
SOLVE_LANES = 64  # and of a solve's, which takes as long as many steps, and may share work with its neighbours
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
    """The layout chosen for a program and how many ticks one chunk runs."""

    layout: Layout
    ticks: int
    run_steps_per_second: float  # as probed, 0 if it was not
    bytes_per_device: int


def choose(work: Work, program: Program) -> Lanes:
    """Returns the fastest layout that fits in memory: as the settings say, as remembered, or as a probe finds.

    Raises:
      InvalidValue: not even one run per device fits, or `--lanes` does not divide into devices and groups.
    """
    return _Choice(work, program).lanes()


def check_fits(work: Work, program: Program) -> None:
    """Raises InvalidValue where not even one run per device fits in memory."""
    _Choice(work, program).most_lanes()


def check_asked(work: Work) -> None:
    """Raises InvalidValue where the settings ask for what the devices or the sweep have no use for."""
    settings, there = work.settings, work.devices
    if settings.devices and there.platform != "cpu":
        raise InvalidValue(f"devices: {settings.devices} CPU devices have no effect where a {there.platform} trains")
    runs = max(len(program.runs) for program in work.sweep_plan.programs)
    if settings.group and settings.group > max(runs, 2):
        raise InvalidValue(f"group: {settings.group} lanes are more than the {runs} runs of the largest program")
    each = max(math.ceil(runs / there.count), 2 if there.count == 1 else 1)
    # the last group may be partly empty; of what size the groups are is not known before the probe
    most = there.count * (settings.group * math.ceil(each / settings.group) if settings.group else 2 * each)
    if settings.lanes and settings.lanes > most:
        use = f"the largest program's {runs} runs on {there.count} devices have use for"
        raise InvalidValue(f"lanes: {settings.lanes} are more than the {most} that {use}")


def out_of_memory(error: Exception) -> bool:
    """Whether a device had no room for what was asked of it."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def describe(lanes: Lanes) -> dict[str, Any]:
    """Returns the choice as JSON."""
    return {
        "lanes": lanes.layout.total,
        "layout": lanes.layout._asdict(),
        "ticks_per_chunk": lanes.ticks,
        "bytes_per_device": lanes.bytes_per_device,
        "probed_run_steps_per_second": lanes.run_steps_per_second,
    }


@dataclasses.dataclass(frozen=True)
class _Choice:
    """The question of one program's layout."""

    work: Work
    program: Program

    def lanes(self) -> Lanes:
        probe = self._fixed() or self._remembered()
        if probe is None:
            probe = self._climb()
            self._remember(probe)
        groups = self._groups(probe)
        resolution = self.work.experiment.schedule.resolution
        longest = max(self.work.experiment.steps(run.values) for run in self.program.runs) // resolution
        ticks = round(CHUNK_SECONDS / (probe.tick_seconds * groups))
        return Lanes(
            layout=Layout(self.work.devices.count, groups, probe.lanes),
            ticks=max(1, min(ticks, longest)),
            run_steps_per_second=self.work.devices.count * self._runs_per_tick_second(probe) * resolution,
            bytes_per_device=self._need(groups, probe),
        )

    @property
    def _is_solve(self) -> bool:
        return self.work.experiment.step is None

    @functools.cached_property
    def _per_device(self) -> int:
        return math.ceil(len(self.program.runs) / self.work.devices.count)

    @property
    def _least(self) -> int:
        """Lanes of the narrowest group: no program has fewer than two lanes in all."""
        return 2 if self.work.devices.count == 1 else 1

    @functools.cached_property
    def _calls_lapack(self) -> bool:
        """Whether lanes must go one after the other: batches of LAPACK calls may never end. In cache they stay too."""
        return self.work.devices.platform == "cpu" and batches_lapack(self.work.experiment, self.program.template)

    @functools.cached_property
    def _lane_bytes(self) -> int:
        shapes = jax.tree.leaves(lane_shapes(self.work.experiment, self.program.template, self.work.grid))
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes)

    def _need(self, groups: int, probe: Probe) -> int:
        """Returns the bytes per device: lanes, their copy where groups are mapped over, one group's temporaries."""
        copies = 1 if groups == 1 else 2
        return copies * self._lane_bytes * groups * probe.lanes + probe.temporary_bytes

    def _fixed(self) -> Probe | None:
        """Returns what the settings fix, with the nominal time of a tick in place of a measured one."""
        if self.work.settings.group is None:
            return None
        if self.work.settings.group > 1 and self._calls_lapack:
            raise InvalidValue(f"group: {self.work.settings.group} lanes, allowed on CPU is 1, for a run calls LAPACK")
        flops = max(self.program.step_flops, LEAST_STEP_FLOPS) * self.work.settings.group
        rate = MACHINES[self.work.devices.platform].flops_per_second
        return Probe(self.work.settings.group, flops * self.work.experiment.schedule.resolution / rate, 0)

    def _groups(self, probe: Probe) -> int:
        if self.work.settings.lanes is not None:
            groups, rest = divmod(self.work.settings.lanes, self.work.devices.count * probe.lanes)
            if rest or not groups:
                raise InvalidValue(
                    f"lanes: {self.work.settings.lanes} is not a multiple of "
                    f"{self.work.devices.count} devices x groups of {probe.lanes}"
                )
            return groups
        most = MOST_GROUPS[self.work.devices.platform]
        if self._is_solve:  # all end together, and the host should see them seldom
            most = max(most, round(CHUNK_SECONDS / probe.tick_seconds))
        groups = min(math.ceil(self._per_device / probe.lanes), most)
        while groups > 1 and self._need(groups, probe) > memory_budget(self.work.devices):
            groups -= 1
        return groups

    def _climb(self) -> Probe:
        """Returns the probe of the fastest group size, walking from a first guess in long, then short strides."""
        least, most = (1, 1) if self._calls_lapack else (self._least, self.most_lanes())
        probes: dict[int, Probe | None] = {}

        def speed(lanes: int) -> float:
            if lanes not in probes:
                probes[lanes] = self._probe_if_it_fits(lanes)
            probe = probes[lanes]
            return self._runs_per_tick_second(probe) if probe else 0.0

        full = FULL_GROUP_FLOPS[self.work.devices.platform] / max(self.program.step_flops, 1.0)
        guess = SOLVE_LANES if self._is_solve else WIDEST_GUESS
        best = max(least, min(STRIDE ** round(math.log(max(full, 1.0), STRIDE)), guess, most))
        while not speed(best) and best > least:
            best = max(least, best // 2)
        started = time.perf_counter()
        ticks = self.program.run_steps / self.work.experiment.schedule.resolution or len(self.program.runs)
        expected = ticks / (speed(best) * self.work.devices.count) if speed(best) else 0.0
        for factor in (STRIDE, 1 / STRIDE, 2, 1 / 2):
            while processes.agreed(time.perf_counter() - started < PROBE_SHARE * expected):
                next_size = max(least, min(int(best * factor), most))
                if speed(next_size) <= GAIN * speed(best):
                    break
                best = next_size
        return probes[best] or self._probe(best)  # the latter raises what it raised before

    def _probe_if_it_fits(self, lanes: int) -> Probe | None:
        try:
            return self._probe(lanes)
        except jax.errors.JaxRuntimeError as error:
            if processes.several() or not out_of_memory(error):
                raise
            return None

    def _runs_per_tick_second(self, probe: Probe) -> float:
        """Returns how many runs one device advances by a tick in a second; a last, partly empty group costs in full."""
        groups = math.ceil(self._per_device / probe.lanes)
        return self._per_device / (groups * probe.tick_seconds)

    def most_lanes(self) -> int:
        budget = memory_budget(self.work.devices)
        fit = budget // (2 * self._lane_bytes)
        if fit < 1:
            raise InvalidValue(
                f"lanes: one run takes {self._lane_bytes / 2**20:.0f} MiB and its step as much, a device has room for "
                f"{budget / 2**20:.0f} MiB: lower --points, --kept_points or the sizes"
            )
        return max(self._least, min(self._per_device, fit))

    def _probe(self, lanes: int) -> Probe:
        """Times the program with groups of `lanes`, all devices at once; a solve's tick is all of it."""
        layout = Layout(self.work.devices.count, 1, lanes)
        compiled = CompiledProgram(
            self.work.experiment, self.program.template, layout, self.work.grid, self.work.devices.mesh
        )
        runs = itertools.islice(itertools.cycle(self.program.runs), layout.total)
        hps = stack_hps([self.program.hp(run) for run in runs])
        fresh = np.ones(layout.total, bool)
        state = compiled.admit(compiled.empty(), hps, fresh)

        def seconds(ticks: int) -> float:
            nonlocal state
            start = time.perf_counter()
            if self._is_solve:
                state = compiled.admit(state, hps, fresh)
            state = jax.block_until_ready(compiled.chunk(state, ticks, self.work.grid.hidden()))
            return float(processes.agreed(time.perf_counter() - start))

        seconds(1)
        ticks = 1 if self._is_solve else max(1, round(PROBE_SECONDS / seconds(1)))
        best = min(seconds(ticks), seconds(ticks)) / ticks
        stats = compiled.memory()
        return Probe(lanes, best, stats.temp_size_in_bytes if stats else 0)

    @functools.cached_property
    def _key(self) -> str:
        described = (
            self.work.experiment.name,
            self.program.id,
            len(self.work.grid.steps),
            self.work.experiment.schedule.resolution,
            self.work.settings.float_type,
            self.work.settings.matmul_precision,
            jax.__version__,
            self.work.devices.kind,
            self.work.devices.count,
            os.cpu_count(),
            self._per_device,
            self._lane_bytes,
        )
        return hashlib.sha256(repr(described).encode()).hexdigest()[:16]

    def _remembered(self) -> Probe | None:
        known = _read(_memory_file()).get(self._key) or [0, 0.0, 0]
        lanes, tick_seconds, temporary_bytes = processes.agreed(np.array(known, float)).tolist()
        return Probe(int(lanes), tick_seconds, int(temporary_bytes)) if lanes else None

    def _remember(self, probe: Probe) -> None:
        path = _memory_file()
        if path is None or not processes.first():
            return
        with contextlib.suppress(OSError):  # the next start probes again
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps(_read(path) | {self._key: list(probe)}))
            scratch.replace(path)


def _memory_file() -> Path | None:
    directory = jax.config.values["jax_compilation_cache_dir"]
    return Path(directory) / "layouts.json" if directory else None


def _read(path: Path | None) -> dict[str, list]:
    try:
        return json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}
