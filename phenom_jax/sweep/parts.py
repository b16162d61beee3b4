"""Parts of a sweep: its runs shared out among jobs that know nothing of each other, in a directory below the sweep's.

A run belongs to a part by its identity and its program, so every job that is given the same sweep agrees on who trains
what. A part is an ordinary run directory in `parts/`; `phenom_jax.store.united` reads them as one.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.plan import Plan, Program

EVERY_PROGRAM = "all"
PARTS = "parts"  # the folder of the parts, in the directory of their sweep


class Part(NamedTuple):
    """The runs of one program, or of all, that fall into one of `shards`."""

    program: str  # a program's id, or EVERY_PROGRAM
    shard: int
    shards: int

    @property
    def name(self) -> str:
        return f"{self.program}-{self.shard}-of-{self.shards}"

    @property
    def split(self) -> str:
        """What this part and the others of its kind have in common."""
        return f"{self.program}/{self.shards}"

    @property
    def place(self) -> str:
        """Where the part lies, below the directory of its sweep."""
        return f"{PARTS}/{self.name}"

    def has(self, run: Run) -> bool:
        """Whether the run falls into this shard."""
        return int(run.id, 16) % self.shards == self.shard


def parse_part(program: str, shard: str) -> Part | None:
    """Returns the part that the flags name, None where they name none.

    Raises:
      InvalidValue: `shard` is not i/n with 0 <= i < n.
    """
    if not program and not shard:
        return None
    try:
        index, count = map(int, (shard or "0/1").split("/"))
    except ValueError:
        index, count = 0, 0
    if not 0 <= index < count:
        raise InvalidValue(f"shard: {shard!r} is not i/n with 0 <= i < n")
    return Part(program or EVERY_PROGRAM, index, count)


def part_of(plan: Plan, part: Part) -> Plan:
    """Returns the plan of one part: its programs as the whole sweep pads them, with the part's runs.

    Raises:
      InvalidValue: the sweep has no such program, or none of its runs falls into the part.
    """
    programs = [program.id for program in plan.programs]
    if part.program not in (EVERY_PROGRAM, *programs):
        raise InvalidValue(f"program: {part.program!r} is not one of {', '.join(programs)}")
    chosen = [program for program in plan.programs if part.program in (EVERY_PROGRAM, program.id)]
    programs = [narrowed for program in chosen if (narrowed := _narrowed(program, part)).runs]
    if not programs:
        raise InvalidValue(f"shard: no run falls into {part.shard}/{part.shards}, allowed are fewer shards than runs")
    seconds = plan.seconds * sum(program.flops for program in programs) / max(plan.flops, 1.0)
    return Plan(tuple(programs), seconds)


def shared_out(plan: Plan, jobs: int) -> list[Part]:
    """Returns the parts of a sweep for about so many jobs: at least one per program, more for those that cost more."""
    parts = []
    for program in plan.programs:
        share = program.flops / plan.flops if plan.flops else 1 / len(plan.programs)
        shards = min(max(1, round(jobs * share)), len(program.runs))
        found = [Part(program.id, shard, shards) for shard in range(shards)]
        parts += [part for part in found if any(part.has(run) for run in program.runs)]
    return parts


def _narrowed(program: Program, part: Part) -> Program:
    runs = tuple(run for run in program.runs if part.has(run))
    share = len(runs) / len(program.runs)
    return dataclasses.replace(
        program,
        runs=runs,
        flops=program.flops * share,
        useful_flops=program.useful_flops * share,
        run_steps=round(program.run_steps * share),
    )
