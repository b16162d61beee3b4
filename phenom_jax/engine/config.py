"""The run directory: who owns it, what it was made from, and whether a command may go on in it."""

from __future__ import annotations

import dataclasses
from typing import Literal

from phenom_jax.experiment import Schedule

MatmulPrecision = Literal["highest", "high", "default"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a sweep is trained, beside the hyperparameters.

    Attributes:
      float_type, matmul_precision, schedule, retire_done: decide the results; a directory has one of each.
      devices: how many CPU devices, or None for one per core.
      lanes: runs side by side in a program, or None for what memory and a probe allow.
      group: lanes that one vmap holds, the groups one after the other; None for the measured best.
      checkpoint_seconds: the cadence of checkpoints.
      rerun: finished runs of this status are trained again.
    """

    float_type: Literal["float32", "float64"] = "float32"
    matmul_precision: MatmulPrecision = "highest"
    schedule: Schedule = Schedule()
    retire_done: bool = True
    devices: int | None = None
    lanes: int | None = None
    group: int | None = None
    checkpoint_seconds: float = 60.0
    rerun: Literal["failed", "diverged"] | None = None
