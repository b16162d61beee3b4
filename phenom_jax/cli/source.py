"""Flags of an experiment with a source: its directory, which of its kept states, and what is trained there first."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags as absl_flags

from phenom_jax.experiment import Experiment, Preset
from phenom_jax.hparams import Field, InvalidValue, fields
from phenom_jax.source import FromSource
from phenom_jax.store.source import Anchor, SourceRuns, ranges
from phenom_jax.sweep.grammar import parse_axis

MOST_SOURCES = 36
SELECT = ("source", "checkpoint")
FLAGS = {
    "run": "the source: the --out of a sweep that has kept states; results go into it unless --out says otherwise",
    "source_seeds": "seeds of the source that a preset trains first",
}
PASSED_ON = ("plan", "debug", "accelerator", "accelerators", "devices", "lanes", "group", "compilation_cache", "rerun")
PASSED_ON += ("accept_changes",)  # flags that hold for a source that is trained first too
NOT_FIRST = ("distributed", "shard", "program", "cluster")


class First(NamedTuple):
    """The sweep that is trained first, as a source: what `launch` takes."""

    experiment: Experiment
    arguments: list[str]


class Opened(NamedTuple):
    """An experiment with its source, or with what is to be trained first.

    Attributes:
      experiment: bound to its source if that is there.
      flags: of the preset, and what lies under it.
      out: the run directory.
    """

    experiment: Experiment
    flags: Mapping[str, str]
    out: Path
    first: First | None = None


def has_source(experiment: Experiment) -> bool:
    return issubclass(experiment.hparams, FromSource)


def flags_of(experiment: Experiment) -> list[Field]:
    """Returns the hyperparameters that are flags: of a kept state those that select it, and not what is found then."""
    declared = fields(experiment.hparams).values()
    if not has_source(experiment):
        return list(declared)
    found = set(Anchor._fields) - set(SELECT)
    unsaid = {name: dataclasses.replace(fields(FromSource)[name], default="") for name in SELECT}  # all of them
    return [unsaid.get(field.name, field) for field in declared if field.name not in found]


def open_source(experiment: Experiment, given: absl_flags.FlagValues, preset: Preset, trained: bool) -> Opened:
    """Returns an experiment with the source that the flags say.

    Args:
      trained: whether the source of the preset has been trained.
    Raises:
      InvalidValue: they say none, or one that is no source.
    """
    out = Path(given.out or "runs/" + "-".join(filter(None, [experiment.name, given.preset])))
    if given.run and given.source_seeds:
        raise InvalidValue(f"source_seeds: {given.source_seeds} with --run, whose seeds are trained already")
    if not given.run and not preset.source:
        training = ", ".join(name for name, known in experiment.presets.items() if known.source)
        raise InvalidValue(
            f"run: none is given, allowed is the --out of a sweep, or a preset that trains one: {training or 'none'}"
        )
    if preset.source and not given.run and not trained:
        for name in NOT_FIRST:
            if given[name].present:
                raise InvalidValue(f"{name}: with a source that is trained first, allowed is --run=DIR")
        seeds = {"seed": given.source_seeds} if given.source_seeds else {}
        passed_on = {name: given[name].value for name in PASSED_ON if given[name].present}
        flags = {**preset.source.flags, **seeds, **passed_on, "report": False, "tensorboard": False, "out": out}
        source = importlib.import_module(preset.source.module).experiment
        return Opened(experiment, preset.flags, out, First(source, [f"--{n}={text}" for n, text in flags.items()]))
    directory = Path(given.run or out)
    if not (given.run and given.out):
        out = directory / experiment.name
    source = SourceRuns(directory)
    under = experiment.presets.get(source.experiment.name)  # the preset of sources like this one
    flags = {**under.flags, **(preset.flags if given.preset else {})} if under else preset.flags
    return Opened(source.bind(experiment), flags, out)


def selected(source: SourceRuns, given: absl_flags.FlagValues) -> dict[str, str]:
    """Returns the texts of the hyperparameters that say what runs start from, which advance together.

    Raises:
      InvalidValue: a run or a kept state that is asked for is not there.
    """
    there, declared = source.checkpoints, fields(FromSource)
    if given.source:
        runs = [int(value) for value in parse_axis(declared["source"], given.source)]
    else:
        spread = np.linspace(0, len(there) - 1, min(MOST_SOURCES, len(there))).round().astype(int)
        runs = [list(there)[place] for place in spread]
        if len(runs) < len(there):
            print(f"{len(runs)} of {len(there)} runs with kept states; --source chooses others")
    for run in runs:
        if run not in there:
            raise InvalidValue(f"source: {run} is not one of the runs with kept states: {ranges(sorted(there))}")
    most = max(there[run] for run in runs)
    places = [int(value) for value in parse_axis(declared["checkpoint"], given.checkpoint or f"0:{most}")]
    for place in places:
        if not -most <= place < most:
            raise InvalidValue(
                f"checkpoint: {place} is not one of the {most} kept states: 0 to {most - 1}, -1 the last"
            )
    wanted = {run: {place % there[run] for place in places if -there[run] <= place < there[run]} for run in runs}
    anchors = source.anchors((run, checkpoint) for run in runs for checkpoint in sorted(wanted[run]))
    return {name: ",".join(map(str, column)) for name, column in zip(Anchor._fields, zip(*anchors), strict=True)}
