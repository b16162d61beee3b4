"""What a sweep would take on accelerators that are not at hand: lanes, device-hours and bytes, from compiled programs.

Sizes are exact: the lanes' own shapes. Temporaries, FLOPs and bytes moved are XLA's count for programs compiled here,
a stand-in for the accelerator's compiler, which fuses differently. Time is the roofline of the datasheet,
max(FLOP / peak, bytes / bandwidth), and `ATTAINED` of it: an estimate until the sweep runs there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from phenom_jax.device.devices import SHARE_OF_FREE_MEMORY
from phenom_jax.device.program import AXIS, CompiledProgram, Layout, lane_shapes
from phenom_jax.device.work import Work
from phenom_jax.hparams import InvalidValue, hp_shapes, stack_hps
from phenom_jax.sweep.axes import nearest
from phenom_jax.sweep.plan import Program, calls
from phenom_jax.sweep.recorded import recorded_quantities

ATTAINED = 0.25  # of the roofline, assumed for small batched models; 0.6 of the GEMM rate is what two CPU cores gave
CHECKPOINTS = 2  # kept at a time


class Accelerator(NamedTuple):
    """One device, by its datasheet.

    Attributes:
      gibibytes: of memory.
      bytes_per_second: between it and the cores.
      flops_per_second: of float32 matrix products at JAX's precision "highest" and at "default"; GPUs compute the first
        without tensor cores and the second in TF32, TPUs in six bfloat16 passes and in one.
    """

    platform: str
    gibibytes: float
    bytes_per_second: float
    flops_per_second: tuple[float, float]


ACCELERATORS = {
    "a100-40": Accelerator("gpu", 40, 1.555e12, (19.5e12, 156e12)),
    "a100-80": Accelerator("gpu", 80, 2.039e12, (19.5e12, 156e12)),
    "h100": Accelerator("gpu", 80, 3.35e12, (67e12, 494e12)),
    "h200": Accelerator("gpu", 141, 4.8e12, (67e12, 494e12)),
    "l4": Accelerator("gpu", 24, 3.0e11, (30.3e12, 60e12)),
    "rtx4090": Accelerator("gpu", 24, 1.008e12, (82.6e12, 82.6e12)),
    "v5e": Accelerator("tpu", 16, 8.19e11, (197e12 / 6, 197e12)),
    "v5p": Accelerator("tpu", 95, 2.765e12, (459e12 / 6, 459e12)),
    "v6e": Accelerator("tpu", 32, 1.64e12, (918e12 / 6, 918e12)),
}


class Forecast(NamedTuple):
    """What one program would take.

    Attributes:
      lanes: runs side by side on one device.
      lane_bytes, temporary_bytes: of one of them.
      step_flops, step_bytes: of one step of one run, or of its solve.
      device_hours: of steps and looks, at the roofline; `ATTAINED` of it is the longer estimate.
      checkpoint_bytes: on disk while the program trains.
      result_bytes: curves and kept states of all its runs, before compression.
    """

    program: Program
    lanes: int
    lane_bytes: int
    temporary_bytes: float
    step_flops: float
    step_bytes: float
    device_hours: float
    checkpoint_bytes: float
    result_bytes: float


def named_accelerator(name: str) -> Accelerator:
    """Returns the accelerator of this name.

    Raises:
      InvalidValue: there is none.
    """
    if name not in ACCELERATORS:
        names = ", ".join(ACCELERATORS)
        raise InvalidValue(f"accelerator: {name!r} is not one of {names}{nearest(name, ACCELERATORS)}")
    return ACCELERATORS[name]


def forecast(work: Work, accelerator: Accelerator, count: int) -> list[Forecast]:
    """Returns what each program of the plan would take on `count` such accelerators.

    Args:
      work: planned for the accelerator's platform.
    Raises:
      InvalidValue: not even one run fits on a device.
    """
    return [_forecast(work, program, accelerator, count) for program in work.plan.programs]


def end_bytes(work: Work) -> int:
    """Returns the bytes of every run's lane, which is what is kept of its end, before compression."""
    lanes = [lane_shapes(work.experiment, program.template, work.grid) for program in work.plan.programs]
    return sum(len(program.runs) * _bytes_of(lane) for program, lane in zip(work.plan.programs, lanes))


