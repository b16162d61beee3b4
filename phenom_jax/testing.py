"""Conformance of an experiment: `check_experiment(experiment)`, one line in a test of your own.

A run must not know its padding nor its neighbours, must be a pure function of its hyperparameters, and its presets,
figures and claims must work. What is wrong is said in one sentence each, with what to do.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.interpreters import partial_eval

from phenom_jax.claims.lift import decide
from phenom_jax.cli.flags import parse
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import InvalidValue, fields, stack_hps
from phenom_jax.report.draw import draw
from phenom_jax.sizes import Size
from phenom_jax.store.schema import schema
from phenom_jax.sweep.axes import Run, Sweep
from phenom_jax.sweep.grid import measure_grid
from phenom_jax.sweep.plan import Plan, Program, make_plan
from phenom_jax.sweep.recorded import check_contract, recorded_variables

STEPS = 4  # enough for a gradient to reach every weight, too few for rounding to grow
ROOM = 3  # padded entries
SEEDS = 6  # of made-up results: enough to decide a claim
ACCELERATORS = ("cuda", "tpu")
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0}


class Record(NamedTuple):
    """What a run is and says, in the order in which a difference is looked for."""

    initial: Any  # its first state
    trained: Any  # its state after STEPS steps
    stepped: dict[str, jax.Array]  # metrics of each step, [STEPS, ...]
    measured: dict[str, jax.Array]  # measures of the first and of the last state, [2, ...]


def check_experiment(
    experiment: Experiment, *, preset: str = "debug", rtol: float = 1e-6, without: Collection[str] = (), **flags: str
) -> None:
    """Raises AssertionError with a sentence for everything that is wrong with an experiment.

    Of the preset's runs, a smallest one of every combination of statics is looked at over a few steps, in float64.

    Args:
      preset: small and quick.
      rtol: of metrics compared alone and padded; raise it where a solve magnifies rounding.
      without: presets that are not looked at, as they need what is not here, a data set say.
      flags: texts as on a command line, `model="mlp,transformer"`: an axis makes a check of each.
    """
    problems = list(_preset_problems(experiment, without))
    if not problems:
        sweep = _sweep(experiment, preset, **flags)
        make_plan(experiment, sweep.runs(), "cpu", 1)
        with jax.enable_x64(True):
            for program in _programs(experiment, sweep):
                problems += _run_problems(experiment, program, rtol)
        tested = {name for claim in experiment.claims for name in claim.presets} & experiment.presets.keys()
        for name in sorted({"debug", *tested} - set(without)):
            problems += _result_problems(experiment, name)
    if problems:
        raise AssertionError(f"experiment {experiment.name!r}:\n" + "\n".join(dict.fromkeys(problems)))


def padding_problems(experiment: Experiment, run: Run) -> Iterator[str]:
    """Yields in stages, each longer, what a run inside larger bounds does differently; "" if nothing.

    The first stage is its initial state, the second its steps and cheap measures.
    """
    cheap = dataclasses.replace(experiment, expensive=None, landscape=None)
    alone = experiment.hp(run.values)
    with jax.enable_x64(True):
        for record in (lambda hp: Record(experiment.init(hp), (), {}, {}), lambda hp: _record(cheap, hp)):
            yield next(_padding(record, alone, _sizes(experiment), 1e-6), "")


def _preset_problems(experiment: Experiment, without: Collection[str]) -> Iterator[str]:
    if "debug" not in experiment.presets:
        yield "presets: there is no `debug`; give one whose runs take seconds"
    for name in experiment.presets.keys() - set(without):
        try:
            check_contract(experiment, _programs(experiment, _sweep(experiment, name))[0].template)
        except InvalidValue as error:
            yield f"preset {name!r}: {error}"
        except Exception as error:  # of the functions themselves, whatever it is
            yield f"preset {name!r}: a run of it raises {type(error).__name__}: {error}"


def _run_problems(experiment: Experiment, program: Program, rtol: float) -> Iterator[str]:
    """Yields what is wrong with the functions of a run, of the program's smallest."""
    hp = experiment.hp(program.runs[0].values)
    alone = _traced(experiment, hp)
    if _text(alone) != _text(_traced(experiment, hp)):
        yield (
            "init, step or measure: traced twice they are two programs; they may depend on their arguments alone, no "
            "global state, clock or NumPy draw"
        )
        return
    compiled = alone.lower().compile(compiler_options=QUICK_TO_COMPILE)
    found, again = (compiled(_arrays(hp)) for _ in range(2))
    if any(not np.array_equal(one, other, equal_nan=True) for one, other in zip(*map(_plain, (found, again)))):
        yield "init, step or measure: called twice they return other bits; they may depend on their arguments alone"
        return
    yield from _unused(alone, hp)
    yield from _not_finite(alone, found)
    yield from _lifting(experiment, program, hp, found, rtol)
    if done := experiment.done:
        said = jax.eval_shape(lambda hp: done(experiment.measure(experiment.init(hp), hp)), _arrays(hp))
        if (said.shape, said.dtype) != ((), jnp.bool_):
            yield f"done: returns {said.dtype}{list(said.shape)}, allowed is one bool"
    for platform in ACCELERATORS:
        try:
            alone.lower(lowering_platforms=(platform,))
        except Exception as error:  # whatever JAX raises where an operation has no rule there
            yield f"{platform}: a run is not compiled for it: {str(error).splitlines()[0]}"


