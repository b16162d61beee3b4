"""A run directory as a source: the states that its runs have kept, for the runs of another sweep to start from."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from phenom_jax.experiment import Experiment, Quantity
from phenom_jax.hparams import InvalidValue, Value, build, fields, hp_shapes
from phenom_jax.sizes import Size
from phenom_jax.source import FromSource, Start
from phenom_jax.store.config import experiment_of, read_config
from phenom_jax.store.kept import kept_rows, kept_steps, leaf_name
from phenom_jax.store.united import kept_stores, open_sweep
from phenom_jax.sweep.axes import Run, varying
from phenom_jax.sweep.plan import program_id

TRAINED = ("finished", "done")
REMEMBERED = 64  # runs whose kept states are held in memory


class Anchor(NamedTuple):
    """One kept state, by the hyperparameters of `FromSource` that say which."""

    source: int
    checkpoint: int
    anchor: int
    source_seed: int
    network: str


class _Kept(NamedTuple):
    """Where the kept states of a run lie: the group of its program, and their steps."""

    run: Run
    store: Path
    steps: np.ndarray


class _Outline(NamedTuple):
    """What runs of one program keep: the structure, the paths and the shapes of its leaves."""

    structure: Any
    paths: list[str]
    shapes: list[tuple[int, ...]]


class SourceRuns:
    """The runs of a finished or still training sweep that have trained to their end and kept states.

    Attributes:
      experiment: theirs.
      float_type: in which they were trained.
      runs: by their places in the sweep.
      checkpoints: how many states each has kept.
      quantities: what is known of every kept state, by name: its step, the scalar measures then as `source_NAME`, and
        the numbers in which the runs differ as `trained_with_NAME`.
    """

    def __init__(self, directory: str | Path, flag: str = "run", experiment: Experiment | None = None):
        """Reads which states there are; what is in them is read when it is asked for.

        Args:
          directory: the --out of the sweep.
          flag: that names it, for what is raised.
          experiment: that it is of, where that cannot be imported.
        Raises:
          InvalidValue: it is no run directory, cannot be imported, or has kept nothing.
        """
        directory = Path(directory)
        config = read_config(directory, flag)
        self.experiment = experiment or experiment_of(directory, flag)
        self.float_type = config.settings.float_type
        if issubclass(self.experiment.hparams, FromSource):
            raise InvalidValue(f"{flag}: {directory} has a source itself, allowed is a sweep without")
        try:
            results = open_sweep(directory)
        except FileNotFoundError:
            raise InvalidValue(f"{flag}: {directory} has no results yet") from None
        status = dict(zip(results["run_id"].values.tolist(), results["status"].values.tolist(), strict=True))
        found = {
            run_id: (store, steps)
            for store in kept_stores(directory)
            for run_id, steps in kept_steps(store).items()
            if len(steps) and status.get(run_id) in TRAINED
        }
        runs = config.sweep.runs()
        self._alone = [build(self.experiment.hparams, run.values) for run in runs]
        self._kept = {i: _Kept(run, *found[run.id]) for i, run in enumerate(runs) if run.id in found}
        if not self._kept:
            over = sum(each in TRAINED for each in status.values())
            raise InvalidValue(
                f"{flag}: {directory} has no kept states, {over} of {len(status)} runs have trained to their end; "
                "states are kept at the end of a run of an experiment that keeps any"
            )
        self.runs = {place: kept.run for place, kept in self._kept.items()}
        self.checkpoints = {place: len(kept.steps) for place, kept in self._kept.items()}
        results = self.experiment.summarise(results)
        declared = fields(self.experiment.hparams)
        self._numbers = [name for name in varying(config.sweep) if name != "seed" and declared[name].type is not str]
        names = [str(n) for n, a in results.data_vars.items() if a.dims == ("run", "step") and a.notnull().any()]
        self._measures = results[names].reset_coords(drop=True).assign_coords(run=results["run_id"].values)
        self.quantities = {"source_step": Quantity("training step of the kept weights", "steps")}
        for name in names:
            said = results[name].attrs
            self.quantities[f"source_{name}"] = Quantity(said.get("long_name", name), said.get("units", "1"))
        self.quantities |= {f"trained_with_{name}": Quantity(declared[name].help) for name in self._numbers}
        self._states = functools.lru_cache(REMEMBERED)(self._read)
        self._bounds, self._facts = functools.cache(self._padded), functools.cache(self._known)
        self._outlines: dict[Any, _Outline] = {}

    def bind(self, experiment: Experiment) -> Experiment:
        """Returns the experiment with this source, in whose floats it computes unless told otherwise."""
        return dataclasses.replace(experiment, source=self, float_type=self.float_type)

    def anchors(self, chosen: Iterable[tuple[int, int]]) -> list[Anchor]:
        """Returns the Anchors of these kept states, each the place of a run and of a state of it."""
        return [
            Anchor(place, checkpoint, self._checksum(place, checkpoint), int(kept.run.values["seed"]), kept.store.name)
            for place, checkpoint in chosen
            for kept in [self._at(place)]
        ]

    def start(self, values: Mapping[str, Value]) -> Start:
        """Returns what a run with these hyperparameters starts from.

        Raises:
          InvalidValue: there is no such kept state, or a file of it is damaged.
        """
        place, checkpoint = int(values["source"]), int(values["checkpoint"])
        kept = self._at(place)
        alone = self._alone[place]
        padded = {name: Size(getattr(alone, name).active, to) for name, to in self._bounds(kept.store).items()}
        hp = dataclasses.replace(alone, **padded)
        structure, paths, _ = self._outline(hp)
        shapes = self._outline(alone).shapes
        real, states = np.dtype(self.float_type), self._states(place)
        leaves = [states[path][checkpoint] for path in paths]
        if self.experiment.landscape:
            for leaf, shape, path in zip(leaves, shapes, paths):
                unpadded(leaf, shape, path)
        leaves = [np.asarray(leaf, jnp.result_type(float) if leaf.dtype == real else leaf.dtype) for leaf in leaves]
        axes = max(1, *(len(shape) for shape in shapes))
        return Start(
            hp=hp,
            kept=structure.unflatten(leaves),
            shapes=np.array([(*shape, *[1] * (axes - len(shape))) for shape in shapes], np.int32),
            step=int(kept.steps[checkpoint]),
            landscape=self.experiment.landscape,
        )

    def facts(self, runs: Sequence[Run]) -> dict[str, xr.Variable]:
        """Returns what is known of the kept states that these runs start from, float[runs] for each of `quantities`."""
        at = [(int(run.values["source"]), int(run.values["checkpoint"])) for run in runs]
        found = {name: [self._facts(place)[name][checkpoint] for place, checkpoint in at] for name in self.quantities}
        return {
            name: xr.Variable(
                "run",
                np.array(values, float),
                {"long_name": self.quantities[name].long_name, "units": self.quantities[name].units},
            )
            for name, values in found.items()
        }

    def _at(self, place: int) -> _Kept:
        if place not in self._kept:
            raise InvalidValue(f"source: {place} is not one of the runs with kept states: {ranges(sorted(self._kept))}")
        return self._kept[place]

    def _read(self, place: int) -> dict[str, np.ndarray]:
        """Returns the kept states of a run, [k, ...] by path."""
        kept = self._at(place)
        rows = kept_rows(kept.store, [kept.run.id])
        there = rows.pop("step")[0] >= 0
        return {path: leaf[0, : len(there)][there] for path, leaf in rows.items()}

    def _checksum(self, place: int, checkpoint: int) -> int:
        """Returns a positive int32 that tells one kept state from others."""
        leaves = self._states(place).values()
        return functools.reduce(lambda crc, leaf: zlib.crc32(leaf[checkpoint].tobytes(), crc), leaves, 0) >> 1

    def _padded(self, store: Path) -> dict[str, int]:
        """Returns the padded sizes of a program, by name: those that its id is made of."""
        hparams = self.experiment.hparams
        declared, run = fields(hparams).values(), next(kept.run for kept in self._kept.values() if kept.store == store)
        statics = {field.name: run.values[field.name] for field in declared if field.kind == "static"}
        names, hps = [field.name for field in declared if field.kind == "size"], self._alone
        for counts in itertools.product(*({int(getattr(hp, name).active) for hp in hps} for name in names)):
            bounds = dict(zip(names, counts))
            if program_id(hparams, statics, bounds) == store.name:
                return bounds
        raise InvalidValue(f"run: {store} is of no program of its sweep")

    def _outline(self, hp: Any) -> _Outline:
        """Returns what a run with the statics and padded sizes of `hp` keeps."""
        key = jax.tree.structure(hp)
        if key not in self._outlines:
            keep, init = self.experiment.keep, self.experiment.init
            assert keep is not None
            found = jax.eval_shape(lambda hp: keep(init(hp)), hp_shapes(hp))
            paths, leaves = zip(*jax.tree.leaves_with_path(found), strict=True)
            self._outlines[key] = _Outline(
                jax.tree.structure(found), [leaf_name(path) for path in paths], [leaf.shape for leaf in leaves]
            )
        return self._outlines[key]

    def _known(self, place: int) -> dict[str, np.ndarray]:
        """Returns the facts of the kept states of a run, float[k] by name; NaN where the run was not measured."""
        kept = self._at(place)
        measured = self._measures.sel(run=kept.run.id).reindex(step=kept.steps)
        found = {"source_step": kept.steps} | {f"source_{name}": array.values for name, array in measured.items()}
        trained_with = {f"trained_with_{name}": float(kept.run.values[name]) for name in self._numbers}
        return found | {name: np.full(len(kept.steps), value) for name, value in trained_with.items()}


def unpadded(leaf: np.ndarray, shape: Sequence[int], name: str) -> np.ndarray:
    """Returns the leading corner of a leaf, which must be all of it that is not zero.

    Args:
      leaf: what one run kept at one step.
      shape: of the leaf without padding.
      name: of the leaf.
    Raises:
      InvalidValue: padding does not lie beyond the corner.
    """
    corner = leaf[tuple(map(slice, shape))]
    if np.count_nonzero(leaf) != np.count_nonzero(corner):
        raise InvalidValue(
            f"run: weights {name} are not zero outside their leading {' x '.join(map(str, shape))}, so padding cannot "
            "be told from weights; train every size in a sweep of its own"
        )
    return corner


def ranges(numbers: Sequence[int]) -> str:
    """Returns ascending numbers in words."""
    whole = len(numbers) == numbers[-1] - numbers[0] + 1
    return f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers))
