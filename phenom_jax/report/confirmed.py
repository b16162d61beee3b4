"""The table of claims: a row for each that was decided, and the confirmed table that the project publishes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np

from phenom_jax.claims.claim import Claim
from phenom_jax.claims.lift import Finding
from phenom_jax.claims.rules import Verdict
from phenom_jax.experiment import Experiment
from phenom_jax.store.config import Config

ORDER: tuple[Verdict, ...] = ("fails", "undecided", "holds", "not tested", "error")  # the most interesting first
SCOREBOARD = {"fails": 6, "undecided": 3, "holds": 6}  # rows of the README's


class Row(TypedDict):
    """A claim decided on a sweep, as in claims.json and docs/results.json; numbers are null where there are none."""

    experiment: str
    preset: str
    statement: str
    source: str
    link: str
    published: str
    quantity: str
    estimate: float | None
    low: float | None
    high: float | None
    units: int
    p_holm: float | None
    verdict: str
    rule: str
    fingerprint: str
    said: str
    power: str
    command: str
    commit: str
    date: str
    machine: str


class Origin(NamedTuple):
    """What a sweep's findings come from: the experiment, the preset with its flags, and the record of its run."""

    experiment: str
    preset: str
    flags: Mapping[str, str]
    command: str
    commit: str
    date: str
    machine: str


def origin(experiment: Experiment, config: Config) -> Origin:
    """Returns the Origin of a sweep from the config of its run directory."""
    command, here = config.command, config.environment
    named = re.search(r"\bpreset[= ]'?([^\s',)]+)", command)
    preset = named[1] if named and named[1] in experiment.presets else ""
    return Origin(
        experiment=experiment.name,
        preset=preset,
        flags=experiment.presets[preset].flags if preset in experiment.presets else {},
        command=command,
        commit=(here.commit or "") + ("+" if here.modified else ""),
        date=config.started[:10],
        machine=f"{here.device_count} x {here.device}: {here.processor}",
    )


def row(finding: Finding, origin: Origin) -> Row:
    """Returns the row of a finding."""
    claim, interval = finding.claim, finding.estimate
    return Row(
        experiment=origin.experiment,
        preset=origin.preset,
        statement=claim.statement,
        source=str(claim.source),
        link=claim.source.link,
        published=claim.published,
        quantity=claim.quantity,
        estimate=_finite(interval.estimate),
        low=_finite(interval.low),
        high=_finite(interval.high),
        units=finding.units,
        p_holm=_finite(finding.p_holm),
        verdict=finding.verdict,
        rule=claim.ruled,
        fingerprint=claim.fingerprint(origin.flags),
        said=str(finding),
        power=finding.power,
        command=origin.command,
        commit=origin.commit,
        date=origin.date,
        machine=origin.machine,
    )


class Entry(NamedTuple):
    """A claim that a preset tests, with the row that confirms it or None.

    Attributes:
      changed: whether its rule or its preset changed after the confirmation, which then confirms nothing.
    """

    experiment: str
    preset: str
    claim: Claim
    row: Row | None
    changed: bool


def entries(tested: Iterable[tuple[str, str, Mapping[str, str], Claim]], confirmed: Sequence[Row]) -> list[Entry]:
    """Returns every claim of every preset that tests it: (experiment, preset, its flags, claim), failing ones first."""
    rows = {(row["experiment"], row["preset"], row["statement"]): row for row in confirmed}
    found = []
    for experiment, preset, flags, claim in tested:
        row = rows.get((experiment, preset, claim.statement))
        changed = row is not None and row["fingerprint"] != claim.fingerprint(flags)
        found.append(Entry(experiment, preset, claim, row, changed))
    return sorted(found, key=_rank)


def results_md(found: Sequence[Entry]) -> str:
    """Returns docs/RESULTS.md: every claim, confirmed or explored only."""
    confirmed = [entry for entry in found if entry.row and not entry.changed]
    explored = [entry for entry in found if entry not in confirmed]
    counts = ", ".join(
        f"{count} {verdict}"
        for verdict in ORDER
        if (count := sum(entry.row["verdict"] == verdict for entry in confirmed if entry.row))
    )
    parts = [
        "# Results",
        "Each row comes from confirming seeds, 10,000 and up, that nobody looked at while the rule or the preset was "
        "made. Made by `python -m launch.confirm`; do not edit. Intervals are of 95 %, p is two-sided and adjusted "
        f"(Holm) for the claims of the sweep. Confirmed: {counts or 'none yet'}.",
    ]
    for experiment in sorted({entry.experiment for entry in confirmed}):
        lines = ["| claim | published | found | p | verdict |", "|---|---|---|---|---|"]
        own = [entry for entry in confirmed if entry.experiment == experiment]
        lines += [_line(entry.row) for entry in own if entry.row]
        made = dict.fromkeys(_made(entry.row) for entry in own if entry.row)
        parts += [f"## {experiment}", "\n".join(lines), "\n".join(made)]
    if explored:
        lines = ["| experiment | preset | claim | |", "|---|---|---|---|"]
        lines += [
            f"| {entry.experiment} | {entry.preset or 'default'} | {entry.claim.statement} | "
            f"{'its rule changed after it was confirmed' if entry.changed else 'explored only'} |"
            for entry in explored
        ]
        parts += ["## Not confirmed", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def scoreboard(found: Sequence[Entry]) -> str:
    """Returns the README's short table: of each verdict some, from as many experiments as can be."""
    confirmed = [entry for entry in found if entry.row and not entry.changed]
    chosen: list[Entry] = []
    for verdict, most in SCOREBOARD.items():
        own = [entry for entry in confirmed if entry.row and entry.row["verdict"] == verdict]
        turns = [[other.experiment for other in own[:place]].count(entry.experiment) for place, entry in enumerate(own)]
        chosen += [own[place] for place in np.argsort(turns, kind="stable")[:most]]
    lines = ["| | claim | published | found | verdict |", "|---|---|---|---|---|"]
    for entry in sorted(chosen, key=_rank):
        if entry.row:
            name = f"`{entry.experiment}{' ' + entry.preset if entry.preset else ''}`"
            lines.append(
                f"| {name} | {entry.row['statement']} | {entry.row['published']} | {_found(entry.row)} | "
                f"{_shown(entry.row['verdict'])} |"
            )
    return "\n".join(lines) + "\n"


def _rank(entry: Entry) -> tuple[Any, ...]:
    return (ORDER.index(entry.row["verdict"]) if entry.row else len(ORDER), entry.experiment, entry.preset)  # type: ignore[arg-type]


def _line(row: Row) -> str:
    source = f"[{row['source']}]({row['link']})" if row["link"] else row["source"]
    p = "" if row["p_holm"] is None else f"{row['p_holm']:.2g}"
    preset = f"`{row['preset']}` " if row["preset"] else ""
    return (
        f"| {preset}{row['statement']} {source}<br>{row['rule']} | {row['published']} | {_found(row)}<br>"
        f"{row['quantity']}<br>{row['power']} | {p} | {_shown(row['verdict'])} |"
    )


def _found(row: Row) -> str:
    if row["estimate"] is None:
        return row["said"]
    low, high = ("∞" if value is None else f"{value:.3g}" for value in (row["low"], row["high"]))
    low = f"−{low}" if low == "∞" else low
    return f"{row['estimate']:.3g} [{low}, {high}], {row['units']} units"


def _made(row: Row) -> str:
    return f"`{row['command']}`, commit {row['commit'][:8]}, {row['date']}, {row['machine']}  "


def _shown(verdict: str) -> str:
    return f"**{verdict}**" if verdict in ("fails", "error") else verdict


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
