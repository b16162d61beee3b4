"""Rules of claims: the zone in which the number must lie, from which verdict, words and figure come."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from phenom_jax.laws.intervals import Interval

Verdict = Literal["holds", "fails", "undecided", "not tested", "error"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """The open zone (low, high) in which a claim says its number lies, in the units that are printed."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high or (math.isinf(self.low) and math.isinf(self.high)):
            raise ValueError(f"rule: a zone from {self.low} to {self.high} cannot be left or cannot be reached")

    def verdict(self, interval: Interval) -> Verdict:
        """Returns where an interval lies: inside the zone, outside, or neither."""
        if math.isnan(interval.low) or math.isnan(interval.high):
            return "undecided"
        if self.low < interval.low and interval.high < self.high:
            return "holds"
        return "fails" if interval.high < self.low or interval.low > self.high else "undecided"

    def nearest_edge(self, estimate: float) -> float:
        """Returns the edge of the zone nearest an estimate, the one that a test must hold it against."""
        edges = [edge for edge in (self.low, self.high) if math.isfinite(edge)]
        return min(edges, key=lambda edge: abs(edge - estimate))

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"below {self.high:g}"
        if math.isinf(self.high):
            return f"above {self.low:g}"
        return f"between {self.low:g} and {self.high:g}"


def below(edge: float) -> Rule:
    """The number lies below the edge: pick one that is the smallest effect worth the claim's name."""
    return Rule(high=edge)


def above(edge: float) -> Rule:
    """The number lies above the edge."""
    return Rule(low=edge)


def within(low: float, high: float) -> Rule:
    """The number lies between two edges; the interval inside them is two one-sided tests at 2.5 % each."""
    return Rule(low, high)


def agrees(value: float, by: float) -> Rule:
    """The number is equivalent to a value that theory or a paper gives, within the margin `by` on both sides."""
    return Rule(value - by, value + by)


def first() -> Rule:
    """Of two times the one claimed to come first does: the number is the other's over its own, on the log scale."""
    return Rule(low=1.0)


def mostly() -> Rule:
    """It is so in more than half of the units: the rule of the share scale."""
    return Rule(low=0.5)
