"""Padding: what a run inside larger bounds does differently from the run alone, which a forgotten mask makes it do."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.device.program import step_key
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import fields, stack_hps
from phenom_jax.sizes import Size
from phenom_jax.sweep.axes import Run

STEPS = 4  # enough for a gradient to reach every weight, too few for rounding to grow
ROOM = 3  # padded entries
ROUNDING = 1e-4  # relative, of any run: a solve may magnify it
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


class Record(NamedTuple):
    """What a run is and says, in the order in which a difference is looked for."""

    initial: Any  # its first state
    trained: Any  # its state after STEPS steps
    stepped: dict[str, jax.Array]  # metrics of each step, [STEPS, ...]
    measured: dict[str, jax.Array]  # measures of the first and of the last state, [2, ...]


def padding_problems(experiment: Experiment, run: Run) -> Iterator[str]:
    """Yields in stages, each longer, what a run inside larger bounds does differently; "" if nothing.

    The first stage is its initial state, the second its steps and cheap measures.
    """
    cheap = dataclasses.replace(experiment, expensive=None, landscape=None)
    with jax.enable_x64(True):
        for recorded in (lambda hp: Record(experiment.init(hp), (), {}, {}), functools.partial(record, cheap)):
            yield next(size_problems(recorded, experiment.hp(run.values), ROUNDING), "")


def size_problems(recorded: Callable[[Any], Record], hp: Any, rtol: float) -> Iterator[str]:
    """Yields a sentence for every size that changes what is recorded of a run where it is padded."""
    bounds = {name: getattr(hp, name).padded + ROOM for name in sizes(type(hp))}
    if not bounds:
        return
    alone = called(recorded, numbers(hp))
    if not difference(alone, called(recorded, numbers(bounded(hp, bounds))), rtol):
        return
    for name, bound in bounds.items():
        if where := difference(alone, called(recorded, numbers(bounded(hp, {name: bound}))), rtol):
            yield (
                f"{name}: of {bound - ROOM} inside a bound of {bound} a run has another {where}; mask what is drawn, "
                f"averaged or scaled over padded entries (draw_columns, masked_mean, hp.{name}.active)"
            )


def difference(exact: Record, padded: Record, rtol: float) -> str:
    """Returns where a padded record differs first, in words, or nothing."""
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(exact), jax.tree.leaves(padded), strict=True):
        one, other = plain(one), plain(other)
        corner = tuple(slice(length) for length in one.shape)
        outside = other.copy()
        outside[corner] = 0
        if path[0].name in ("initial", "trained") and one.dtype.kind == "f" and outside.any():
            return f"{_name(path, 0)}: its padded entries are not zero"
        near = np.isclose(other[corner], one, rtol=rtol, atol=1e-12, equal_nan=True)
        if not near.all():
            place = tuple(np.argwhere(~near)[0])
            return f"{_name(path, *place[:1])} ({one[place]:.6g} alone, {other[place]:.6g} there)"
    return ""


def record(experiment: Experiment, hp: Any) -> Record:
    """Returns the Record of a run with these hyperparameters."""

    def advance(state: Any, count: jax.Array) -> Any:
        assert experiment.step
        return experiment.step(state, hp, step_key(hp, count))

    def look(state: Any) -> dict[str, Any]:
        found = experiment.measure(state, hp)._asdict()
        if experiment.expensive:
            found |= experiment.expensive(state, hp)._asdict()
        if (landscape := experiment.landscape) and experiment.keep:
            examples = landscape.examples(hp)
            losses = landscape.losses(landscape.outputs(experiment.keep(state), examples, hp), examples, hp)
            found["loss of the landscape"] = jnp.where(landscape.count(hp).mask, losses, 0).sum()
        return found

    start = experiment.init(hp)
    end, stepped = jax.lax.scan(advance, start, jnp.arange(STEPS)) if experiment.step else (start, None)
    measured = jax.lax.map(look, jax.tree.map(lambda *x: jnp.stack(x), start, end))
    return Record(start, end, stepped._asdict() if stepped else {}, measured)


def sizes(hparams: type) -> list[str]:
    """Returns the names of the size fields."""
    return [field.name for field in fields(hparams).values() if field.kind == "size"]


def bounded(hp: Any, bounds: Mapping[str, int]) -> Any:
    """Returns hyperparameters with sizes inside these bounds."""
    return dataclasses.replace(hp, **{name: Size(getattr(hp, name).active, bound) for name, bound in bounds.items()})


def numbers(hp: Any) -> Any:
    """Returns hyperparameters as one lane of a program has them."""
    return jax.tree.map(lambda x: x[0], stack_hps([hp]))


def called(function: Callable[[Any], Any], hp: Any) -> Any:
    """Returns the value of a function, compiled in a hurry."""
    return jax.jit(function, compiler_options=QUICK_TO_COMPILE)(hp)


def plain(leaf: Any) -> np.ndarray:
    """Returns an array as NumPy has it, a key as its data."""
    return np.asarray(jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)


def when(path: tuple, place: int) -> str:
    """Returns in words when a metric of a Record was seen."""
    if path[0].name == "stepped":
        return f"in step {place + 1}"
    return f"after {STEPS} steps" if place else "at the start"


def _name(path: tuple, place: int = 0) -> str:
    if path[0].name in ("measured", "stepped"):
        return f"{path[1].key} {when(path, place)}"
    leaf = jax.tree_util.keystr(path[1:])
    return f"initial state{leaf}" if path[0].name == "initial" else f"state{leaf} after {STEPS} steps"
