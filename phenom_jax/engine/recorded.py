"""What is recorded of a run: the metrics its functions return, their names, shapes and units."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from phenom_jax.engine.program import hp_shapes
from phenom_jax.experiment import Experiment, Quantity, quantities
from phenom_jax.store.dataset import Variable
from phenom_jax.sweep.plan import Plan


def recorded_variables(experiment: Experiment, plan: Plan) -> list[Variable]:
    """Returns what the results hold for every run; array measures as large as in the bucket where they are largest."""
    found: dict[str, Variable] = {}
    for bucket in plan.buckets:
        for name, (quantity, shape) in recorded_quantities(experiment, bucket.template).items():
            if name in found:
                shape = tuple(map(max, zip(found[name].shape, shape)))
            dims = quantity.dims or tuple(f"{name}_{axis}" for axis in range(len(shape)))
            dtype = np.dtype(jax.dtypes.canonicalize_dtype(float))
            found[name] = Variable(name, shape, dtype, dims, quantity.long_name, quantity.units)
    return list(found.values())


def recorded_quantities(experiment: Experiment, template: Any) -> dict[str, tuple[Quantity, tuple[int, ...]]]:
    """Returns each recorded metric's Quantity and shape by name: step metrics, cheap and expensive measures.

    Raises:
      TypeError: two of them share a name.
    """
    recorded: dict[str, tuple[Quantity, tuple[int, ...]]] = {}
    for metrics in _metric_shapes(experiment, template):
        described = quantities(type(metrics))
        for name, shape in metrics._asdict().items():
            if name in recorded:
                raise TypeError(f"{experiment.name}: two metrics are named {name}")
            recorded[name] = described[name], shape.shape
    return recorded


def step_metric_names(experiment: Experiment, template: Any) -> tuple[str, ...]:
    """Returns the names of the metrics a step returns, in the order of the bits of `Lane.diverged_metrics`."""
    return _metric_shapes(experiment, template)[-1]._fields if experiment.step else ()


def _metric_shapes(experiment: Experiment, template: Any) -> list[Any]:
    def all_metrics(hp: Any) -> list[Any]:
        state = experiment.init(hp)
        found = [experiment.measure(state, hp)]
        if experiment.expensive:
            found.append(experiment.expensive(state, hp))
        if experiment.step:
            found.append(experiment.step(state, hp, jax.random.key(0))[1])
        return found

    return jax.eval_shape(all_metrics, hp_shapes(template))
