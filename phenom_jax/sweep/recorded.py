"""What is recorded of a run: the metrics its functions return, their names, shapes and units."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from phenom_jax.experiment import LABELS, Experiment, Quantity, quantities
from phenom_jax.hparams import InvalidValue, fields, hp_shapes
from phenom_jax.sweep.plan import Plan


class Variable(NamedTuple):
    """What is recorded of every run at every measured step; `shape` and `dims` are those after (run, step)."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    dims: tuple[str, ...]
    long_name: str
    units: str


def recorded_variables(experiment: Experiment, plan: Plan) -> list[Variable]:
    """Returns what the results hold for every run; array measures as large as in the program where they are largest."""
    found: dict[str, Variable] = {}
    for program in plan.programs:
        for name, (quantity, shape) in recorded_quantities(experiment, program.template).items():
            if name in found:
                shape = tuple(map(max, zip(found[name].shape, shape)))
            dims = quantity.dims or tuple(f"{name}_{axis}" for axis in range(len(shape)))
            dtype = np.dtype(jax.dtypes.canonicalize_dtype(float))
            found[name] = Variable(name, shape, dtype, dims, quantity.long_name, quantity.units)
    return list(found.values())


def recorded_quantities(experiment: Experiment, template: Any) -> dict[str, tuple[Quantity, tuple[int, ...]]]:
    """Returns each recorded metric's Quantity and shape by name: cheap and expensive measures, step metrics."""
    return {
        name: (quantity, getattr(metrics, name).shape)
        for metrics in _metrics(_returned(experiment, hp_shapes(template))).values()
        for name, quantity in quantities(type(metrics)).items()
    }


def step_metric_names(experiment: Experiment, template: Any) -> tuple[str, ...]:
    """Returns the names of the metrics a step returns, in the order of the bits of `Lane.diverged_metrics`."""
    return _metrics(_returned(experiment, hp_shapes(template)))["step"]._fields if experiment.step else ()


def returns(experiment: Experiment, hp: Any) -> dict[str, Any]:
    """Returns what every function of a run returns before its first step, by the name of the function."""
    return _returns(experiment.init, experiment.measure, experiment.expensive, experiment.step, hp)


def metric_shapes(experiment: Experiment, hp: Any) -> dict[str, Any]:
    """Returns the shapes of the metrics of a run by the function that returns them: measure, expensive, step.

    Args:
      hp: of the run; its arrays may be traced.
    """
    return _metrics(_returned(experiment, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), hp)))


def check_contract(experiment: Experiment, template: Any) -> None:
    """Raises InvalidValue, one sentence, where the functions of an experiment return what cannot be recorded."""
    for mistake in _mistakes(experiment, template):
        raise InvalidValue(f"experiment {experiment.name!r}: {mistake}")


def _mistakes(experiment: Experiment, template: Any) -> Iterator[str]:
    returned = _returned(experiment, hp_shapes(template))
    stepped, state = returned.get("step", ((), ())), returned["init"]
    if type(stepped) is not tuple or len(stepped) != 2:
        yield f"step: returns a {type(stepped).__name__}, allowed is a pair of state and metrics"
        return
    if experiment.step and _described(stepped[0]) != _described(state):
        yield "step: returns another state than it is given, allowed are the same parts, shapes and types as of init"
    taken: dict[str, str] = {}
    for function, metrics in _metrics(returned).items():
        if not hasattr(metrics, "_fields"):
            what = "an array" if isinstance(metrics, jax.ShapeDtypeStruct) else f"a {type(metrics).__name__}"
            yield f"{function}: returns {what} for metrics, allowed is a NamedTuple of arrays"
            return
        for name in metrics._fields:
            if name in fields(experiment.hparams):
                yield f"{function}: {name!r} is a hyperparameter, allowed are other names"
            if name in LABELS:
                yield f"{function}: {name!r} is a label of the results, allowed are other names"
            if name in taken:
                yield f"{function}: {name!r} is a metric of {taken[name]}, allowed are other names"
            if not hasattr(getattr(metrics, name), "shape"):
                yield f"{function}: {name!r} is a {type(getattr(metrics, name)).__name__}, allowed are arrays"
            taken[name] = function


def _described(state: Any) -> Any:
    leaves, structure = jax.tree.flatten(state)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _metrics(returned: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the shapes of the metrics by the function that returns them."""
    found = {name: returned[name] for name in ("measure", "expensive") if name in returned}
    return found | ({"step": returned["step"][1]} if "step" in returned else {})


def _returned(experiment: Experiment, shapes: Any) -> dict[str, Any]:
    """Returns the shapes of what each function of one run returns, given those of its hyperparameters."""
    leaves, structure = jax.tree.flatten(shapes)
    functions = (experiment.init, experiment.measure, experiment.expensive, experiment.step)
    return _traced(functions, tuple(leaves), structure, jax.dtypes.canonicalize_dtype(float))


@functools.lru_cache(maxsize=64)  # tracing takes longer than all else that is done before a training
def _traced(functions: tuple, shapes: tuple, structure: Any, _: np.dtype) -> dict[str, Any]:
    return jax.eval_shape(functools.partial(_returns, *functions), structure.unflatten(shapes))


def _returns(init: Any, measure: Any, expensive: Any, step: Any, hp: Any) -> dict[str, Any]:
    state = init(hp)
    found = {"init": state, "measure": measure(state, hp)}
    if expensive:
        found["expensive"] = expensive(state, hp)
    if step:
        found["step"] = step(state, hp, jax.random.key(0))
    return found
