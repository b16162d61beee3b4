"""The Python doors: `train` trains a sweep, `open_run` opens one that was trained. For notebooks and scripts.

results = train(grokking, "runs/grokking", seed=range(8), weight_decay=[0, 0.3, 1])
model, hp = open_run("runs/grokking").state(0)
norms = measure_kept("runs/grokking", lambda model, hp: weight_norm(model))
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import Field, InvalidValue, fields
from phenom_jax.sweep.axes import nearest
from phenom_jax.sweep.settings import Settings

# what the functions import is slow to load: `import phenom_jax` and its doors should not be
if TYPE_CHECKING:
    import matplotlib.figure
    import xarray as xr

    from phenom_jax.claims.lift import Finding
    from phenom_jax.store.config import Config
    from phenom_jax.store.directory import Where

SETTINGS = {field.name for of in (Settings, Schedule) for field in dataclasses.fields(of)} - {"schedule"}
SETTINGS |= {"compilation_cache", "run"}


def train(
    experiment: Experiment,
    /,
    out: Where | None = None,
    *,
    preset: str = "",
    zips: str | Sequence[str | Sequence[str]] = (),
    add: str | Sequence[str] = (),
    quiet: bool = False,
    **asked: Any,
) -> xr.Dataset:
    """Trains a sweep and returns its results, summarised: every measure over (run, step), labelled.

    It does what the command line does, with the settings of JAX that a sweep needs for as long as it takes, but for the
    float type and the devices, which are JAX's own by then.

    Args:
      experiment: what to train.
      out: the run directory, where the same call goes on after a kill; none: a temporary one, removed at the end.
      preset: of the experiment, under what is asked.
      zips: groups of names of axes that advance together, as in `["width,learning_rate"]`.
      add: runs beside the product, as in `["weight_decay=3 width=128"]`.
      quiet: prints nothing.
      asked: hyperparameters, each a value, a range, a list or array of values, or a flag text, `"log:1e-4:1:5"`;
        those not named take their default. And settings by their flags: `points=20`, `lanes=64`, `rerun="failed"`.
    Raises:
      InvalidValue: what the command line would refuse, or another float type than JAX computes in.
      KeyboardInterrupt: after Ctrl-C, or another signal that is to end nothing more than this, once all is saved; no
        signal reaches a training on another thread than the main one.
      FloatingPointError: a run diverged and `on_diverge="stop"`; all is saved.
      OSError: the disk refused something to the end.
    """
    from phenom_jax.cli.flags import parse
    from phenom_jax.device.start import borrowed_jax
    from phenom_jax.store.config import make_config
    from phenom_jax.store.dataset import open_results
    from phenom_jax.store.derived import save_derived
    from phenom_jax.store.directory import RunDirectory, place
    from phenom_jax.store.united import STORE
    from phenom_jax.sweep.plan import describe
    from phenom_jax.training.progress import Terminal
    from phenom_jax.training.stop import pass_on
    from phenom_jax.training.sweep import prepare, train_sweep

    flags = _flags(experiment, asked) | ({"preset": preset} if preset else {})
    groups = [zips] if isinstance(zips, str) else zips
    zipped = [group if isinstance(group, str) else ",".join(group) for group in groups]
    added = [add] if isinstance(add, str) else list(add)
    pairs = [*flags.items(), *(("zip", text) for text in zipped), *(("add", text) for text in added)]
    command = parse(experiment, [f"--{name}={text}" for name, text in pairs], trained=True)
    experiment = command.experiment
    said = [experiment.name, repr(str(out)), *(f"{name}={text!r}" for name, text in flags.items())]
    said += [f"{name}={texts}" for name, texts in {"zips": zipped, "add": added}.items() if texts]
    call = f"train({', '.join(said)})"
    with borrowed_jax(command.settings, command.compilation_cache), place(out) as path:
        work = prepare(experiment, command.sweep, command.settings, path)
        config = make_config(experiment, call, command.sweep, command.settings, describe(work.sweep_plan))
        with RunDirectory(path, config) as directory:
            outcome = train_sweep(work, directory, Terminal(quiet=quiet))
            if outcome.unwritten:
                raise OSError(f"the disk refused to the end: {outcome.unwritten}; to resume: {call}")
            if outcome.failure:
                raise FloatingPointError(f"stopped by {outcome.interrupted}, all is kept in {out}")
            if outcome.interrupted:
                pass_on(outcome.interrupted)
                raise KeyboardInterrupt(f"stopped by {outcome.interrupted}; to resume: {call}")
            results = experiment.summarise(open_results(path / STORE))
            save_derived(path / STORE, results)
    return results


def open_run(directory: Where, experiment: Experiment | None = None) -> SavedSweep:
    """Returns the saved sweep in a run directory, also while it is trained.

    Args:
      directory: the `out` of a sweep, in parts or whole.
      experiment: that it is of, needed only where that cannot be imported: one defined in a notebook.
    Raises:
      InvalidValue: there is no sweep, it is of another experiment, or its experiment cannot be imported.
    """
    from phenom_jax.store.config import experiment_of, read_config

    directory = str(directory)
    config = read_config(directory, "directory")
    experiment = experiment or experiment_of(directory)
    if config.experiment != experiment.name:
        raise InvalidValue(f"directory: {directory} is of {config.experiment!r}, not of {experiment.name!r}")
    return SavedSweep(directory, experiment, config)


@dataclasses.dataclass(frozen=True)
class SavedSweep:
    """A sweep in its run directory; what it holds is read when it is asked for. Made by `open_run`."""

    directory: str
    experiment: Experiment
    config: Config

    @functools.cached_property
    def results(self) -> xr.Dataset:
        """Every measure over (run, step) and what was derived from them, labelled, in memory."""
        from phenom_jax.store.united import open_sweep

        try:
            return self.experiment.summarise(open_sweep(self.directory))
        except FileNotFoundError:
            raise InvalidValue(f"directory: {self.directory} holds no results yet") from None

    @property
    def figures(self) -> dict[str, matplotlib.figure.Figure]:
        """The experiment's figures by name, drawn now; without those for which the results hold nothing."""
        from phenom_jax.report.draw import draw

        drawn = {figure.name: draw(figure, self.results) for figure in self.experiment.figures}
        return {name: figure for name, figure in drawn.items() if figure is not None}

    @property
    def claims(self) -> list[Finding]:
        """The experiment's claims, each with its verdict on these results."""
        from phenom_jax.claims.lift import decide_all

        return decide_all(self.experiment.claims, self.results)

    def state(self, run: str | int, step: int | None = None) -> tuple[Any, Any]:
        """Returns what a run kept at a step, and its hyperparameters: `(kept, hp)`, both without padding.

        Both are as the experiment's functions take them: of grokking `kept` is the model, to be called on pairs.

        Args:
          run: a run id, or a row of `results`.
          step: at which a state was kept; the last of them by default.
        Raises:
          InvalidValue: there is no such run or kept state, what was kept is damaged or padded elsewhere than at the end
            of its axes, or the sweep computed in float64 and JAX here does not.
        """
        from phenom_jax.device.start import check_float_type
        from phenom_jax.store.kept import kept_rows, kept_steps, leaf_name
        from phenom_jax.store.source import unpadded
        from phenom_jax.store.united import kept_stores

        keep, init = self.experiment.keep, self.experiment.init
        if keep is None:
            raise InvalidValue(f"state: {self.experiment.name} keeps none, allowed are experiments with a `keep`")
        if self.config.settings.float_type == "float64":
            check_float_type("float64")
        run_id, values = self._run(run)
        found = [(store, kept_steps(store).get(run_id, np.zeros(0, int))) for store in kept_stores(self.directory)]
        found = [(store, steps) for store, steps in found if len(steps)]
        if not found:
            status = self.results["status"].values[self.results["run_id"].values == run_id][0]
            raise InvalidValue(f"run: {run_id} has kept nothing, allowed are runs that are over; it is {status}")
        (store, steps), *_ = found
        step = int(steps[-1]) if step is None else step
        if step not in steps:
            raise InvalidValue(f"step: {step}, allowed is what run {run_id} has kept: {', '.join(map(str, steps))}")
        hp = self.experiment.hp(values)
        outline = jax.eval_shape(lambda: keep(init(hp)))
        rows = kept_rows(store, [run_id])
        place = rows["step"][0].tolist().index(step)

        def leaf(path: tuple, like: jax.ShapeDtypeStruct) -> jax.Array:
            name = leaf_name(path)
            return jnp.asarray(unpadded(rows[name][0, place], like.shape, name))

        return jax.tree.map_with_path(leaf, outline), hp

    def _run(self, run: str | int) -> tuple[str, dict[str, Any]]:
        """Returns the id and the hyperparameters of a run."""
        run_ids = self.results["run_id"].values.tolist()
        row = run_ids.index(run) if run in run_ids else run
        if not isinstance(row, int | np.integer) or not -len(run_ids) <= row < len(run_ids):
            raise InvalidValue(f"run: {run!r}, allowed is 0 to {len(run_ids) - 1} or a run id of the results")
        return run_ids[row], {name: self.results[name].values[row].item() for name in fields(self.experiment.hparams)}


