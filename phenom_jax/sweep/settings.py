"""The settings of a sweep: how it is trained, beside the hyperparameters."""

from __future__ import annotations

import dataclasses
from typing import Literal

from phenom_jax.experiment import Schedule

MatmulPrecision = Literal["highest", "high", "default"]
DECIDING = ("float_type", "matmul_precision", "retire_done")  # the settings that decide results, beside the schedule


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sweep is trained, beside the hyperparameters.

    Attributes:
      float_type, matmul_precision, schedule, retire_done: decide the results; a directory has one of each.
      devices: how many CPU devices, or None for one per core.
      lanes: runs side by side in a program, or None for what memory and a probe allow.
      group: lanes that one vmap holds, the groups one after the other; None for the measured best.
      on_diverge: what a run does that diverged: it leaves its lane, goes on to its last step, or stops the sweep.
      checkpoint_seconds: the cadence of checkpoints.
      rerun: runs of this status are trained again, those of other code, or all.
      accept_changes: runs of other code are kept beside those of this one.
      keep_ends: the whole lane of a run is kept as it was at its end, so that longer runs can go on from there.
    """

    float_type: Literal["float32", "float64"] = "float32"
    matmul_precision: MatmulPrecision = "highest"
    schedule: Schedule = Schedule()
    retire_done: bool = True
    devices: int | None = None
    lanes: int | None = None
    group: int | None = None
    on_diverge: Literal["retire", "continue", "stop"] = "retire"
    checkpoint_seconds: float = 60.0
    rerun: Literal["failed", "diverged", "changed", "all"] | None = None
    accept_changes: bool = False
    keep_ends: bool = False
