"""Claims: statements from the literature, decided on the results of a sweep with a statistic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal

import xarray as xr

Verdict = Literal["holds", "fails", "undecided"]


@dataclasses.dataclass(frozen=True)
class Decision:
    """The verdict on one claim, the statistic in words and its numbers by name."""

    verdict: Verdict
    statistic: str
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement with its source; `decide(results)` returns the Decision."""

    name: str
    statement: str
    source: str
    decide: Callable[[xr.Dataset], Decision]