def temporary_bytes(work: Work, program: Program) -> tuple[float, float]:
    """Returns a and b such that a program of n lanes needs about a + b n bytes beside them, from two small programs."""
    few, more = (_compiled_temporaries(work, program, lanes) for lanes in (2, 4))
    each = max(0.0, (more - few) / 2)
    return max(0.0, few - 2 * each), each


def _forecast(work: Work, program: Program, accelerator: Accelerator, count: int) -> Forecast:
    shapes = lane_shapes(work.experiment, program.template, work.grid)
    lane_bytes = _bytes_of(shapes)
    fixed, each = temporary_bytes(work, program)
    room = SHARE_OF_FREE_MEMORY[accelerator.platform] * accelerator.gibibytes * 2**30 - fixed
    lanes = min(math.floor(room / (lane_bytes + each)), math.ceil(len(program.runs) / count))
    if lanes < 1:
        raise InvalidValue(
            f"accelerator: one run of program {program.id} takes more than its {accelerator.gibibytes} GiB"
        )
    costs = _costs(work, program)
    peak = accelerator.flops_per_second[0 if work.settings.matmul_precision == "highest" else 1]
    seconds = {name: max(flops / peak, moved / accelerator.bytes_per_second) for name, (flops, moved) in costs.items()}
    step_flops, step_bytes = next(iter(costs.values()))
    lengths = Counter(work.experiment.steps(run.values) for run in program.runs)
    called = {
        name: sum(runs * call.times(steps) for steps, runs in lengths.items())
        for name, call in calls(work.experiment).items()
    }
    return Forecast(
        program=program,
        lanes=lanes,
        lane_bytes=lane_bytes,
        temporary_bytes=each,
        step_flops=step_flops,
        step_bytes=step_bytes,
        device_hours=sum(called[name] * seconds[name] for name in costs) / 3600,
        checkpoint_bytes=CHECKPOINTS * count * lanes * lane_bytes,
        result_bytes=len(program.runs) * (_curve_bytes(work, program) + _bytes_of(shapes.records.kept)),
    )


def _costs(work: Work, program: Program) -> dict[str, tuple[float, float]]:
    """Returns FLOPs and bytes moved of each function of one run, compiled for it alone."""
    hp = hp_shapes(program.template)
    state = jax.eval_shape(work.experiment.init, hp)
    found = {}
    for name, call in calls(work.experiment).items():
        lowered = jax.jit(call.function).lower(state, hp)
        counted, moved = lowered.cost_analysis() or {}, lowered.compile().cost_analysis() or {}
        found[name] = float(counted.get("flops", 0.0)), float(moved.get("bytes accessed", 0.0))
    return found


def _compiled_temporaries(work: Work, program: Program, lanes: int) -> int:
    mesh = Mesh(np.array(jax.local_devices()[:1]), (AXIS,), axis_types=(AxisType.Auto,))
    compiled = CompiledProgram(work.experiment, program.template, Layout(1, 1, lanes), work.grid, mesh)
    hps = stack_hps([program.template] * lanes)
    compiled.chunk(compiled.admit(compiled.empty(), hps, np.zeros(lanes, bool)), 1)
    stats = compiled.memory()
    return stats.temp_size_in_bytes if stats else 0


def _curve_bytes(work: Work, program: Program) -> int:
    recorded = recorded_quantities(work.experiment, program.template).values()
    return 4 * len(work.grid.steps) * sum(math.prod(shape) for _, shape in recorded)


def _bytes_of(shapes: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def totals(found: Sequence[Forecast]) -> tuple[float, float, float]:
    """Returns device-hours at the roofline, bytes of checkpoints and bytes of results of all programs together.

    Checkpoints of a program are no longer needed when the next one trains, so the largest counts.
    """
    hours = sum(each.device_hours for each in found)
    return hours, max(each.checkpoint_bytes for each in found), sum(each.result_bytes for each in found)
