"""Confirms the claims: trains their presets at seeds that nothing else uses, and publishes what comes out.

python -m launch.confirm                     all that is not confirmed yet, row by row; it resumes
python -m launch.confirm grokking            of one experiment
python -m launch.confirm grokking/transformer --again
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import experiments
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import fields
from phenom_jax.report.confirmed import Entry, Row, entries, results_md, scoreboard
from phenom_jax.store.atomic import write_whole
from phenom_jax.sweep.axes import parse_axis

FIRST_SEED = 10_000
ROOT = Path(__file__).parent.parent
RESULTS, PAGE, README = ROOT / "docs/results.json", ROOT / "docs/RESULTS.md", ROOT / "README.md"
BLOCK = re.compile(r"(<!-- scoreboard: [^\n]*-->\n).*?(<!-- end of the scoreboard -->)", re.DOTALL)
BAD_INPUT = 2


class Job(NamedTuple):
    """A preset whose sweep tests claims, at confirming seeds."""

    experiment: Experiment
    preset: str

    @property
    def name(self) -> str:
        return f"{self.experiment.name}/{self.preset}" if self.preset else self.experiment.name

    @property
    def arguments(self) -> list[str]:
        """The command's own, as many seeds as the preset has from FIRST_SEED on."""
        seed, flags = fields(self.experiment.hparams)["seed"], self.experiment.presets[self.preset].flags
        count = len(parse_axis(seed, flags.get("seed", str(seed.default))))
        preset = [f"--preset={self.preset}"] if self.preset else []
        return [f"launch.{self.experiment.name}", *preset, f"--seed={FIRST_SEED}:{FIRST_SEED + count}"]


def jobs() -> list[Job]:
    """Returns every preset that a claim names, in the order of the experiments' names."""
    found = []
    for module in pkgutil.iter_modules(experiments.__path__, "experiments."):
        experiment: Experiment = importlib.import_module(module.name).experiment
        named = {preset for claim in experiment.claims for preset in claim.presets}
        found += [Job(experiment, preset) for preset in experiment.presets if preset in named]
    return found


def read(path: Path = RESULTS) -> list[Row]:
    """Returns the confirmed rows."""
    return json.loads(path.read_text()) if path.exists() else []


def table(all_jobs: Sequence[Job], rows: Sequence[Row]) -> list[Entry]:
    """Returns every claim of every job with the row that confirms it."""

    def tested() -> Iterator:
        for job in all_jobs:
            for claim in job.experiment.claims:
                if job.preset in claim.presets:
                    yield job.experiment.name, job.preset, job.experiment.presets[job.preset].flags, claim

    return entries(tested(), rows)


def publish(all_jobs: Sequence[Job], rows: Sequence[Row]) -> None:
    """Writes the rows, the page made of them, and the scoreboard in the README."""
    found = table(all_jobs, rows)
    write_whole(RESULTS, json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n")
    write_whole(PAGE, results_md(found))
    write_whole(README, with_scoreboard(README.read_text(), found))


def with_scoreboard(readme: str, found: Sequence[Entry]) -> str:
    """Returns the README with its scoreboard made anew."""
    return BLOCK.sub(lambda match: match[1] + scoreboard(found) + match[2], readme)


def confirm(job: Job, out: Path, train: Callable[[list[str]], int]) -> list[Row]:
    """Trains a job's sweep, or the rest of it, and returns the rows of its claims.

    Raises:
      RuntimeError: the command did not end well; the same call goes on where it stopped.
    """
    directory = out / job.name.replace("/", "-")
    code = train([*job.arguments, f"--out={directory}"])
    if code:
        raise RuntimeError(f"{job.name}: exit code {code}")
    of_preset = {claim.statement for claim in job.experiment.claims if job.preset in claim.presets}
    command = " ".join(["python -m", *job.arguments])
    rows: list[Row] = json.loads((directory / "claims.json").read_text())
    return [{**row, "preset": job.preset, "command": command} for row in rows if row["statement"] in of_preset]


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 done, 1 something could not be trained or decided, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m launch.confirm", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME[/PRESET]")
    parser.add_argument("--again", action="store_true", help="also what is confirmed already")
    parser.add_argument("--list", action="store_true", help="what there is, and nothing else")
    parser.add_argument("--out", type=Path, default=Path("runs/confirm"), help="where the sweeps are kept")
    asked = parser.parse_args(arguments)
    everything = jobs()
    chosen = [job for job in everything if not asked.names or {job.name, job.experiment.name} & set(asked.names)]
    unknown = set(asked.names) - {job.name for job in everything} - {job.experiment.name for job in everything}
    if unknown:
        allowed = ", ".join(job.name for job in everything)
        print(f"NAME: {', '.join(sorted(unknown))}, allowed are {allowed}", file=sys.stderr)
        return BAD_INPUT
    failed = 0
    for job in chosen:
        waiting = [entry for entry in table([job], read()) if entry.row is None or entry.changed]
        if asked.list or not (waiting or asked.again):
            print(f"{job.name}: {len(waiting)} claims to confirm")
            continue
        print(f"{job.name}: {' '.join(job.arguments)}", flush=True)
        try:
            rows = confirm(job, asked.out, lambda words: subprocess.call([sys.executable, "-m", *words]))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        kept = [row for row in read() if (row["experiment"], row["preset"]) != (job.experiment.name, job.preset)]
        publish(everything, sorted([*kept, *rows], key=lambda row: (row["experiment"], row["preset"])))
        for row in rows:
            print(f"{row['verdict']:>10}  {row['statement']} {row['said']}", flush=True)
        failed += any(row["verdict"] == "error" for row in rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
