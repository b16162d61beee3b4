"""An experiment whose definition cannot be trained is refused where it is made, in one sentence."""

from __future__ import annotations

import dataclasses
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
import toy

from phenom_jax.claims import Claim, Source, above
from phenom_jax.cli.flags import _define
from phenom_jax.experiment import COMMAND_FLAGS, ENGINE_FLAGS, Experiment, Preset
from phenom_jax.hparams import InvalidValue, build, hparams, static, swept
from phenom_jax.report.marks import Curves, Figure, Scale
from phenom_jax.sweep.recorded import check_contract


@hparams
class Endless:
    seed: int = swept(0, "weights")


@hparams
class Compiled:
    seed: int = swept(0, "weights")
    steps: int = static(10, "steps")


@hparams
class Fractional:
    seed: int = swept(0, "weights")
    steps: float = swept(10.0, "steps")


@hparams
class Flagged:
    seed: int = swept(0, "weights")
    steps: int = swept(10, "steps")
    lanes: int = swept(10, "of a road")


@hparams
class Labelled:
    seed: int = swept(0, "weights")
    steps: int = swept(10, "steps")
    status: int = swept(0, "of a person")


def share(runs):
    """Share of something."""
    return 1.0


CLAIM = Claim("So it is.", Source("A paper"), share, above(0.5))
FIGURE = Figure("curve", "Curve", "A curve", Curves({"error": "-"}, Scale("error")))

MISTAKES = {
    "lacks `steps: int = swept": {"hparams": Endless},
    "steps is a static int, allowed is a swept int": {"hparams": Compiled},
    "steps is a swept float, allowed is a swept int": {"hparams": Fractional},
    "lanes is a flag of the engine": {"hparams": Flagged},
    "status is a label of the results": {"hparams": Labelled},
    "int'> is not a class made by @hparams": {"hparams": int},
    "presets: 'fast' sets stepz, allowed are": {"presets": {"fast": Preset("", {"stepz": "3"})}},
    "presets: 'fast' sets preset, allowed are": {"presets": {"fast": Preset("", {"preset": "slow"})}},
    "figures: 2 are named 'curve'": {"figures": (FIGURE, FIGURE)},
    "names the figure 'curves', allowed are curve": {
        "figures": (FIGURE,),
        "claims": (dataclasses.replace(CLAIM, figure="curves"),),
    },
    "names the preset 'slow', allowed are 'fast'": {
        "presets": {"fast": Preset("", {})},
        "claims": (dataclasses.replace(CLAIM, presets=("", "slow")),),
    },
}


@pytest.mark.parametrize("said, parts", MISTAKES.items())
def test_a_definition_that_cannot_be_trained_is_refused_in_one_sentence(said, parts):
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        dataclasses.replace(toy.toy, **parts)
    assert str(refused.value).startswith("experiment 'toy': ") and "\n" not in str(refused.value)


def test_a_solve_needs_no_steps():
    assert Experiment("solve", Endless, lambda hp: (), None, lambda state, hp: ()).steps({}) == 0


def test_the_flags_of_the_engine_are_all_reserved():
    flags = set(_define(toy.toy)) | {"help", "helpfull", "flagfile", "undefok"}
    assert flags - set(toy.Toy.__dataclass_fields__) <= {*ENGINE_FLAGS, *COMMAND_FLAGS}


class Width(NamedTuple):
    width: jax.Array


class Status(NamedTuple):
    status: jax.Array


class Error(NamedTuple):
    error: jax.Array


def step(state, hp, key):
    return toy.step(state, hp, key)


RETURNS = {
    "measure: 'width' is a hyperparameter": {"measure": lambda state, hp: Width(jnp.float32(0))},
    "expensive: 'status' is a label of the results": {"expensive": lambda state, hp: Status(jnp.float32(0))},
    "measure: returns a dict for metrics, allowed is a NamedTuple": {
        "measure": lambda state, hp: {"error": jnp.float32(0)}
    },
    "measure: returns an array for metrics, allowed is a NamedTuple": {"measure": lambda state, hp: jnp.float32(0)},
    "step: returns a State, allowed is a pair of state and metrics": {"step": lambda *given: step(*given)[0]},
    "step: returns a dict for metrics, allowed is a NamedTuple": {"step": lambda *given: (given[0], {})},
    "step: returns another state than it is given": {"step": lambda *given: (given[0].weights, step(*given)[1])},
    "step: 'error' is a metric of measure": {"step": lambda *given: (given[0], Error(jnp.float32(0)))},
}


@pytest.mark.parametrize("said, parts", RETURNS.items())
def test_what_functions_return_is_checked_before_anything_is_compiled(said, parts):
    experiment = dataclasses.replace(toy.toy, **parts)
    with pytest.raises(InvalidValue, match=re.escape(f"experiment 'toy': {said}")) as refused:
        check_contract(experiment, build(toy.Toy, {}))
    assert "\n" not in str(refused.value)


def test_what_keeps_the_contract_passes():
    check_contract(toy.toy, build(toy.Toy, {}))
    check_contract(dataclasses.replace(toy.toy, step=None, expensive=None), build(toy.Toy, {}))
