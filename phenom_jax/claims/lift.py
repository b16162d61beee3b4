"""The lift of a claim over units: from one number of each to an estimate, an interval, a p-value and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import scipy
import xarray as xr

from phenom_jax.claims.claim import LEAST, Claim, NotTested
from phenom_jax.claims.rules import Verdict
from phenom_jax.laws import intervals
from phenom_jax.laws.intervals import Interval
from phenom_jax.laws.scales import CENTRES, estimates, p_value
from phenom_jax.sweep.status import ENDED, OVER


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the units say of a claim.

    Attributes:
      numbers: by cell, float[units], NaN where a unit says nothing; one cell, "", for a claim that is no family.
      intervals: by cell; those of a family hold together.
      units, left_out: how many say something, and how many lack what is needed or are not over.
      p, p_holm: two-sided, that the number is at the edge of the rule's zone; adjusted for the claims of the page.
      reason: why it is not tested, or the error.
    """

    claim: Claim
    verdict: Verdict
    numbers: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    intervals: Mapping[str, Interval] = dataclasses.field(default_factory=dict)
    units: int = 0
    left_out: int = 0
    p: float = np.nan
    p_holm: float = np.nan
    reason: str = ""

    @property
    def deciding(self) -> str:
        """The cell that decides a family: of those with the least favourable verdict the one deepest in it."""
        rule = self.claim.rule
        return min(self.intervals, key=lambda cell: (_ORDER.index(rule.verdict(self.intervals[cell])), self._gap(cell)))

    @property
    def estimate(self) -> Interval:
        """The interval of the cell that decides."""
        return self.intervals[self.deciding] if self.intervals else Interval(np.nan, np.nan, np.nan)

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        claim, family = self.claim, len(self.intervals) > 1
        p = "" if np.isnan(self.p) else f", p = {self.p:.2g}"
        p += "" if np.isnan(self.p_holm) else f", {self.p_holm:.2g} beside the page's other claims"
        silent = f", {self.left_out} say nothing" if self.left_out else ""
        few = f"; fewer than {claim.least} decide nothing" if self.units < claim.least else ""
        which = f"; {self.deciding} decides of {len(self.intervals)} cells, by intervals that hold together"
        over = f"{CENTRES[claim.scale][0]} of {self.units} {claim.unit.replace('_', ' ')}s{silent}{p}"
        return f"{claim.quantity}: {self.estimate} ({over}){which if family else ''}{few}"

    @property
    def power(self) -> str:
        """The smallest effect that so many units, scattered like these, decide; nothing where none is scattered."""
        claim, values = self.claim, self.numbers[self.deciding] if self.numbers else np.empty(0)
        values = values[np.isfinite(values)]
        n, unit, edge = len(values), claim.unit.replace("_", " "), claim.rule.nearest_edge(self.estimate.estimate)
        if claim.scale in ("share", "rank") and n:
            level = 0.5 if claim.scale == "rank" else edge if np.isfinite(claim.rule.low) else 1 - edge
            needed = next((k for k in range(n + 1) if intervals.clopper_pearson(k, n).low > level), n + 1)
            return f"{needed} of {n} {unit}s must agree to decide." if needed <= n else f"{n} cannot decide."
        if n < 2 or claim.scale == "exact" or np.ptp(values) == 0:
            return ""
        values = np.log(values) if claim.scale == "log" else values
        reach = scipy.stats.t.ppf([(1 + intervals.LEVEL) / 2, 0.8], n - 1).sum() * values.std(ddof=1) / np.sqrt(n)
        effect = f"a factor of {np.exp(reach):.3g}" if claim.scale == "log" else f"{reach:.2g}"
        return f"{n} {unit}s scattered like these decide {effect} from {edge:g} in four of five studies."

    def _gap(self, cell: str) -> float:
        """Returns how far the estimate is inside the zone, in interval widths of its scale; negative outside."""
        spans = np.array([self.claim.rule.low, self.claim.rule.high, *self.intervals[cell]])
        with np.errstate(divide="ignore", invalid="ignore"):
            spans = np.log(np.maximum(spans, 0)) if self.claim.scale == "log" else spans
            inside = min(spans[2] - spans[0], spans[1] - spans[2]) / max(spans[4] - spans[3], 1e-300)
        return float(inside) if np.isfinite(spans[2]) else -np.inf


