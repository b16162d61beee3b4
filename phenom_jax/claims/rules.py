"""Rules of claims: the zone in which the number must lie, from which verdict, words and figure come."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from phenom_jax.laws.intervals import Interval

Verdict = Literal["holds", "fails", "undecided", "not tested", "error"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """The zone (low, high) in which a claim says its number lies, in the units that are printed."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(f"rule: a zone from {self.low} to {self.high}, allowed is one that a number can miss")

    def verdict(self, interval: Interval) -> Verdict:
        """Returns where an interval lies: inside the zone, outside, or neither."""
        above_low = math.isinf(self.low) or interval.low > self.low
        below_high = math.isinf(self.high) or interval.high < self.high
        if above_low and below_high:
            return "holds"
        return "fails" if interval.high < self.low or interval.low > self.high else "undecided"

    def nearest_edge(self, estimate: float) -> float:
        """Returns the edge of the zone nearest an estimate, which a test holds it against."""
        return min(filter(math.isfinite, (self.low, self.high)), key=lambda edge: abs(edge - estimate))

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"below {self.high:g}"
        return f"above {self.low:g}" if math.isinf(self.high) else f"between {self.low:g} and {self.high:g}"


def below(edge: float) -> Rule:
    """Returns the zone below an edge, which is the smallest effect worth the claim's name."""
    return Rule(high=edge)


def above(edge: float) -> Rule:
    """Returns the zone above an edge, which is the smallest effect worth the claim's name."""
    return Rule(low=edge)


def within(low: float, high: float) -> Rule:
    """Returns the zone between two edges; an interval inside it is two one-sided tests at 2.5 % each."""
    return Rule(low, high)


def agrees(value: float, by: float) -> Rule:
    """Returns the zone of equivalence with what theory or a paper says, a margin `by` on both sides."""
    return Rule(value - by, value + by)


def first() -> Rule:
    """Returns the rule of order on the log scale: the other's time over that of what is claimed to come first."""
    return Rule(low=1.0)


def mostly() -> Rule:
    """Returns the rule of the share scale: it is so in more than half of the units."""
    return Rule(low=0.5)
