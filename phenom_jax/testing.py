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
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax.interpreters import partial_eval

from phenom_jax import padding
from phenom_jax.claims.lift import decide
from phenom_jax.cli.flags import parse
from phenom_jax.cli.source import has_source
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import InvalidValue, fields, stack_hps
from phenom_jax.report.draw import draw
from phenom_jax.source import FromSource
from phenom_jax.store.schema import schema
from phenom_jax.sweep.axes import Run, Sweep
from phenom_jax.sweep.grid import measure_grid
from phenom_jax.sweep.plan import Plan, Program, make_plan
from phenom_jax.sweep.recorded import check_contract, recorded_variables

SEEDS = 6  # of made-up results: enough to decide a claim
ACCELERATORS = ("cuda", "tpu")


def check_experiment(
    experiment: Experiment,
    *,
    preset: str = "debug",
    rtol: float = 1e-6,
    nan: Collection[str] = (),
    without: Collection[str] = (),
    **flags: str,
) -> None:
    """Raises AssertionError with a sentence for everything that is wrong with an experiment.

    Args:
      preset, rtol, nan, flags: of the runs that are looked at, see `check_runs`.
      without: presets that are not looked at, as they need what is not here, a data set say.
    """
    experiment = _with_source(experiment, preset, flags)
    problems = list(_preset_problems(experiment, without))
    if not problems:
        make_plan(experiment, _sweep(experiment, preset, **flags).runs(), "cpu", 1)
        problems += _problems_of_runs(experiment, preset, rtol, nan, flags)
        tested = {name for claim in experiment.claims for name in claim.presets} & experiment.presets.keys()
        for name in sorted({"debug", *tested} - set(without)):
            problems += _result_problems(experiment, name)
    _report(experiment, problems)


def check_runs(
    experiment: Experiment, *, preset: str = "debug", rtol: float = 1e-6, nan: Collection[str] = (), **flags: str
) -> None:
    """Raises AssertionError with a sentence for everything that is wrong with the functions of a run.

    Of every combination of statics a smallest run is looked at over a few steps, in float64.

    Args:
      preset: small and quick.
      rtol: of metrics compared alone and padded; raise it where a solve magnifies rounding.
      nan: metrics that may be NaN, as there is nothing to measure at first, say.
      flags: texts as on a command line, `model="mlp,transformer"`: an axis of a static makes a check of each. An
        experiment that starts from a source needs `run=DIR`, of a small one.
    """
    experiment = _with_source(experiment, preset, flags)
    _report(experiment, list(_problems_of_runs(experiment, preset, rtol, nan, flags)))


def _with_source(experiment: Experiment, preset: str, flags: dict[str, str]) -> Experiment:
    """Returns the experiment bound to the source that `run` names, which is no flag any more."""
    if not has_source(experiment) or experiment.source:
        return experiment
    if "run" not in flags:
        raise ValueError(f"run: experiment {experiment.name!r} starts from a source, say run=DIR of a small one")
    return parse(experiment, [f"--preset={preset}", f"--run={flags.pop('run')}"]).experiment


def _report(experiment: Experiment, problems: Sequence[str]) -> None:
    if problems:
        raise AssertionError(f"experiment {experiment.name!r}:\n" + "\n".join(dict.fromkeys(problems)))


def _preset_problems(experiment: Experiment, without: Collection[str]) -> Iterator[str]:
    if "debug" not in experiment.presets:
        yield "presets: there is no `debug`; give one whose runs take seconds"
    for name in experiment.presets.keys() - set(without):
        try:
            check_contract(experiment, experiment.hp(_sweep(experiment, name).runs()[0].values))
        except InvalidValue as error:
            yield f"preset {name!r}: {error}"
        except Exception as error:  # of the functions themselves, whatever it is
            yield f"preset {name!r}: a run of it raises {type(error).__name__}: {error}"


def _problems_of_runs(
    experiment: Experiment, preset: str, rtol: float, nan: Collection[str], flags: Mapping[str, str]
) -> Iterator[str]:
    with jax.enable_x64(True):
        for program in _programs(experiment, _sweep(experiment, preset, **flags)):
            yield from _run_problems(experiment, program, rtol, nan)


