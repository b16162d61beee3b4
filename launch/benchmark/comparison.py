"""A comparison of two rates, measured in turns so that both meet the same machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple


class Effort(NamedTuple):
    """How long one measurement takes and how often each side is measured."""

    seconds: float = 1.0
    rounds: int = 4


FULL = Effort()


class Comparison(NamedTuple):
    """Ours against a peer.

    Attributes:
      peer: the peer's number in the same unit; None where there is only a limit.
      target: what the project promises, in words.
      note: what the peer is and how it was measured.
    """

    name: str
    ours: float
    peer: float | None
    unit: str
    target: str
    note: str

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer


def race(*rates: Callable[[float], float], effort: Effort) -> list[float]:
    """Returns the best measurement of each rate, taken in turns.

    Other processes can only slow a measurement down, so the best one is the least disturbed.

    Args:
      rates: each `(seconds) -> rate`.
    """
    turns = [[rate(effort.seconds) for rate in rates] for _ in range(effort.rounds)]
    return [max(measured) for measured in zip(*turns)]


def repeat(step: Callable[[], object], finish: Callable[[], object], seconds: float) -> float:
    """Returns how often per second `step` runs; `finish` waits for work that was only handed over."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        count += 1
    finish()
    return count / (time.perf_counter() - start)


def cores() -> int:
    """Returns the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
