"""The scales on which numbers of units are estimated, each with its interval and its test."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy

from phenom_jax.laws import intervals
from phenom_jax.laws.intervals import Interval

Scale = Literal["natural", "log", "share", "rank", "exact"]

CENTRES: dict[Scale, tuple[str, str]] = {  # what is estimated over units, and how its interval is made
    "natural": ("mean", "Student's t"),
    "log": ("geometric mean", "Student's t of the logarithms"),
    "share": ("share", "Clopper-Pearson"),
    "rank": ("median", "order statistics"),
    "exact": ("range", "no sampling error"),
}


def estimates(values_nxm: np.ndarray, scale: Scale) -> list[Interval]:
    """Returns the interval of each column over units; those of several columns hold together.

    Args:
      values_nxm: a row for each unit, NaN where it says nothing.
      scale: of all columns.
    Raises:
      ValueError: values that the scale does not take, or several columns of shares or ranks.
    """
    columns = [values_n[~np.isnan(values_n)] for values_n in values_nxm.T]
    if scale == "exact":
        return [Interval(float(each.mean()), float(each.min()), float(each.max())) for each in columns]
    if scale in ("share", "rank"):
        if len(columns) > 1:
            raise ValueError("a family has the natural, log or exact scale")
        if scale == "rank":
            return [intervals.order_statistics(columns[0])]
        if not np.isin(columns[0], (0, 1)).all():
            raise ValueError("a share needs True or False of every unit")
        return [intervals.clopper_pearson(int(columns[0].sum()), len(columns[0]))]
    if np.isinf(values_nxm).any():
        raise ValueError("a unit's number is infinite, which needs the rank scale")
    if scale == "log":
        if (values_nxm <= 0).any():
            raise ValueError("a unit's number is not positive, which the log scale needs")
        return [Interval(*map(float, np.exp(each))) for each in estimates(np.log(values_nxm), "natural")]
    return intervals.simultaneous(values_nxm) if len(columns) > 1 else [intervals.student(columns[0])]


def p_value(values_n: np.ndarray, edge: float, scale: Scale) -> float:
    """Returns the two-sided p of the hypothesis that what is estimated equals `edge`."""
    if scale == "share":
        return float(scipy.stats.binomtest(int(values_n.sum()), len(values_n), edge).pvalue)
    if scale == "rank":
        return intervals.sign_test(values_n, edge)
    if scale == "log":
        return intervals.sign_flip(np.log(values_n), np.log(edge)) if edge > 0 else 0.0
    return intervals.sign_flip(values_n, edge)
