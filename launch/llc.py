"""Samples around the kept weights of a sweep. See experiments/llc for what it shows; --help lists every flag.

python -m launch.llc --run=DIR
python -m launch.llc --experiment=deep_linear
python -m launch.llc --experiment=deep_linear --source_seeds=10000:10008
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import xarray as xr

from experiments.llc import around
from experiments.llc import experiment as anywhere
from experiments.llc.presets import PRESETS
from experiments.llc.science import LLC
from launch.kept_weights import Anchor, Trained, find, read_trained
from phenom_jax.cli.flags import parse
from phenom_jax.cli.main import BAD_INPUT, INTERRUPTED, launch
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue, fields
from phenom_jax.report.figures import thin
from phenom_jax.sweep.axes import parse_axis
from phenom_jax.theory.learning_coefficient import deep_linear
from phenom_jax.train.stop import leaving_at_once

PASSED_ON = ("plan", "devices", "lanes", "group", "compilation_cache")  # flags of the engine that hold for both phases
ZIPPED = ("network", "source", "checkpoint", "anchor", "source_seed")  # of an Anchor, as hyperparameters
MOST_SOURCES = 36


TRAINING: Mapping[str, Mapping[str, str]] = {  # flags of a small sweep that suits as a source, by experiment
    "deep_linear": {"seed": "0:8", "kept_points": "11"},
    "grokking": {"seed": "0:8", "weight_decay": "0,1", "modulus": "43", "train_fraction": "0.6", "width": "128"}
    | {"steps": "600", "points": "10", "kept_points": "12"},  # before losses without decay round to zero
}
SOURCES = {"deep_linear": "deep_linear", "mala": "deep_linear", "grokking": "grokking"}  # of presets that are of one


def _of_rank(results: xr.Dataset) -> xr.DataArray:
    """Returns the coefficient of a deep linear network that has learnt as many modes as it has now."""
    names = ("inputs", "width", "outputs", "depth")
    values = np.full(results["rank"].shape, np.nan)
    for (run, step), rank in np.ndenumerate(results["rank"].values):
        if np.isfinite(rank):
            inputs, width, outputs, depth = (int(results[name].values[run]) for name in names)
            values[run, step] = deep_linear([inputs, *[width] * (depth - 1), outputs], int(rank)).value
    said = {"long_name": "exact coefficient of this rank", "units": "1"}
    return results["rank"].copy(data=values).assign_attrs(said)


EXACT: Mapping[str, Callable[[xr.Dataset], xr.DataArray]] = {"deep_linear": _of_rank}


def main() -> None:
    """Does what the command line asks for and exits, with the codes of `phenom_jax.cli.main.main`."""
    typed = shlex.join(sys.orig_argv)
    with leaving_at_once(INTERRUPTED, f"all is kept; to resume: {typed}"):
        code = sample(sys.argv[1:], typed)
    sys.exit(code)


def sample(arguments: Sequence[str], typed: str) -> int:
    """Returns the exit code of a command line; arguments are those of `launch`."""
    if {"--help", "-help", "-h", "--helpfull"} & set(arguments):
        return launch(anywhere, arguments, typed)
    try:
        own, rest = _parse(arguments)
        if own.experiment:
            directory = Path(own.out or f"runs/llc-{find(own.experiment).name}")
            passed_on = [word for word in rest if word.lstrip("-").partition("=")[0] in PASSED_ON]
            code = launch(find(own.experiment), [*_training(own), *passed_on, f"--out={directory}"], typed)
            if code or "--plan" in passed_on:
                return code
            out = directory / "llc"
        else:
            directory = Path(own.run)
            out = Path(own.out) if own.out else directory / "llc"
        experiment, chosen = _chains(directory, own)
    except InvalidValue as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    return launch(experiment, [*rest, *chosen, f"--out={out}", f"--zip={','.join(ZIPPED)}"], typed)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidValue(message)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns the flags of this launcher and the other arguments, those of the chains.

    Raises:
      InvalidValue: a flag is not known, or its value not allowed.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in ("run", "experiment", "source_seeds", "preset", "out", "source", "checkpoint", "n_beta"):
        parser.add_argument(f"--{name}", default=None)
    own, rest = parser.parse_known_args(arguments)
    if own.n_beta is not None:
        if 0 in parse_axis(fields(LLC)["n_beta"], own.n_beta):
            raise InvalidValue("n_beta: 0 is not above 0; without this flag it is n / log n")
        rest.append(f"--n_beta={own.n_beta}")
    for word in rest:
        if (flag := word.lstrip("-").partition("=")[0]) in ("network", "anchor", "source_seed"):
            raise InvalidValue(f"{flag}: set by the launcher, from --source and --checkpoint")
    if not own.run and not own.experiment:
        own.experiment = SOURCES.get(own.preset)
    if bool(own.run) == bool(own.experiment):
        given = "both are" if own.run else "none is"
        raise InvalidValue(f"run, experiment: {given} given, allowed is one of --run=DIR and --experiment=NAME")
    if own.run and own.source_seeds:
        raise InvalidValue(f"source_seeds: {own.source_seeds} with --run, whose seeds are trained already")
    # what is wrong with the chains is said before a source is trained
    parse(anywhere, [*rest, f"--preset={own.preset or ''}"])
    return own, rest


def _training(own: argparse.Namespace) -> list[str]:
    """Returns the flags that train a source."""
    seeds = {"seed": own.source_seeds} if own.source_seeds else {}
    flags = {**TRAINING.get(own.experiment, {}), **seeds}
    return [*(f"--{flag}={text}" for flag, text in flags.items()), "--noreport", "--notensorboard"]


def _chains(directory: Path, own: argparse.Namespace) -> tuple[Experiment, list[str]]:
    """Returns the experiment around the weights kept in a directory, and the flags that choose among them.

    Raises:
      InvalidValue: there are none, or `own` asks for runs or kept states that there are not.
    """
    trained = read_trained(directory, EXACT)
    runs = len({anchor.source for anchor in trained.anchors})
    if runs > MOST_SOURCES and own.source is None:
        print(f"{MOST_SOURCES} of {runs} runs with kept states; --source chooses others")
    name = trained.experiment.name
    of_source = PRESETS[name].flags if name in PRESETS else {}
    preset = own.preset or (name if name in PRESETS else "")
    presets = {name: replace(preset, flags={**of_source, **preset.flags}) for name, preset in PRESETS.items()}
    asked = {flag: getattr(own, flag) or presets[preset].flags.get(flag) for flag in ("source", "checkpoint")}
    columns = zip(*_chosen(trained, asked["source"], asked["checkpoint"]), strict=True)
    flags = [f"--{flag}={','.join(map(str, column))}" for flag, column in zip(ZIPPED, columns, strict=True)]
    experiment = replace(around(trained.source), presets=presets, float_type=trained.settings.float_type)
    return experiment, [*flags, f"--preset={preset}"]


def _chosen(trained: Trained, source: str | None, checkpoint: str | None) -> list[Anchor]:
    """Returns the kept states that these texts ask for; without one, of at most MOST_SOURCES runs all of them.

    Raises:
      InvalidValue: a run or a kept state is not there.
    """
    by_run: dict[int, list[Anchor]] = {}
    for anchor in trained.anchors:
        by_run.setdefault(anchor.source, []).append(anchor)
    declared = fields(LLC)
    runs = thin(list(by_run), MOST_SOURCES, "source")[0]
    if source is not None:
        runs = [int(value) for value in parse_axis(declared["source"], source)]
    for run in runs:
        if run not in by_run:
            there = _ranges(sorted(by_run))
            raise InvalidValue(f"source: {run} is not one of the runs with kept states: {there}")
    if checkpoint is None:
        return [anchor for run in runs for anchor in by_run[run]]
    places = [int(value) for value in parse_axis(declared["checkpoint"], checkpoint)]
    most = max(len(by_run[run]) for run in runs)
    for place in places:
        if not -most <= place < most:
            raise InvalidValue(
                f"checkpoint: {place} is not one of the {most} kept states: 0 to {most - 1}, -1 the last"
            )
    there = {run: len(by_run[run]) for run in runs}
    wanted = {run: {place % n for place in places if -n <= place < n} for run, n in there.items()}
    return [anchor for run in runs for anchor in by_run[run] if anchor.checkpoint in wanted[run]]


def _ranges(numbers: Sequence[int]) -> str:
    return (
        f"{numbers[0]} to {numbers[-1]}"
        if len(numbers) == numbers[-1] - numbers[0] + 1
        else ", ".join(map(str, numbers))
    )


if __name__ == "__main__":
    main()
