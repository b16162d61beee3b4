"""Reads the kept weights of a run directory as the source of chains: see experiments/llc/source.py."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import json
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

import experiments
from experiments.llc.source import Network, Source
from phenom_jax.experiment import Experiment, Quantity
from phenom_jax.hparams import Field, InvalidValue, build, fields, hp_shapes
from phenom_jax.sizes import Size
from phenom_jax.store.config import read_config
from phenom_jax.store.kept import leaf_name, read_kept
from phenom_jax.store.united import kept_stores, open_sweep
from phenom_jax.sweep.axes import Run, Sweep, varying
from phenom_jax.sweep.settings import Settings

TRAINED = ("finished", "done")


class Anchor(NamedTuple):
    """One kept state: the name of its network, the place of its run in the sweep and its own in the run, a checksum,
    and the seed of that run.
    """

    network: str
    source: int
    checkpoint: int
    checksum: int
    seed: int


class Trained(NamedTuple):
    """What a run directory offers: its experiment and settings, the source, and every kept state in order."""

    experiment: Experiment
    settings: Settings
    source: Source
    anchors: list[Anchor]


_Measures = Mapping[str, tuple[str, str, xr.DataArray]]


class _Kept(NamedTuple):
    """The kept states of one run: its place in the sweep, k steps, leaves [k, ...] by path."""

    place: int
    run: Run
    steps: np.ndarray
    leaves: dict[str, np.ndarray]


def read_trained(directory: Path, exact: Mapping[str, Callable[[xr.Dataset], xr.DataArray]]) -> Trained:
    """Returns what a run directory keeps of the runs that have trained to their end.

    Args:
      directory: the --out of a sweep, also while it trains.
      exact: by experiment, `(summarised results) -> learning coefficient` over (run, step) where theory knows it.
    Raises:
      InvalidValue: it is no run directory, has kept nothing, or its experiment has no landscape.
    """
    config = read_config(directory, "run")
    name = config.experiment
    experiment = find(name)
    try:
        results = open_sweep(directory)
    except FileNotFoundError:
        raise InvalidValue(f"run: {directory} has no results yet") from None
    kept = list(_kept_runs(directory, config.sweep.runs(), results))
    if not kept:
        over = int(np.isin(results["status"].values, TRAINED).sum())
        raise InvalidValue(
            f"run: {directory} has no kept states, {over} of {results.sizes['run']} runs have trained to their end; "
            "states are kept at the end of a run of an experiment that keeps any"
        )
    results = experiment.summarise(results)
    if name in exact:
        results["learning_coefficient"] = exact[name](results)
    measures = _measures(results)
    networks: dict[str, list[_Kept]] = {}
    for item in kept:
        networks.setdefault(_network_name(experiment, item.run), []).append(item)
    made = {name: _network(experiment, items, measures, config.sweep) for name, items in networks.items()}
    quantities = {"source_step": Quantity("training step of the kept weights", "steps")}
    quantities |= {name: Quantity(words, units) for name, (words, units, _) in measures.items()}
    quantities |= {name: Quantity(field.help) for name, field in _numbers(experiment, config.sweep).items()}
    anchors = [
        Anchor(
            _network_name(experiment, item.run), item.place, index, _checksum(item, index), int(item.run.values["seed"])
        )
        for item in kept
        for index in range(len(item.steps))
    ]
    return Trained(experiment, config.settings, Source(made, quantities), anchors)


def find(name: str) -> Experiment:
    """Returns the experiment of this name.

    Raises:
      InvalidValue: there is none, or it has no landscape.
    """
    names = [module.name for module in pkgutil.iter_modules(experiments.__path__)]
    found = _experiment(name) if name in names else None
    if found is None or found.landscape is None:
        having = [other for other in names if (known := _experiment(other)) and known.landscape]
        said = "has no loss function for LLC" if found else "is not known"
        raise InvalidValue(f"experiment: {name} {said}; those that have one: {', '.join(having)}")
    return found


def _experiment(name: str) -> Experiment | None:
    return getattr(importlib.import_module(f"experiments.{name}"), "experiment", None)


def _kept_runs(directory: Path, runs: Sequence[Run], results: xr.Dataset) -> Iterator[_Kept]:
    """Yields the runs with kept states in the order of the sweep."""
    status = dict(zip(results["run_id"].values.tolist(), results["status"].values.tolist(), strict=True))
    found: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {}
    for store in kept_stores(directory):
        try:
            kept = read_kept(store)
        except FileNotFoundError:
            continue
        for row, run_id in enumerate(kept.run_ids):
            there = kept.steps[row] >= 0
            if there.any():
                found[run_id] = kept.steps[row][there], {name: leaf[row][there] for name, leaf in kept.leaves.items()}
    for place, run in enumerate(runs):
        if run.id in found and status.get(run.id) in TRAINED:
            yield _Kept(place, run, *found[run.id])


def _network(experiment: Experiment, kept: Sequence[_Kept], measures: _Measures, sweep: Sweep) -> Network:
    """Returns the kept states of runs with equal statics, padded to the largest of them."""
    assert experiment.landscape is not None
    names = [field.name for field in fields(experiment.hparams).values() if field.kind == "size"]
    alone = [build(experiment.hparams, item.run.values) for item in kept]
    bounds = {name: max(int(getattr(hp, name).active) for hp in alone) for name in names}
    hps = [dataclasses.replace(hp, **{n: Size(getattr(hp, n).active, to) for n, to in bounds.items()}) for hp in alone]
    whole = _shapes(experiment, hps[0])
    paths = [leaf_name(path) for path, _ in jax.tree.leaves_with_path(whole)]
    most = max(len(item.steps) for item in kept)
    by_sizes: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    shapes = []
    for hp in alone:
        sizes = tuple(int(getattr(hp, name).active) for name in names)
        if sizes not in by_sizes:
            by_sizes[sizes] = [leaf.shape for leaf in jax.tree.leaves(_shapes(experiment, hp))]
        shapes.append(by_sizes[sizes])
    leaves = []
    for index, (path, like) in enumerate(zip(paths, jax.tree.leaves(whole), strict=True)):
        rows = [unpadded(item.leaves[path], shapes[row][index], path) for row, item in enumerate(kept)]
        leaves.append(np.stack([padded(leaf, most, like.shape) for leaf in rows]))
    facts = {"source_step": np.stack([_filled(item.steps, most) for item in kept])}
    for name, (_, _, values) in measures.items():
        facts[name] = np.stack([_filled(_at(values, item.run.id, item.steps), most) for item in kept])
    for name, field in _numbers(experiment, sweep).items():
        facts[name] = np.stack([np.full(most, float(item.run.values[field.name])) for item in kept])
    return Network(
        landscape=experiment.landscape,
        hps=hps,
        places=np.array([item.place for item in kept]),
        weights=jax.tree.structure(whole).unflatten(leaves),
        shapes=[np.array([shape[index] for shape in shapes]).reshape(len(kept), -1) for index in range(len(paths))],
        facts=facts,
    )


def unpadded(kept: np.ndarray, shape: Sequence[int], name: str) -> np.ndarray:
    """Returns the leading corner of `kept`, which must be all that is not zero.

    Args:
      kept: [K, ...] one leaf of a run's kept states.
      shape: of the leaf without padding.
      name: of the leaf.
    Raises:
      InvalidValue: padding of this model does not lie beyond the corner.
    """
    corner = (slice(None), *map(slice, shape))
    if np.count_nonzero(kept) != np.count_nonzero(kept[corner]):
        raise InvalidValue(
            f"run: weights {name} are not zero outside their leading {' x '.join(map(str, shape))}, so padding cannot "
            "be told from weights; train every size in a sweep of its own"
        )
    return kept[corner]


def padded(leaf: np.ndarray, kept: int, shape: Sequence[int]) -> np.ndarray:
    """Returns `leaf` [k, ...] with zeros behind it up to [kept, *shape]."""
    return np.pad(leaf, [(0, more - has) for has, more in zip(leaf.shape, (kept, *shape), strict=True)])


def _measures(results: xr.Dataset) -> _Measures:
    """Returns the scalar measures of a training by fact: what they are, their units, and values over (run, step)."""
    return {
        f"source_{name}": (array.attrs.get("long_name", str(name)), array.attrs.get("units", "1"), array)
        for name, array in results.data_vars.items()
        if array.dims == ("run", "step") and array.notnull().any()
    }


def _numbers(experiment: Experiment, sweep: Sweep) -> dict[str, Field]:
    """Returns the hyperparameters beside the seed that are numbers and vary over the sweep, by fact."""
    declared = fields(experiment.hparams)
    names = [name for name in varying(sweep) if name != "seed" and declared[name].type is not str]
    return {f"trained_with_{name}": declared[name] for name in names}


def _at(values: xr.DataArray, run_id: str, steps: np.ndarray) -> np.ndarray:
    """Returns what a run measured at these steps, NaN where it did not."""
    row = values.values[values["run_id"].values.tolist().index(run_id)]
    measured = values["step"].values
    place = np.minimum(np.searchsorted(measured, steps), len(measured) - 1)
    return np.where(measured[place] == steps, row[place], np.nan)


def _filled(values: np.ndarray, count: int) -> np.ndarray:
    return np.pad(values.astype(float), (0, count - len(values)), constant_values=np.nan)


def _shapes(experiment: Experiment, hp: Any) -> Any:
    """Returns the shapes of what `keep` returns."""
    assert experiment.keep is not None
    keep = experiment.keep
    return jax.eval_shape(lambda hp: keep(experiment.init(hp)), hp_shapes(hp))


def _network_name(experiment: Experiment, run: Run) -> str:
    """Returns a name that runs with equal statics share."""
    statics = [(n, run.values[n]) for n, field in fields(experiment.hparams).items() if field.kind == "static"]
    return f"{experiment.name}-{hashlib.sha256(json.dumps(statics).encode()).hexdigest()[:8]}"


def _checksum(kept: _Kept, index: int) -> int:
    """Returns a positive int32 that tells one kept state from others."""
    crc = functools.reduce(lambda crc, leaf: zlib.crc32(leaf[index].tobytes(), crc), kept.leaves.values(), 0)
    return crc >> 1
