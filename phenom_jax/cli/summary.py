"""What the terminal shows: the plan before training; after it a table over the cells of the sweep, and the claims."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from phenom_jax.claims.lift import Finding
from phenom_jax.device.devices import Devices
from phenom_jax.device.forecast import ATTAINED, Forecast, end_bytes, totals
from phenom_jax.device.layout import Lanes
from phenom_jax.device.work import Work
from phenom_jax.hparams import Value
from phenom_jax.report.tables import cells, spread
from phenom_jax.store.axes import final_values
from phenom_jax.sweep.plan import Plan
from phenom_jax.sweep.status import OVER

MOST_ROWS = 40
UNFINISHED = ("waiting", "running", "diverged", "failed")
GAP = 2  # spaces between columns
INDENT = 12  # of a claim's statistic, under its statement
STYLES = {"holds": "green", "fails": "red", "undecided": "yellow", "not tested": "dim", "error": "bold red"}


def show_plan(plan: Plan, lanes: Sequence[Lanes], devices: Devices, console: Console) -> None:
    """Prints the programs of a sweep, what they cost, and how they are laid out where `lanes` says it per program."""
    console.print(
        f"{plan.runs} runs in {len(plan.programs)} program{'s' if len(plan.programs) > 1 else ''} on "
        f"{devices.count} x {devices.kind}: "
        f"{plan.flops:.2g} FLOP, of which padding {plan.waste:.0%}",
        highlight=False,
    )
    columns = _programs(plan)
    if lanes:
        columns["lanes"] = [f"{devices.count} x {each.layout.groups} x {each.layout.lanes}" for each in lanes]
        columns["run-steps/s"] = [f"{each.run_steps_per_second:,.0f}" for each in lanes]
        columns["MiB per device"] = [f"{each.bytes_per_device / 2**20:,.0f}" for each in lanes]
    console.print(_table(columns))
    if lanes:
        console.print("lanes: devices x groups one after the other x runs side by side", style="dim", highlight=False)


def show_ends(work: Work, console: Console) -> None:
    """Prints what the ends of a sweep's runs take on disk, nothing where they are not kept."""
    if work.settings.keep_ends:
        console.print(
            f"the ends of {work.plan.runs} runs are kept (--keep_ends): {end_bytes(work) / 2**20:,.3g} MiB before "
            "compression",
            highlight=False,
        )


def show_forecast(found: Sequence[Forecast], name: str, count: int, console: Console) -> None:
    """Prints what the programs of a sweep would take on `count` accelerators of this name."""
    columns = {
        "program": [each.program.id for each in found],
        "runs": [str(len(each.program.runs)) for each in found],
        "lanes_per device": [str(each.lanes) for each in found],
        "MiB_per_lane": [f"{(each.lane_bytes + each.temporary_bytes) / 2**20:.3g}" for each in found],
        "FLOP_per_step": [f"{each.step_flops:.2g}" for each in found],
        "bytes_per_step": [f"{each.step_bytes:.2g}" for each in found],
        "device-hours": [f"{each.device_hours:.3g} to {each.device_hours / ATTAINED:.3g}" for each in found],
        "checkpoints_GiB": [f"{each.checkpoint_bytes / 2**30:.3g}" for each in found],
        "results_GiB": [f"{each.result_bytes / 2**30:.3g}" for each in found],
    }
    hours, checkpoints, results = totals(found)
    console.print(f"\non {count} x {name}, estimated from programs compiled here and the datasheet:", highlight=False)
    console.print(_table(columns))
    console.print(
        f"in all {hours:.3g} device-hours at the roofline, {hours / ATTAINED:.3g} at {ATTAINED:.0%} of it: "
        f"{hours / count:.3g} to {hours / count / ATTAINED:.3g} hours of {count}; "
        f"{checkpoints / 2**30:.3g} GiB of checkpoints, {results / 2**30:.3g} GiB of results before compression",
        highlight=False,
    )


