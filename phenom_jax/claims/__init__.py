"""Claims: statements decided over independent units, each by a number of one unit and a rule fixed before it was seen."""

from phenom_jax.claims.claim import Claim, NotTested, Source, need
from phenom_jax.claims.rules import Rule, above, agrees, below, first, mostly, within
from phenom_jax.claims.runs import at, curvature, exponent, first_crossing, last, ratio, settings, share, times, trend

__all__ = [
    "Claim",
    "NotTested",
    "Rule",
    "Source",
    "above",
    "agrees",
    "at",
    "below",
    "curvature",
    "exponent",
    "first",
    "first_crossing",
    "last",
    "mostly",
    "need",
    "ratio",
    "settings",
    "share",
    "times",
    "trend",
    "within",
]
