"""The report of a sweep, made from its run directory alone: figures, claims, tables and one self-contained page."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.claims.lift import Finding, decide_all
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue
from phenom_jax.report import page
from phenom_jax.report.confirmed import Row, origin, row
from phenom_jax.report.draw import draw
from phenom_jax.report.figures import rendered
from phenom_jax.report.marks import Figure
from phenom_jax.report.page import Section
from phenom_jax.report.tables import Cell, cells, write_runs
from phenom_jax.report.verdicts import VerdictRow, verdicts
from phenom_jax.store.atomic import write_whole
from phenom_jax.store.axes import hyperparameters, show, swept_axes, words
from phenom_jax.store.config import Config, read_config
from phenom_jax.store.derived import save_derived
from phenom_jax.store.directory import unused
from phenom_jax.store.provenance import Start
from phenom_jax.store.schema import JSON
from phenom_jax.store.united import STORE, open_sweep
from phenom_jax.sweep.status import MEANINGS, OVER

_OF_A_START = ("started", "command", "commit", "modified", "untracked", "code", "accepted")
_MOST_ROWS = 300


class Report(NamedTuple):
    """What `write_report` wrote and found."""

    path: Path
    results: xr.Dataset
    findings: list[Finding]


class _Drawn(NamedTuple):
    figure: Figure
    image: bytes
    inches: float = 0.0
    problem: str = ""


def write_report(directory: str | os.PathLike[str], experiment: Experiment) -> Report:
    """Writes runs.csv, claims.json, figures/ and report.html into a run directory from what is saved in it.

    Where no process trains, derived variables go into results.zarr.

    Works while the sweep goes on, on the runs that are over. A figure that cannot be drawn is named with its error.

    Raises:
      InvalidValue: the directory is not one of this experiment, or holds no results yet.
    """
    directory = Path(directory)
    config = read_config(directory, "directory")
    if config.experiment != experiment.name:
        raise InvalidValue(f"directory: {directory} is of {config.experiment!r}, not of {experiment.name!r}")
    try:
        stored = open_sweep(directory)
    except FileNotFoundError:
        raise InvalidValue(f"directory: {directory} holds no results.zarr yet") from None
    results = experiment.summarise(stored)
    findings = decide_all(experiment.claims, results)
    rows = [row(finding, origin(experiment, config)) for finding in findings]
    figures = [*experiment.figures, _verdict_figure(findings)]
    drawn = [_draw(figure, results) for figure in figures]
    with unused(directory) as ours:
        if ours and (directory / STORE).exists():  # else it is the training that writes them
            save_derived(directory / STORE, results)
    write_runs(directory / "runs.csv", results)
    write_whole(directory / "claims.json", json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    _write_figures(directory / "figures", figures, drawn)
    path = directory / "report.html"
    write_whole(path, _page(experiment, results, rows, drawn, config))
    return Report(path, results, findings)


def _draw(figure: Figure, results: xr.Dataset) -> _Drawn | None:
    try:
        drawing = draw(figure, results)
        return None if drawing is None else _Drawn(figure, rendered(drawing, figure.format), drawing.get_figwidth())
    except Exception as error:  # one figure's error must not cost the others
        return _Drawn(figure, b"", problem=f"{type(error).__name__}: {error}")


def _write_figures(folder: Path, figures: Sequence[Figure], drawn: Sequence[_Drawn | None]) -> None:
    """Writes what was drawn, and removes what an earlier report drew of figures that these results do not have."""
    folder.mkdir(exist_ok=True)
    for figure, item in zip(figures, drawn, strict=True):
        path = folder / f"{figure.name}.{figure.format}"
        if item is not None and item.image:
            write_whole(path, item.image)
        else:
            path.unlink(missing_ok=True)


def _page(
    experiment: Experiment,
    results: xr.Dataset,
    rows: Sequence[Row],
    drawn: Sequence[_Drawn | None],
    config: Config,
) -> str:
    sections = [
        Section("runs", "Runs", _runs(results)),
        Section("claims", "Claims", _claims(rows, drawn[-1])),
        Section("figures", "Figures", "\n".join(_figure(item) for item in drawn[:-1] if item is not None)),
        Section("cells", "Cells of the sweep", _cells(results)),
        Section("plan", "Plan", page.listing(config.plan)),
        Section("environment", "Environment", _environment(config)),
        Section("redo", "Do it again", _redo(config)),
    ]
    about = inspect.getdoc(inspect.getmodule(experiment.init)) or ""
    title = experiment.name.replace("_", " ").capitalize()
    return page.page(
        title, page.sentence(about.split("\n\n")[0].removeprefix(f"{title}: ")), [s for s in sections if s.body]
    )


def _runs(results: xr.Dataset) -> str:
    counts = Counter(results["status"].values.tolist())
    over = sum(counts[status] for status in OVER)
    total = results.sizes["run"]
    axes = {name: np.unique(results[name].values).tolist() for names in swept_axes(results).values() for name in names}
    swept = {words(name): _values(values) for name, values in axes.items()}
    fixed = {words(n): show(results[n].values[0].item()) for n in hyperparameters(results) if n not in axes and total}
    ongoing = (
        "" if over == total else f'<p class="hint">What follows is of the {over} of {total} runs that are over.</p>'
    )
    summary = f"{len(fixed)} hyperparameters are the same in all runs"
    held = f"<details><summary>{summary}</summary>{page.listing(fixed)}</details>"
    said = page.status_bar(counts, MEANINGS) + _codes(results) + ongoing
    return said + "<br>" + page.listing(swept) + held + _lost(results)


def _codes(results: xr.Dataset) -> str:
    """Returns what must be said where the runs are not all of one code, as was accepted."""
    codes = results["code"].values[results["status"].values != "waiting"].tolist() if "code" in results.coords else []
    counts = Counter(code or "not recorded" for code in codes)
    said = ", ".join(f"{count} of {code}" for code, count in counts.most_common())
    return f'<p class="hint">Made by different code: {said}; runs.csv says which.</p>' if len(counts) > 1 else ""


def _lost(results: xr.Dataset) -> str:
    """Returns a table of the runs that diverged or failed."""
    lost = np.flatnonzero(np.isin(results["status"].values, ("diverged", "failed")))
    if not len(lost):
        return ""
    names = [name for names in swept_axes(results).values() for name in names]
    rows = [
        [
            *(show(results[name].values[row].item()) for name in names),
            str(results["status"].values[row]),
            str(results["last_step"].values[row]),
            str(results["reason"].values[row]),
        ]
        for row in lost[:_MOST_ROWS]
    ]
    table = page.table([*map(words, names), "status", "at step", "reason"], rows)
    return f"<details><summary>{len(lost)} runs diverged or failed</summary>{table}</details>"


def _verdict_figure(findings: Sequence[Finding]) -> Figure:
    """Returns the figure of all claims of a page: zone, units, estimate and interval of each."""
    return Figure(
        "claims",
        "What the units say",
        "Each claim's number with its 95 % interval over the zone of its rule (shaded), a dot for each unit; of a "
        "family a bar for each cell. An interval inside the zone holds, one outside fails.",
        lambda _: verdicts([_strip(finding) for finding in findings if finding.intervals]),
    )


def _strip(finding: Finding) -> VerdictRow:
    claim, cells = finding.claim, list(finding.intervals)
    if len(cells) > 1:
        estimate, low, high = np.array(list(finding.intervals.values())).T
        points: np.ndarray | list[np.ndarray] = list(finding.numbers.values())
    else:
        estimate, low, high = finding.estimate
        points = finding.numbers[cells[0]]
    return VerdictRow(
        statement=claim.statement,
        verdict=finding.verdict,
        estimate=estimate,
        low=low,
        high=high,
        zone=(claim.rule.low, claim.rule.high),
        points=points,
        log=claim.scale == "log",
        words=f"{claim.quantity} ({finding.units} {words(claim.unit)}s)",
        labels=cells,
        cells=[claim.rule.verdict(interval) for interval in finding.intervals.values()] if len(cells) > 1 else (),
    )


def _claims(rows: Sequence[Row], verdicts: _Drawn | None) -> str:
    if not rows:
        return ""
    items = "".join(page.claim(each) for each in rows)
    return f'<ul class="claims">{items}</ul>' + (_figure(verdicts) if verdicts else "")


def _figure(item: _Drawn) -> str:
    if item.problem:
        return f"<p><b>{page.text(item.figure.title)}</b> could not be drawn: {page.text(item.problem)}</p>"
    return page.figure(item.figure.title, item.figure.caption, item.image, item.figure.format, item.inches)


def _cells(results: xr.Dataset) -> str:
    found = cells(results)
    if not found:
        return ""
    measures = [name for name in found[0].measures if any(str(cell.measures[name]) for cell in found)]
    columns = [*map(words, found[0].values), "runs", *(_heading(results, name) for name in measures)]
    rows = [
        [*map(show, cell.values.values()), _counts(cell), *(str(cell.measures[name]) for name in measures)]
        for cell in found[:_MOST_ROWS]
    ]
    left_out = f" The first {_MOST_ROWS} of {len(found)} cells." if len(found) > _MOST_ROWS else ""
    hint = (
        f"Median [range] over the runs that are over, at the last measured step of each.{left_out} All runs: runs.csv."
    )
    return f'<p class="hint">{hint}</p>{page.table(columns, rows, "cells")}'


def _counts(cell: Cell) -> str:
    total, over = sum(cell.statuses.values()), sum(cell.statuses.get(status, 0) for status in OVER)
    diverged = f", {cell.statuses['diverged']} diverged" if "diverged" in cell.statuses else ""
    return (f"{total}" if over == total else f"{over} of {total}") + diverged


def _heading(results: xr.Dataset, name: str) -> str:
    attributes = results[name].attrs
    units = attributes.get("units", "1")
    return words(name) + (f" ({units})" if units not in ("1", "") else "")


def _environment(config: Config) -> str:
    settings, starts = dataclasses.asdict(config.settings), [_start(start) for start in config.starts]
    shown = {**dataclasses.asdict(config.environment), "matmul_precision": config.settings.matmul_precision}
    shown |= {"created": config.created, "started": config.started}
    parts: dict[str, JSON] = {"settings of the sweep": settings, "every start": starts}
    folded = [f"<details><summary>{name}</summary>{page.listing(part)}</details>" for name, part in parts.items()]
    return page.listing(shown) + "".join(folded)


def _start(start: Start) -> Mapping[str, JSON]:
    told = {**dataclasses.asdict(start), **dataclasses.asdict(start.environment)}
    return {name: told[name] for name in _OF_A_START}


def _redo(config: Config) -> str:
    alone = 'xarray.open_zarr("DIRECTORY/results.zarr")'
    opened = page.text('phenom_jax.store.united.open_sweep("DIRECTORY")' if config.part else alone)
    command = page.text(config.command)
    return (
        f"<p>The same runs, or the rest of them in a directory that is not finished:</p><pre>{command}</pre>"
        "<p>This page again from the saved results, without training:</p><pre>python -m launch.report DIRECTORY</pre>"
        f"<p>The results in Python:</p><pre>{opened}</pre>"
    )


def _values(values: list) -> str:
    shown = [show(value) for value in values]
    return ", ".join(shown if len(shown) <= 16 else [*shown[:8], "…", *shown[-2:]]) + (
        f" ({len(shown)} values)" if len(shown) > 8 else ""
    )