def _run_problems(experiment: Experiment, program: Program, rtol: float, nan: Collection[str]) -> Iterator[str]:
    """Yields what is wrong with the functions of a run, of the program's smallest."""
    hp = experiment.hp(program.runs[0].values)
    alone = _traced(experiment, hp)
    if _text(alone) != _text(_traced(experiment, hp)):
        yield (
            "init, step or measure: traced twice they are two programs; they may depend on their arguments alone, no "
            "global state, clock or NumPy draw"
        )
        return
    compiled = alone.lower().compile(compiler_options=padding.QUICK_TO_COMPILE)
    found, again = (compiled(padding.numbers(hp)) for _ in range(2))
    results = (map(padding.plain, jax.tree.leaves(each)) for each in (found, again))
    if any(not np.array_equal(one, other, equal_nan=True) for one, other in zip(*results)):
        yield "init, step or measure: called twice they return other bits; they may depend on their arguments alone"
        return
    yield from _unused(alone, hp)
    yield from _not_finite(alone, found, nan)
    yield from _lifting(experiment, program, hp, found, rtol)
    if done := experiment.done:
        said = jax.eval_shape(lambda hp: done(experiment.measure(experiment.init(hp), hp)), padding.numbers(hp))
        if (said.shape, said.dtype) != ((), jnp.bool_):
            yield f"done: returns {said.dtype}{list(said.shape)}, allowed is one bool"
    try:
        alone.lower(lowering_platforms=ACCELERATORS)
    except Exception as error:  # whatever JAX raises where an operation has no rule there
        yield f"{' or '.join(ACCELERATORS)}: a run is not compiled for it: {str(error).splitlines()[0]}"


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
    """Returns the hyperparameters that need not do anything: named by `unused`, or where a run starts."""
    selecting = fields(FromSource).keys() - {"seed"} if isinstance(hp, FromSource) else set()
    return selecting | set(getattr(hp, "unused", dict)())


def _not_finite(alone: Any, found: Any, nan: Collection[str]) -> Iterator[str]:
    """Yields the metrics that are not finite, but those that are NaN whatever a run is: these say "not measured"."""
    for path, values in jax.tree_util.tree_leaves_with_path(found._replace(initial=(), trained=())):
        values = np.asarray(values)
        if path[1].key in nan and not np.isinf(values).any():
            continue
        if not np.isfinite(values).all() and any(_dependence(alone, lambda other, path=path: other == path).values()):
            at = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))[0])
            bad = values[at][~np.isfinite(values[at])].flat[0]
            when = padding.when(path, at)
            yield f"{path[1].key}: is {bad} {when}; allowed are numbers, NaN in every run, or where `nan` says so"


def _lifting(experiment: Experiment, program: Program, hp: Any, found: Any, rtol: float) -> Iterator[str]:
    """Yields what is another in lanes of larger bounds: which size makes it so, or that it is the lanes."""
    other_seed = dataclasses.replace(hp, seed=hp.seed + 1)
    bounds = {name: bound + padding.ROOM for name, bound in program.padded.items()}
    lanes = [padding.bounded(each, bounds) for each in (hp, other_seed, program.hp(program.runs[-1]))]
    recorded = functools.partial(padding.record, experiment)
    together = padding.called(jax.vmap(recorded), stack_hps(lanes))
    first, second = (jax.tree.map(lambda leaf, lane=lane: leaf[lane], together) for lane in (0, 1))
    if where := padding.difference(found, first, rtol):
        yield from list(padding.size_problems(recorded, hp, rtol)) or [
            f"lanes: beside other runs a run has another {where}"
        ]
    both = zip(jax.tree.leaves(first), jax.tree.leaves(second))
    if "seed" not in _idle(hp) and all(
        np.array_equal(padding.plain(a), padding.plain(b), equal_nan=True) for a, b in both
    ):
        yield "seed: another one makes the same run; draw from jax.random.key(hp.seed)"


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
        for name in experiment.presets[preset].expects:
            if name not in results:
                yield f"preset {preset!r}: expects {name}, allowed are measures and variables of runs"
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
    facts = experiment.source.facts(runs) if experiment.source else {}
    results = schema(runs, fields(experiment.hparams), steps, variables, {}, None, facts)
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
    names = padding.sizes(experiment.hparams)
    hps = {run.id: experiment.hp(run.values) for run in runs}
    counts = {run_id: [getattr(hp, name).active for name in names] for run_id, hp in hps.items()}
    ordered = sorted(runs, key=lambda run: counts[run.id])
    padded = dict(zip(names, map(max, zip(*counts.values()))))
    return Program(experiment, tuple(ordered), padded, 0.0, 0.0, 0.0, 0)


def _traced(experiment: Experiment, hp: Any) -> Any:
    return jax.jit(lambda hp: padding.record(experiment, hp)).trace(padding.numbers(hp))


def _text(traced: Any) -> tuple[str, list[bytes]]:
    """Returns what a traced program says: without the addresses of functions, with its constants."""
    return re.sub(r" at 0x\w+", "", str(traced.jaxpr)), [np.asarray(each).tobytes() for each in traced.jaxpr.consts]


def _dependence(traced: Any, chosen: Any) -> dict[tuple, bool]:
    """Returns by its path whether an input changes any of the outputs whose path is chosen."""
    outputs = [chosen(path) for path, _ in jax.tree_util.tree_leaves_with_path(traced.out_info)]
    used = partial_eval.dce_jaxpr(traced.jaxpr.jaxpr, outputs)[1]
    (inputs,), _ = traced.args_info
    return dict(zip((path for path, _ in jax.tree_util.tree_leaves_with_path(inputs)), used, strict=True))


def _statics(hp: Any) -> str:
    chosen = {field.name: getattr(hp, field.name) for field in fields(type(hp)).values() if field.kind == "static"}
    return "a run with " + ", ".join(f"{name}={value}" for name, value in chosen.items()) if chosen else "any run"