def show(results: xr.Dataset, findings: Sequence[Finding], console: Console) -> None:
    """Prints one row per cell of the swept axes without seeds, and a line per claim.

    Args:
      results: dimensions (run, step), with what the experiment's `summarise` adds.
      findings: on these results.
    """
    console.print(summary_table(results, console.width))
    for finding in findings:
        verdict = Text.assemble((f"{finding.verdict:>10}", STYLES[finding.verdict]), "  ", finding.claim.statement)
        console.print(verdict)
        for line in textwrap.wrap(str(finding), console.width - INDENT):
            console.print(Text(" " * INDENT + line, "dim"))


def show_expected(results: xr.Dataset, expects: Mapping[str, tuple[float, float]], console: Console) -> None:
    """Prints for every number that a preset expects its median over the ended runs, and whether it lies there."""
    over = results.isel(run=np.isin(results["status"].values, OVER))
    final = final_values(over)
    for name, (low, high) in expects.items():
        median = spread(final[name].values, never=over[name].dims == ("run",)).median
        where = "as expected" if low <= median <= high else "not as expected"
        style = "green" if low <= median <= high else "red"
        console.print(Text(f"{where}: {name} {_number(median)} in {low:g} to {high:g}, the median of runs", style))


def summary_table(results: xr.Dataset, width: int) -> Table:
    """Returns a row per cell: its runs, those that did not come to their end, and medians over its runs.

    Medians are of the variables per run and of the scalar measures where the run left off, as many as `width` has room
    for.
    """
    found = cells(results)
    shown = found[:MOST_ROWS]
    columns = {name: [_number(cell.values[name]) for cell in shown] for name in found[0].values}
    columns["runs"] = [str(sum(cell.statuses.values())) for cell in shown]
    for status in UNFINISHED:
        if any(status in cell.statuses for cell in found):
            columns[status] = [str(cell.statuses.get(status, 0)) for cell in shown]
    for name in found[0].measures:
        column = [_number(cell.measures[name].median) for cell in shown]
        if _width({**columns, name: column}) <= width:
            columns[name] = column
    left_out = len(found) - len(shown)
    return _table(columns, f"{left_out} cells more" if left_out else None)


def _programs(plan: Plan) -> dict[str, list[str]]:
    """Returns a column per hyperparameter that tells the programs apart, and what each program costs."""
    programs = plan.programs
    columns = {
        "program": [program.id for program in programs],
        "runs": [str(len(program.runs)) for program in programs],
    }
    for name in programs[0].statics:
        values = [str(program.statics[name]) for program in programs]
        columns |= {name: values} if len(set(values)) > 1 else {}
    for name in programs[0].padded:
        asked = [sorted({run.values[name] for run in program.runs}) for program in programs]
        if len({value for values in asked for value in values}) > 1:
            columns[name] = [_span(each) for each in asked]
            columns[f"padded_{name}"] = [str(program.padded[name]) for program in programs]
    columns["FLOP"] = [f"{program.flops:.2g}" for program in programs]
    columns["padding"] = [f"{1 - program.useful_flops / max(program.flops, 1):.0%}" for program in programs]
    return columns


def _span(values: Sequence[object]) -> str:
    return ",".join(map(str, values)) if len(values) <= 3 else f"{values[0]}..{values[-1]}"


def _table(columns: Mapping[str, Sequence[str]], caption: str | None = None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", caption=caption)
    for name in columns:
        table.add_column(name.replace("_", "\n"), justify="right", vertical="bottom", no_wrap=True)
    for texts in zip(*columns.values()):
        table.add_row(*texts)
    return table


def _number(value: Value) -> str:
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "never"
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Returns how wide the table is with headings broken between words."""
    heads = {name: max(map(len, name.split("_"))) for name in columns}
    return sum(GAP + max(heads[name], *map(len, texts)) for name, texts in columns.items())
