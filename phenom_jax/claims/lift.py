"""The lift of a claim over units: from one number of each to an estimate, an interval, a p-value and the verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy import stats

from phenom_jax.claims.claim import CENTRES, LEAST, Claim, NotTested
from phenom_jax.claims.rules import Verdict
from phenom_jax.laws import intervals
from phenom_jax.laws.intervals import Interval

ENDED = ("finished", "done")
OVER = (*ENDED, "diverged")
ALONE = ""  # the cell of a claim that is no family
POWER = 0.8


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the units say of a claim.

    Attributes:
      numbers: by cell, float[units], NaN where a unit says nothing; one cell for a claim that is no family.
      intervals: by cell; those of a family hold together.
      units: how many say something.
      left_out: how many do not, because they lack what is needed or are not over.
      p: two-sided, of the hypothesis that the number is at the edge of the rule's zone.
      p_holm: adjusted for the claims of the page.
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
    def worst(self) -> str:
        """The cell that decides: the one whose interval reaches farthest out of the zone, or least far into it."""
        return min(self.intervals, key=lambda cell: _margin(self.claim, self.intervals[cell]))

    @property
    def estimate(self) -> Interval:
        """The interval of the deciding cell."""
        return self.intervals[self.worst] if self.intervals else Interval(np.nan, np.nan, np.nan)

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        claim, cells = self.claim, len(self.intervals)
        which = "" if cells == 1 else f"; {self.worst or 'alone'} is the one that decides of {cells}"
        over = f"{CENTRES[claim.scale]} of {self.units} {claim.unit}s"
        left_out = f", {self.left_out} say nothing" if self.left_out else ""
        p = "" if np.isnan(self.p) else f", p = {self.p:.2g}"
        p += "" if np.isnan(self.p_holm) else f" ({self.p_holm:.2g} beside the page's other claims)"
        few = f"; fewer than {claim.least} decide nothing" if self.units < claim.least else ""
        return f"{claim.quantity}: {self.estimate} ({over}{left_out}{p}){which}{few}"

    @property
    def power(self) -> str:
        """The smallest effect that so many units, scattered like these, decide."""
        values = self.numbers[self.worst] if self.numbers else np.empty(0)
        values, claim = values[np.isfinite(values)], self.claim
        n, edge = len(values), claim.rule.nearest_edge(self.estimate.estimate)
        if n < 2 or claim.scale == "exact":
            return ""
        if claim.scale in ("share", "rank"):
            return _count_needed(claim, n)
        values = np.log(values) if claim.scale == "log" else values
        quantiles = stats.t.ppf([(1 + intervals.LEVEL) / 2, POWER], n - 1)
        smallest = float(quantiles.sum() * values.std(ddof=1) / np.sqrt(n))
        distance = f"a factor of {np.exp(smallest):.3g} from" if claim.scale == "log" else f"{smallest:.2g} from"
        return f"{n} {claim.unit}s scattered like these decide {distance} {edge:g} in four of five studies."


def decide_all(claims: Sequence[Claim], results: xr.Dataset, strict: bool = False) -> list[Finding]:
    """Returns the Finding of every claim of a page, their p-values adjusted together.

    Args:
      results: of a sweep, with what the experiment's `summarise` adds.
      strict: raise what a claim raises, as tests must; else it is shown as an error beside the others.
    """
    found = [decide(claim, results, strict) for claim in claims]
    adjusted = intervals.holm(np.array([finding.p for finding in found]))
    return [dataclasses.replace(finding, p_holm=float(p)) for finding, p in zip(found, adjusted, strict=True)]


def decide(claim: Claim, results: xr.Dataset, strict: bool = False) -> Finding:
    """Returns the Finding of one claim."""
    try:
        return _decided(claim, results)
    except NotTested as lacking:
        return Finding(claim, "not tested", reason=f"this sweep has not got {lacking}{_elsewhere(claim)}")
    except Exception as error:
        if strict:
            raise
        return Finding(claim, "error", reason=f"{type(error).__name__}: {error}")


def _decided(claim: Claim, results: xr.Dataset) -> Finding:
    rows, left_out = _of_units(claim, results)
    cells = list(dict.fromkeys(cell for row in rows for cell in row))
    numbers = {cell: np.array([row.get(cell, np.nan) for row in rows], float) for cell in cells}
    numbers = {cell: values for cell, values in numbers.items() if not np.isnan(values).all()}
    if not numbers:
        raise NotTested(f"a {claim.unit} of which it can be told")
    silent = sum(all(np.isnan(values[row]) for values in numbers.values()) for row in range(len(rows)))
    units = len(rows) - silent
    found = _intervals(claim, numbers)
    verdicts = {claim.rule.verdict(interval) for interval in found.values()}
    verdict: Verdict = next(each for each in ("fails", "undecided", "holds") if each in verdicts)
    fewest = min(int(np.isfinite(values).sum() + np.isinf(values).sum()) for values in numbers.values())
    if fewest < claim.least:
        verdict = "undecided"
    return Finding(claim, verdict, numbers, found, units, left_out + silent, _p(claim, numbers, found))


def _of_units(claim: Claim, results: xr.Dataset) -> tuple[list[Mapping[str, float]], int]:
    """Returns the numbers of every unit that has them, and how many units have not.

    A unit of which a run is still to come says nothing yet.

    Raises:
      NotTested: no unit has them.
    """
    status, unit = results["status"].values, results[claim.unit].values
    pending = np.isin(unit, unit[~np.isin(status, OVER)])
    chosen = np.isin(status, ENDED) & ~pending
    if claim.about is not None:
        chosen &= np.asarray(claim.about(results).values, bool)
    rows, lacking = [], []
    for value in np.unique(unit[chosen]):
        try:
            number = claim.of_one_unit(results.isel(run=np.flatnonzero(chosen & (unit == value))))
        except NotTested as error:
            lacking.append(str(error))
            continue
        rows.append(number if isinstance(number, Mapping) else {ALONE: float(number)})
    if not rows:
        still = f"a {claim.unit} that is over" if pending.any() else "runs that it is about"
        raise NotTested(lacking[0] if lacking else still)
    return rows, len(np.unique(unit)) - len(rows)


def _intervals(claim: Claim, numbers: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    if claim.scale in ("natural", "log") and any(np.isinf(values).any() for values in numbers.values()):
        raise ValueError(f"{claim.quantity}: infinite in a {claim.unit}, which needs the rank scale")
    if len(numbers) > 1:
        if claim.scale not in _TOGETHER:
            raise ValueError(f"{claim.quantity}: a family is natural, log or exact, not {claim.scale}")
        return dict(zip(numbers, _TOGETHER[claim.scale](np.stack(list(numbers.values()), 1)), strict=True))
    return {cell: _OF_SCALE[claim.scale](values[~np.isnan(values)]) for cell, values in numbers.items()}


def _share(values_n: np.ndarray) -> Interval:
    if not np.isin(values_n, (0, 1)).all():
        raise ValueError(f"a share needs True or False of every unit, not {values_n}")
    return intervals.clopper_pearson(int(values_n.sum()), len(values_n))


def _range(values_n: np.ndarray) -> Interval:
    return Interval(float(np.mean(values_n)), float(np.min(values_n)), float(np.max(values_n)))


def _logs_together(values_nxm: np.ndarray) -> list[Interval]:
    return [Interval(*np.exp(interval)) for interval in intervals.simultaneous(np.log(values_nxm))]


_OF_SCALE: dict[str, Callable[[np.ndarray], Interval]] = {
    "natural": intervals.student,
    "log": intervals.log_student,
    "share": _share,
    "rank": intervals.order_statistics,
    "exact": _range,
}
_TOGETHER: dict[str, Callable[[np.ndarray], list[Interval]]] = {
    "natural": intervals.simultaneous,
    "log": _logs_together,
    "exact": lambda values_nxm: [_range(values_n[~np.isnan(values_n)]) for values_n in values_nxm.T],
}


def _p(claim: Claim, numbers: Mapping[str, np.ndarray], found: Mapping[str, Interval]) -> float:
    """Returns the two-sided p of the zone's edge: of a family that all cells are inside, else that any is outside."""
    if claim.scale == "exact" or min(map(len, numbers.values())) < LEAST:
        return np.nan
    inside, outside = [], []
    for cell, values in numbers.items():
        estimate = found[cell].estimate
        kept = values[~np.isnan(values)]
        if claim.rule.low < estimate < claim.rule.high:
            edges = [edge for edge in (claim.rule.low, claim.rule.high) if np.isfinite(edge)]
            inside.append(max(_p_against(claim, kept, edge) for edge in edges))
        else:
            outside.append(_p_against(claim, kept, claim.rule.nearest_edge(estimate)))
    return min(1.0, min(outside) * len(numbers)) if outside else max(inside)