def measure_kept(
    directory: Where, measure: Callable[[Any, Any], Any], experiment: Experiment | None = None
) -> xr.Dataset:
    """Returns a measure of every state that a sweep has kept, over (run, step), labelled like its results.

    Args:
      directory: the `out` of a sweep, in parts or whole, also while it trains.
      measure: `(kept, hp) -> metrics`, pure and of one run, as the experiment's own: an array, or a NamedTuple of them.
        Both arguments are padded as in the sweep. It is computed in JAX's own float type.
      experiment: as in `open_run`.
    Raises:
      InvalidValue: there is no sweep, or it has kept nothing.
    """
    import xarray as xr

    from phenom_jax.source import FromSource
    from phenom_jax.store.source import SourceRuns

    def named(metrics: Any) -> Any:
        return metrics if hasattr(metrics, "_fields") else NamedTuple("Measured", [("measured", jax.Array)])(metrics)

    kept = Experiment(
        name="kept",
        hparams=FromSource,
        init=lambda hp: hp.start.kept,
        step=None,
        measure=lambda state, hp: named(measure(state, hp.start.hp)),
    )
    source = SourceRuns(str(directory), "directory", experiment)
    floats = jnp.result_type(float).name
    flat = train(source.bind(kept), quiet=True, source=list(source.checkpoints), float_type=floats).isel(step=-1)
    steps, column = np.unique(flat["source_step"].values.astype(int), return_inverse=True)
    places, row = np.unique(flat["source"].values, return_inverse=True)
    measured = {}
    for name, array in flat.data_vars.items():
        values = np.full((len(places), len(steps), *array.shape[1:]), np.nan, array.dtype)
        values[row, column] = array.values
        measured[name] = ("run", "step", *array.dims[1:]), values, array.attrs
    runs = [source.runs[place] for place in places.tolist()]
    labels: dict[str, Any] = {"run_id": ("run", [run.id for run in runs])}
    labels["step"] = ("step", steps, {"long_name": "training step", "units": "steps"})
    for name, field in fields(source.experiment.hparams).items():
        said = {"long_name": field.help, "hyperparameter": field.kind}
        labels[name] = ("run", [run.values[name] for run in runs], said)
    return xr.Dataset(measured, labels)


def _flags(experiment: Experiment, asked: Mapping[str, Any]) -> dict[str, str]:
    """Returns the flag texts of what is asked for.

    Raises:
      InvalidValue: a name that is no hyperparameter and no setting.
    """
    declared = fields(experiment.hparams)
    for name in asked:
        if name not in declared and name not in SETTINGS:
            known = nearest(name, [*declared, *SETTINGS])
            raise InvalidValue(f"{name}: no such hyperparameter or setting{known}")
    return {name: _text(declared.get(name), value) for name, value in asked.items() if value is not None}


def _text(field: Field | None, value: Any) -> str:
    """Returns the flag text of a value or an axis."""
    if isinstance(value, range) and field and field.type is int and value.step > 0 and value:
        return f"{value.start}:{value.stop}:{value.step}"
    value = np.asarray(value)[()] if hasattr(value, "dtype") else value
    return str(value) if isinstance(value, str) or not np.ndim(value) else ",".join(map(str, value))
