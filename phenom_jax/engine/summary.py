"""What the terminal shows of results: a table over the cells of the sweep, and the claims with their verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from phenom_jax.results.axes import hyperparameters
from phenom_jax.results.claims import Claim, Decision

MOST_ROWS = 40
GAP = 2  # spaces between columns
STYLES = {"holds": "green", "fails": "red", "undecided": "yellow"}


def show(results: xr.Dataset, decided: Sequence[tuple[Claim, Decision]], console: Console) -> None:
    """Prints one row per cell of the swept axes without seeds, and a line per claim.

    Args:
      results: dimensions (run, step), with what the experiment's `summarise` adds.
      decided: the claims, each with its decision on these results.
    """
    console.print(summary_table(results, console.width))
    for claim, decision in decided:
        verdict = Text.assemble((f"{decision.verdict:>9}", STYLES[decision.verdict]), "  ", claim.statement)
        console.print(verdict)
        console.print(Padding(Text(decision.statistic, "dim"), (0, 0, 0, 11), expand=False))


def summary_table(results: xr.Dataset, width: int) -> Table:
    """Returns a row per cell: its runs, those that diverged or failed, and medians over its runs.

    Medians are of the variables per run and of every scalar measure where the run left off, as many as `width` has room
    for. Where only some runs of a cell have a value, as a step never reached, their count follows the median.
    """
    axes = [name for name in hyperparameters(results) if _varies(results[name].values) and not name.endswith("seed")]
    cells: dict[tuple, list[int]] = {}
    for row, cell in enumerate(
        zip(*(results[name].values.tolist() for name in axes)) if axes else [()] * len(results.run)
    ):
        cells.setdefault(cell, []).append(row)
    shown = sorted(cells)[:MOST_ROWS]
    rows = [cells[cell] for cell in shown]
    columns = {
        name: [f"{cell[i]:g}" if isinstance(cell[i], float) else str(cell[i]) for cell in shown]
        for i, name in enumerate(axes)
    }
    columns["runs"] = [str(len(members)) for members in rows]
    columns |= _unfinished(results.status.values, rows)
    for name, values in _per_run(results).items():
        column = [_median(values[members]) for members in rows]
        if _width({**columns, name: column}) > width:
            break
        columns[name] = column
    left_out = len(cells) - len(shown)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.caption = f"{left_out} cells more" if left_out else None
    for name in columns:
        table.add_column(name.replace("_", "\n"), justify="right", vertical="bottom", no_wrap=True)
    for texts in zip(*columns.values()):
        table.add_row(*texts)
    return table


def _varies(values: np.ndarray) -> bool:
    return len(np.unique(values)) > 1


def _unfinished(status: np.ndarray, rows: Sequence[Sequence[int]]) -> dict[str, list[str]]:
    """Returns a column of counts for every status of runs that did not come to their end."""
    present = [name for name in ("waiting", "running", "diverged", "failed") if name in status]
    return {name: [str(np.sum(status[members] == name)) for members in rows] for name in present}


def _per_run(results: xr.Dataset) -> Mapping[str, np.ndarray]:
    """Returns float[runs] by name: numbers per run, then each scalar measure at the last step it has."""
    numbers = {str(name): array for name, array in results.data_vars.items() if array.dtype.kind in "fiub"}
    summarised = {name: array.values.astype(float) for name, array in numbers.items() if array.dims == ("run",)}
    curves = {name: array for name, array in numbers.items() if array.dims == ("run", "step")}
    return summarised | {name: _last(array.values) for name, array in curves.items()}


def _last(curves_RxP: np.ndarray) -> np.ndarray:
    """Returns float[runs]: the last finite value of each curve, NaN where it has none."""
    last = curves_RxP.shape[1] - 1 - np.argmax(np.isfinite(curves_RxP)[:, ::-1], axis=1)
    return curves_RxP[np.arange(len(curves_RxP)), last]


def _median(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "-"
    median = np.median(known)
    shown = f"{median:.0f}" if 1000 <= abs(median) < 1e7 else f"{median:.3g}"
    return shown + (f" ({len(known)})" if len(known) < len(values) else "")


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Returns how wide the table is with headings broken between words."""
    heads = {name: max(map(len, name.split("_"))) for name in columns}
    return sum(GAP + max(heads[name], *map(len, texts)) for name, texts in columns.items())