def _p_against(claim: Claim, values_n: np.ndarray, edge: float) -> float:
    if claim.scale == "share":
        return float(stats.binomtest(int(values_n.sum()), len(values_n), edge).pvalue)
    if claim.scale == "rank":
        return intervals.sign_test(values_n, edge)
    if claim.scale == "log":
        return intervals.sign_flip(np.log(values_n), np.log(edge)) if edge > 0 else 0.0
    return intervals.sign_flip(values_n, edge)


def _margin(claim: Claim, interval: Interval) -> float:
    """Returns how far inside the zone the whole interval lies, in interval widths; negative where it reaches out."""
    logs = claim.scale == "log"
    rule, spans = claim.rule, [claim.rule.low, claim.rule.high, *interval]
    with np.errstate(divide="ignore", invalid="ignore"):
        low_edge, high_edge, _, low, high = np.log(spans) if logs and min(spans) >= 0 else np.array(spans)
    distances = [low - low_edge] * np.isfinite(rule.low) + [high_edge - high] * np.isfinite(rule.high)
    return float(min(distances) / max(high - low, 1e-12)) if np.isfinite([low, high]).all() else -np.inf


def _count_needed(claim: Claim, n: int) -> str:
    """Returns how many of n units must be on one side of the edge for a verdict."""
    if claim.scale == "share":
        edge = claim.rule.low if np.isfinite(claim.rule.low) else claim.rule.high
        needed = [k for k in range(n + 1) if intervals.clopper_pearson(k, n).low > edge]
    else:
        needed = [n + 1 - int(stats.binom.ppf((1 - intervals.LEVEL) / 2, n, 0.5))] if n >= 6 else []
    if not needed or needed[0] > n:
        return f"{n} {claim.unit}s cannot decide it, even if all agree."
    return f"{needed[0]} of {n} {claim.unit}s must agree for a verdict."


def _elsewhere(claim: Claim) -> str:
    presets = [f"--preset={preset}" if preset else "no preset" for preset in claim.presets]
    return f"; tested with {' or '.join(presets)}"