def _record(experiment: Experiment, hp: Any) -> Record:
    def advance(state: Any, count: jax.Array) -> Any:
        assert experiment.step
        return experiment.step(state, hp, jax.random.fold_in(jax.random.key(hp.seed), count))

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


def _unused(alone: Any, hp: Any) -> Iterator[str]:
    """Yields the traced hyperparameters that nothing depends on and that `unused` does not name."""
    used = _dependence(alone, lambda path: True)
    for name in sorted({path[0].name for path in used} & fields(type(hp)).keys() - _idle(hp) - {"steps"}):
        if not any(needed for path, needed in used.items() if path[0].name == name):
            kind = fields(type(hp))[name].kind
            yield (
                f"{name}: this {kind} hyperparameter changes nothing in {_statics(hp)}; use it, drop it, or name it in "
                "`unused` of the hyperparameters"
            )


def _idle(hp: Any) -> set[str]:
    return set(hp.unused()) if hasattr(hp, "unused") else set()


def _not_finite(alone: Any, found: Any) -> Iterator[str]:
    """Yields the metrics that are not finite, but those that are NaN whatever a run is: these say "not measured"."""
    for path, values in jax.tree_util.tree_leaves_with_path(found._replace(initial=(), trained=())):
        values = np.asarray(values)
        if not np.isfinite(values).all() and any(_dependence(alone, lambda other, path=path: other == path).values()):
            when = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))[0])
            bad = values[when][~np.isfinite(values[when])].flat[0]
            yield f"{path[1].key}: is {bad} {_when(path, when)}; a metric is finite, or NaN in every run of a program"


def _lifting(experiment: Experiment, program: Program, hp: Any, found: Any, rtol: float) -> Iterator[str]:
    """Yields what is another in lanes of larger bounds: which size does it, or that it is the lanes."""
    sizes = _sizes(experiment)
    other_seed = dataclasses.replace(hp, seed=hp.seed + 1)
    bounds = {name: program.padded[name] + ROOM for name in sizes}
    lanes = [_bounded(each, bounds) for each in (hp, other_seed, program.hp(program.runs[-1]))]
    record = functools.partial(_record, experiment)
    together = _call(jax.vmap(record), stack_hps(lanes))
    first, second = (jax.tree.map(lambda leaf, lane=lane: leaf[lane], together) for lane in (0, 1))
    if _difference(found, first, rtol):
        padding = list(_padding(record, hp, sizes, rtol))
        yield from padding or [f"lanes: beside other runs a run has another {_difference(found, first, rtol)}"]
    starts = zip(_plain(first.initial), _plain(second.initial))
    if "seed" not in _idle(hp) and all(np.array_equal(one, other) for one, other in starts):
        yield "seed: another one makes the same initial state; draw from jax.random.key(hp.seed)"


