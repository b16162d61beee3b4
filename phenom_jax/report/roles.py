"""The roles of a mark: which hyperparameter is its x, its colour, its panel, and which runs it draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from phenom_jax.hparams import Value
from phenom_jax.report.figures import thin
from phenom_jax.report.marks import At, Axes
from phenom_jax.store.axes import hold, show, swept_axes, words

MOST = 6  # values of a colour or a panel axis that are shown


def resolve(results: xr.Dataset, *roles: Axes) -> list[str | None]:
    """Returns the hyperparameter of each role: the first it names that varies and that no earlier role has.

    Hyperparameters that vary together (zipped) are taken together. None where a role has none.
    """
    together = list(swept_axes(results).values())
    taken: set[str] = set()
    found: list[str | None] = []
    for role in roles:
        names = [role] if isinstance(role, str) else role or []
        name = next((name for name in names if name not in taken and varies(results, name)), None)
        found.append(name)
        taken |= {name} if name else set()
        taken |= {other for group in together if name in group for other in group}
    return found


def varies(results: xr.Dataset, name: str) -> bool:
    """Returns whether runs differ in a coordinate."""
    return name in results.coords and results[name].dims == ("run",) and len(np.unique(results[name].values)) > 1


def to_draw(
    results: xr.Dataset, names: Sequence[str], shown: Sequence[str | None], at: At | None
) -> tuple[xr.Dataset | None, list[str]]:
    """Returns the runs to draw and what was held, or None where no variable was measured in them."""
    if not all(name in results for name in names):
        return None, []
    held, notes = hold(results, shown, at or {})
    measured = any(np.isfinite(held[name].values).any() for name in names)
    return (held if measured else None), notes


def shown_values(results: xr.Dataset, axis: str | None, most: int = MOST) -> tuple[list, str]:
    """Returns the values of an axis to show, [None] where it does not vary, and words for those left out."""
    if axis is None or not varies(results, axis):
        return [None], ""
    return thin(np.unique(results[axis].values).tolist(), most, words(axis))


def where(results: xr.Dataset, axis: str | None, value: Value | None) -> xr.Dataset:
    """Returns the runs with this value of the axis; all where it does not vary."""
    return results if axis is None or value is None else results.isel(run=(results[axis] == value).values)


def title(axis: str | None, value: Value | None) -> str:
    """Returns what a panel is called, nothing where there is one."""
    return "" if axis is None or value is None else f"{words(axis)} {show(value)}"


def counted(counts: np.ndarray) -> str:
    """Returns how many runs cells have, in words: "4" or "3 to 4"."""
    return f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
