"""Metrics of every experiment's first steps. `python tests/golden/steps.py` writes them to steps.json beside it."""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import experiments
from phenom_jax.cli.flags import parse
from phenom_jax.padding import called, numbers, record

RECORDED = Path(__file__).with_name("steps.json")
WITH_A_SOURCE = ("llc",)
NAMES = sorted({module.name for module in pkgutil.iter_modules(experiments.__path__)} - set(WITH_A_SOURCE))


def first_steps(name: str) -> dict[str, list[float | None]]:
    """Returns the scalar metrics of the debug preset's first run, in float64; None where nothing is measured.

    Measures at the start and after four steps, step metrics of each of these.
    """
    experiment = importlib.import_module(f"experiments.{name}").experiment
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        hp = experiment.hp(parse(experiment, ["--preset=debug"]).sweep.runs()[0].values)
        found = called(functools.partial(record, experiment), numbers(hp))
    return {
        metric: [float(value) if np.isfinite(value) else None for value in values]
        for metric, values in sorted((found.measured | found.stepped).items())
        if values.ndim == 1
    }


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: first_steps(name) for name in NAMES}, indent=1) + "\n")