def _padding(record: Any, hp: Any, sizes: Sequence[str], rtol: float) -> Iterator[str]:
    """Yields a sentence for every size that changes the run's record where it is padded."""
    if not sizes:
        return
    everything = _bounded(hp, {name: getattr(hp, name).padded + ROOM for name in sizes})
    alone = _call(record, _arrays(hp))
    if not _difference(alone, _call(record, _arrays(everything)), rtol):
        return
    for name in sizes:
        bound = getattr(hp, name).padded + ROOM
        if difference := _difference(alone, _call(record, _arrays(_bounded(hp, {name: bound}))), rtol):
            yield (
                f"{name}: of {bound - ROOM} inside a bound of {bound} a run has another {difference}; mask what is "
                f"drawn, averaged or scaled over padded entries (draw_columns, masked_mean, hp.{name}.active)"
            )


def _difference(exact: Any, padded: Any, rtol: float) -> str:
    """Returns where a padded record differs first, in words, or nothing."""
    for (path, one), other in zip(jax.tree_util.tree_leaves_with_path(exact), jax.tree.leaves(padded), strict=True):
        one, other = _array(one), _array(other)
        corner = tuple(slice(length) for length in one.shape)
        outside = other.copy()
        outside[corner] = 0
        if path[0].name in ("initial", "trained") and one.dtype.kind == "f" and outside.any():
            return f"{_name(path, (0,))}: its padded entries are not zero"
        near = np.isclose(other[corner], one, rtol=rtol, atol=1e-12, equal_nan=True)
        if not near.all():
            place = tuple(np.argwhere(~near)[0])
            return f"{_name(path, place)} ({one[place]:.6g} alone, {other[place]:.6g} there)"
    return ""


def _result_problems(experiment: Experiment, preset: str) -> Iterator[str]:
    """Yields the figures and claims that raise on made-up results of a preset's sweep."""
    where = f"on made-up results of {f'preset {preset!r}' if preset else 'no preset'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logarithms, fits and axes of nonsense
        try:
            results = experiment.summarise(_made_up(experiment, _sweep(experiment, preset)))
        except Exception as error:
            yield f"summarise: raises {type(error).__name__} {where}: {error}"
            return
        for figure in experiment.figures if preset in ("", "debug") else ():
            try:
                draw(figure, results)
            except Exception as error:
                yield f"figure {figure.name!r}: raises {type(error).__name__} {where}: {error}"
        for claim in experiment.claims:
            try:
                decide(claim, results, strict=True)
            except Exception as error:
                if not _refused_by_a_law(error):
                    yield f"claim {claim.statement!r}: raises {type(error).__name__} {where}: {error}"


