"""Confirms the claims: trains their presets at seeds that nothing else uses, and publishes what comes out.

python -m launch.confirm                     all that is not confirmed yet, row by row; it resumes
python -m launch.confirm grokking            of one experiment
python -m launch.confirm grokking/transformer --again
python -m launch.confirm grokking --recheck  decides again from the saved sweeps: a rule was written otherwise
python -m launch.confirm --list              what there is to confirm; nothing is trained

Writes docs/results.json, docs/RESULTS.md and the scoreboard of README.md after each preset.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import experiments
from launch import determinism
from phenom_jax.claims import Claim
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import fields
from phenom_jax.report.confirmed import Entry, Row, entries, results_md, scoreboard
from phenom_jax.store.atomic import write_whole
from phenom_jax.sweep.grammar import parse_axis

FIRST_SEED = 10_000
ROOT = Path(__file__).parent.parent
RESULTS, PAGE, README = ROOT / "docs/results.json", ROOT / "docs/RESULTS.md", ROOT / "README.md"
BLOCK = re.compile(r"(<!-- scoreboard: [^\n]*-->\n).*?(<!-- end of the scoreboard -->)", re.DOTALL)
BAD_INPUT = 2


class Job(NamedTuple):
    """A sweep that tests claims, at confirming seeds.

    Attributes:
      experiment, preset: as in the table.
      claims: those that it tests.
      flags: of the preset, part of what is confirmed.
      arguments: the command after `python -m`, without --out.
      place: of the run directory below --out.
    """

    experiment: str
    preset: str
    claims: tuple[Claim, ...]
    flags: Mapping[str, str]
    arguments: list[str]
    place: str = "."

    @property
    def name(self) -> str:
        return f"{self.experiment}/{self.preset}" if self.preset else self.experiment


def jobs() -> list[Job]:
    """Returns every preset that a claim names, in the order of their names, and those of launchers of their own."""
    found = []
    for module in pkgutil.iter_modules(experiments.__path__, "experiments."):
        found += _presets(importlib.import_module(module.name).experiment)
    seeds = f"--seeds={FIRST_SEED}:{FIRST_SEED + 64}"
    return [*found, Job("determinism", "", determinism.CLAIMS, determinism.FLAGS, ["launch.determinism", seeds])]


def _presets(experiment: Experiment) -> Iterator[Job]:
    """Yields the presets that test claims, each with as many seeds as it has, from FIRST_SEED on."""
    seed = fields(experiment.hparams)["seed"]
    for name, preset in experiment.presets.items():
        claims = tuple(claim for claim in experiment.claims if name in claim.presets)
        flag, place, trained = "seed", ".", preset
        if preset.source:  # its units are the seeds of the source, which is trained first
            flag, place, trained = "source_seeds", experiment.name, preset.source
        count = len(parse_axis(seed, trained.flags.get("seed", str(seed.default))))
        seeds = f"--{flag}={FIRST_SEED}:{FIRST_SEED + count}"
        words = [f"launch.{experiment.name}", *([f"--preset={name}"] if name else []), seeds]
        if claims:
            yield Job(experiment.name, name, claims, preset.flags, words, place)


def read() -> list[Row]:
    """Returns the confirmed rows."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def table(all_jobs: Sequence[Job], rows: Sequence[Row]) -> list[Entry]:
    """Returns every claim of every job with the row that confirms it."""

    tested = [(job.experiment, job.preset, job.flags, claim) for job in all_jobs for claim in job.claims]
    return entries(tested, rows)


def publish(all_jobs: Sequence[Job], rows: Sequence[Row]) -> None:
    """Writes the rows, the page made of them, and the scoreboard in the README."""
    found = table(all_jobs, rows)
    write_whole(RESULTS, json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n")
    write_whole(PAGE, results_md(found))
    write_whole(README, with_scoreboard(README.read_text(), found))


def with_scoreboard(readme: str, found: Sequence[Entry]) -> str:
    """Returns the README with its scoreboard made anew."""
    return BLOCK.sub(lambda match: match[1] + scoreboard(found) + match[2], readme)


def confirm(job: Job, out: Path, call: Callable[[list[str]], int], saved: bool) -> list[Row]:
    """Trains a job's sweep, or the rest of it, and returns the rows of its claims.

    Args:
      job: what to confirm.
      out: where sweeps are kept.
      call: runs a module with these words and returns the exit code.
      saved: decide from the saved results, without training.
    Raises:
      RuntimeError: the command did not end well; the same call goes on where it stopped.
    """
    directory = out / job.name.replace("/", "-")
    found = directory / job.place
    code = call(["launch.report", str(found)] if saved else [*job.arguments, f"--out={directory}"])
    if code:
        raise RuntimeError(f"{job.name}: exit code {code}")
    statements = {claim.statement for claim in job.claims}
    command = " ".join(["python -m", *job.arguments])
    rows: list[Row] = json.loads((found / "claims.json").read_text())
    return [{**row, "preset": job.preset, "command": command} for row in rows if row["statement"] in statements]


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 done, 1 something could not be trained or decided, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m launch.confirm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME[/PRESET]")
    parser.add_argument("--again", action="store_true", help="also what is confirmed already")
    parser.add_argument("--recheck", action="store_true", help="decide again from the saved sweeps, without training")
    parser.add_argument("--list", action="store_true", help="what there is, and nothing else")
    parser.add_argument("--out", type=Path, default=Path("runs/confirm"), help="where the sweeps are kept")
    asked = parser.parse_args(arguments)
    everything = jobs()
    chosen = [job for job in everything if not asked.names or {job.name, job.experiment} & set(asked.names)]
    unknown = set(asked.names) - {job.name for job in everything} - {job.experiment for job in everything}
    if unknown:
        allowed = ", ".join(job.name for job in everything)
        print(f"NAME: {', '.join(sorted(unknown))}, allowed are {allowed}", file=sys.stderr)
        return BAD_INPUT
    failed = 0
    for job in chosen:
        waiting = [entry for entry in table([job], read()) if entry.row is None or entry.changed]
        if asked.list or not (waiting or asked.again or asked.recheck):
            print(f"{job.name}: {len(waiting)} claims to confirm")
            continue
        print(f"{job.name}: {' '.join(job.arguments)}", flush=True)
        try:
            rows = confirm(job, asked.out, lambda words: subprocess.call([sys.executable, "-m", *words]), asked.recheck)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        kept = [row for row in read() if (row["experiment"], row["preset"]) != (job.experiment, job.preset)]
        publish(everything, sorted([*kept, *rows], key=lambda row: (row["experiment"], row["preset"])))
        for row in rows:
            print(f"{row['verdict']:>10}  {row['statement']} {row['said']}", flush=True)
        failed += any(row["verdict"] == "error" for row in rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