def decide_all(claims: Sequence[Claim], results: xr.Dataset, strict: bool = False) -> list[Finding]:
    """Returns the Finding of every claim of a page, their p-values adjusted together.

    With `strict` what a claim raises is raised, as tests must; else it is shown as an error beside the others.
    """
    found = [decide(claim, results, strict) for claim in claims]
    adjusted = intervals.holm(np.array([finding.p for finding in found]))
    return [dataclasses.replace(finding, p_holm=float(p)) for finding, p in zip(found, adjusted, strict=True)]


def decide(claim: Claim, results: xr.Dataset, strict: bool = False) -> Finding:
    """Returns the Finding of one claim."""
    try:
        return _decided(claim, results)
    except NotTested as lacking:
        presets = " or ".join(f"--preset={preset}" if preset else "no preset" for preset in claim.presets)
        return Finding(claim, "not tested", reason=f"this sweep has not got {lacking}; tested with {presets}")
    except Exception as error:
        if strict:
            raise
        return Finding(claim, "error", reason=f"{type(error).__name__}: {error}")


def _decided(claim: Claim, results: xr.Dataset) -> Finding:
    rows, left_out = _of_units(claim, results)
    table = {cell: np.array([row.get(cell, np.nan) for row in rows], float) for row in rows for cell in row}
    numbers = {cell: values for cell, values in table.items() if not np.isnan(values).all()}
    if not numbers:
        raise NotTested(f"a {claim.unit} that says anything of it")
    counts = [int((~np.isnan(values)).sum()) for values in numbers.values()]
    units = int((~np.isnan(np.stack(list(numbers.values())))).any(0).sum())
    found = dict(zip(numbers, estimates(np.stack(list(numbers.values()), 1), claim.scale), strict=True))
    verdicts: set[Verdict] = {claim.rule.verdict(interval) for interval in found.values()}
    verdict = "undecided" if min(counts) < claim.least else min(verdicts, key=_ORDER.index)
    p = _p(claim, numbers, found) if min(counts) >= LEAST and claim.scale != "exact" else np.nan
    return Finding(claim, verdict, numbers, found, units, left_out + len(rows) - units, p)


def _of_units(claim: Claim, results: xr.Dataset) -> tuple[list[Mapping[str, float]], int]:
    """Returns the numbers by cell of every unit that has them, and how many have not.

    A unit of which a run is still to come says nothing yet. Raises NotTested where no unit has them.
    """
    status, unit = results["status"].values, results[claim.unit].values
    pending = np.isin(unit, unit[~np.isin(status, OVER)])
    chosen = np.isin(status, ENDED) & ~pending
    if claim.about is not None:
        chosen &= np.asarray(claim.about(results), bool)
    rows, lacking = [], "runs that it is about" if not pending.any() else f"a {claim.unit} that is over"
    for value in np.unique(unit[chosen]):
        try:
            number = claim.of_one_unit(results.isel(run=np.flatnonzero(chosen & (unit == value))))
        except NotTested as error:
            lacking = str(error)
            continue
        rows.append(number if isinstance(number, Mapping) else {"": float(number)})
    if not rows:
        raise NotTested(lacking)
    return rows, len(np.unique(unit)) - len(rows)


def _p(claim: Claim, numbers: Mapping[str, np.ndarray], found: Mapping[str, Interval]) -> float:
    """Returns the two-sided p of the zone's edges: of a family that all cells are inside, else that any is outside."""
    rule, inside, outside = claim.rule, [], []
    for cell, values in numbers.items():
        estimate, kept = found[cell].estimate, values[~np.isnan(values)]
        if rule.low < estimate < rule.high:
            inside += [p_value(kept, edge, claim.scale) for edge in (rule.low, rule.high) if np.isfinite(edge)]
        else:
            outside.append(p_value(kept, rule.nearest_edge(estimate), claim.scale))
    return min(1.0, min(outside) * len(numbers)) if outside else max(inside)


_ORDER: tuple[Verdict, ...] = ("fails", "undecided", "holds")  # the verdict of a family is its worst cell's