def _refused_by_a_law(error: Exception) -> bool:
    """Whether a law or a scale did not take a number: of curves that mean nothing some are infinite or negative."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    return isinstance(error, ValueError) and bool(frame) and "phenom_jax.laws" in frame.tb_frame.f_globals["__name__"]


def _made_up(experiment: Experiment, sweep: Sweep) -> xr.Dataset:
    """Returns results as they are stored: smooth positive curves that mean nothing, for all that is recorded."""
    rng = np.random.default_rng(0)
    if not any("seed" in group for group in sweep.zips):
        sweep = dataclasses.replace(sweep, axes={**sweep.axes, "seed": tuple(range(SEEDS))})
    runs = sweep.runs()
    last = np.array([experiment.steps(run.values) for run in runs])
    steps = measure_grid(Schedule(points=12), set(last.tolist())).steps
    variables = recorded_variables(experiment, Plan(tuple(_programs(experiment, sweep)), 0.0))
    results = schema(runs, fields(experiment.hparams), steps, variables, {}, None)
    way = np.log1p(steps) / max(np.log1p(steps[-1]), 1)
    for variable in variables:
        start, end = rng.uniform(0.05, 1, (2, len(runs), 1, *variable.shape))
        along = way.reshape(-1, *[1] * len(variable.shape))
        curves = np.where(
            (steps <= last[:, None]).reshape(*(len(runs), len(steps)), *[1] * len(variable.shape)),
            start + (end - start) * along,
            np.nan,
        )
        results[variable.name] = results[variable.name].copy(data=curves.astype(variable.dtype))
    status = results["status"].copy(data=np.full(len(runs), "finished"))
    return results.assign_coords(status=status, last_step=results["last_step"].copy(data=last))


def _sweep(experiment: Experiment, preset: str, **flags: str) -> Sweep:
    words = [f"--{name}={text}" for name, text in flags.items()]
    return parse(experiment, [f"--preset={preset}", *words] if preset else words).sweep


def _programs(experiment: Experiment, sweep: Sweep) -> list[Program]:
    """Returns one program of every combination of statics, its smallest run first."""
    statics = [field.name for field in fields(experiment.hparams).values() if field.kind == "static"]
    alike: dict[tuple, list[Run]] = {}
    for run in sweep.runs():
        alike.setdefault(tuple(run.values[name] for name in statics), []).append(run)
    return [_program(experiment, runs) for runs in alike.values()]


def _program(experiment: Experiment, runs: Sequence[Run]) -> Program:
    hps = {run.id: experiment.hp(run.values) for run in runs}
    counts = {run_id: [getattr(hp, name).active for name in _sizes(experiment)] for run_id, hp in hps.items()}
    ordered = sorted(runs, key=lambda run: counts[run.id])
    padded = dict(zip(_sizes(experiment), map(max, zip(*counts.values()))))
    return Program(experiment, tuple(ordered), padded, 0.0, 0.0, 0.0, 0)


def _sizes(experiment: Experiment) -> list[str]:
    return [field.name for field in fields(experiment.hparams).values() if field.kind == "size"]


def _bounded(hp: Any, bounds: Mapping[str, int]) -> Any:
    return dataclasses.replace(hp, **{name: Size(getattr(hp, name).active, bound) for name, bound in bounds.items()})


def _arrays(hp: Any) -> Any:
    return jax.tree.map(lambda x: x[0], stack_hps([hp]))


def _traced(experiment: Experiment, hp: Any) -> Any:
    return jax.jit(lambda hp: _record(experiment, hp)).trace(_arrays(hp))


def _call(record: Any, hp: Any) -> Any:
    return jax.jit(record, compiler_options=QUICK_TO_COMPILE)(hp)


def _text(traced: Any) -> tuple[str, list[bytes]]:
    """Returns what a traced program says: without the addresses of functions, with its constants."""
    return re.sub(r" at 0x\w+", "", str(traced.jaxpr)), [np.asarray(each).tobytes() for each in traced.jaxpr.consts]


def _dependence(traced: Any, chosen: Any) -> dict[tuple, bool]:
    """Returns by its path whether an input changes any of the outputs whose path is chosen."""
    outputs = [chosen(path) for path, _ in jax.tree_util.tree_leaves_with_path(traced.out_info)]
    used = partial_eval.dce_jaxpr(traced.jaxpr.jaxpr, outputs)[1]
    (inputs,), _ = traced.args_info
    return dict(zip((path for path, _ in jax.tree_util.tree_leaves_with_path(inputs)), used, strict=True))


def _plain(record: Any) -> list[np.ndarray]:
    return [_array(leaf) for leaf in jax.tree.leaves(record)]


def _array(leaf: Any) -> np.ndarray:
    typed = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if typed else leaf)


def _name(path: tuple, place: tuple) -> str:
    """Returns the part of a record at this place in words: `loss` after 4 steps, initial state.weights."""
    if path[0].name in ("measured", "stepped"):
        return f"{path[1].key} {_when(path, place[0])}"
    leaf = jax.tree_util.keystr(path[1:])
    return f"initial state{leaf}" if path[0].name == "initial" else f"state{leaf} after {STEPS} steps"


def _when(path: tuple, place: int) -> str:
    if path[0].name == "stepped":
        return f"in step {place + 1}"
    return f"after {STEPS} steps" if place else "at the start"


def _statics(hp: Any) -> str:
    chosen = {field.name: getattr(hp, field.name) for field in fields(type(hp)).values() if field.kind == "static"}
    return "a run with " + ", ".join(f"{name}={value}" for name, value in chosen.items()) if chosen else "any run"
