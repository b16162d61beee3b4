"""Claims: statements from the literature, decided on the results of a sweep with a statistic."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import xarray as xr

from phenom_jax.store.atomic import write_whole

Verdict = Literal["holds", "fails", "undecided"]


@dataclasses.dataclass(frozen=True)
class Decision:
    """The verdict on one claim, the statistic in words and its numbers by name."""

    verdict: Verdict
    statistic: str
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement with its source; `decide(results)` returns the Decision by the `rule`, stated before any number."""

    name: str
    statement: str
    source: str
    decide: Callable[[xr.Dataset], Decision]
    rule: str = ""


def decide_all(claims: Sequence[Claim], results: xr.Dataset) -> dict[str, Decision]:
    """Returns the Decision on every claim, by name; one that raises is undecided and says why."""
    return {claim.name: _decide(claim, results) for claim in claims}


def write_claims(path: Path, claims: Sequence[Claim], decisions: Mapping[str, Decision]) -> None:
    """Writes the claims with their decisions as JSON; a number that is not finite becomes null."""
    entries = [
        {"name": claim.name, "statement": claim.statement, "source": claim.source, "rule": claim.rule}
        | dataclasses.asdict(decisions[claim.name])
        | {"numbers": {name: _finite(number) for name, number in decisions[claim.name].numbers.items()}}
        for claim in claims
    ]
    write_whole(path, json.dumps(entries, indent=1, ensure_ascii=False) + "\n")


def _decide(claim: Claim, results: xr.Dataset) -> Decision:
    try:
        return claim.decide(results)
    except Exception as error:  # one claim's error must not cost the others their verdict
        return Decision("undecided", f"could not be computed: {type(error).__name__}: {error}")


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
