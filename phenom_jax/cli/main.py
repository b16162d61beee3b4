"""From a command line to a report: flags, JAX's settings, the run directory, training, what to look at."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
from rich.console import Console

from phenom_jax.claims.lift import decide_all
from phenom_jax.cli.cluster import Cluster, run_here, submit, without
from phenom_jax.cli.debug import debug
from phenom_jax.cli.flags import Command, help_text, parse
from phenom_jax.cli.summary import show, show_ends, show_expected, show_forecast, show_plan
from phenom_jax.device import processes
from phenom_jax.device.devices import all_devices
from phenom_jax.device.forecast import forecast, named_accelerator
from phenom_jax.device.layout import check_asked, choose
from phenom_jax.device.program import AXIS
from phenom_jax.device.start import start_jax
from phenom_jax.device.work import Work, make_work
from phenom_jax.experiment import Experiment
from phenom_jax.hparams import InvalidValue
from phenom_jax.padding import padding_problems
from phenom_jax.report.tables import write_runs
from phenom_jax.store.config import Config, make_config
from phenom_jax.store.dataset import open_results, read_statuses
from phenom_jax.store.derived import save_derived
from phenom_jax.store.directory import RunDirectory, agrees, share_out
from phenom_jax.store.united import STORE, count_statuses
from phenom_jax.sweep.parts import shared_out
from phenom_jax.sweep.plan import describe
from phenom_jax.sweep.status import OVER
from phenom_jax.training.loop import Outcome
from phenom_jax.training.progress import Terminal
from phenom_jax.training.stop import Stop, leaving_at_once
from phenom_jax.training.sweep import prepare, train_sweep

BAD_INPUT = 2
SOME_FAILED = 1
UNWRITTEN = 74  # EX_IOERR: the disk refused something to the end
INTERRUPTED = 75  # EX_TEMPFAIL: the same command goes on
STOPPED = 130  # by a second Ctrl-C
FILE_WIDTH = 120  # of what is printed into a file
MOST_CHECKED = 3e8  # FLOP of a step, of which eight are made to see whether padding changes a run


def main(experiment: Experiment) -> None:
    """Does what the command line asks for and exits.

    With 0 when done, 1 when some runs failed, 2 on bad input, 74 when the disk refused, 75 when stopped by a signal.
    """
    typed = shlex.join(sys.orig_argv)
    with leaving_at_once(INTERRUPTED, f"all is kept; to resume: {typed}"):
        code = launch(experiment, sys.argv[1:], typed)
    sys.exit(code)


def launch(experiment: Experiment, arguments: Sequence[str], typed: str) -> int:
    """Returns the exit code of a command line.

    Args:
      experiment: what to train.
      arguments: without the program.
      typed: the whole command, to be recorded and shown.
    """
    if {"--help", "-help", "-h", "--helpfull"} & set(arguments):
        with contextlib.suppress(BrokenPipeError):  # of `--help | head`
            print(help_text(experiment), flush=True)
        return 0
    try:
        command = parse(experiment, arguments)
        if command.first:
            code = launch(*command.first, typed)
            if command.plan and not code:
                print(f"{experiment.name} starts from what this keeps, and is planned when it is trained")
            if code or command.plan or command.debug:
                return code
            command = parse(experiment, arguments, trained=True)
        nothing = leaving_at_once(STOPPED, "nothing was trained or written")
        with nothing if command.plan or command.debug else contextlib.nullcontext():
            return _do(command.experiment, command, typed)
    except InvalidValue as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"stopped at once; to resume from the last checkpoint: {typed}", file=sys.stderr)
        return STOPPED


def _do(experiment: Experiment, command: Command, typed: str) -> int:
    start_jax(command.settings, command.compilation_cache)
    if command.group:
        processes.join(command.group)
    if command.debug:
        debug(experiment, command.sweep, command.settings.schedule)
        return 0
    for name in ("jax_debug_nans", "jax_debug_infs", "jax_disable_jit"):
        if jax.config.values[name]:
            raise InvalidValue(f"{name.upper()}: is set, which no sweep can be trained with, allowed is --debug")
    if command.plan and command.forecast:
        return _foresee(experiment, command, *command.forecast)
    if command.cluster and not command.plan:
        return _submit(experiment, command, command.cluster, typed)
    return _run(experiment, command, typed)


def _run(experiment: Experiment, command: Command, typed: str) -> int:
    part = command.part
    work = prepare(experiment, command.sweep, command.settings, command.out, part)
    console = _console()
    lanes = []
    if command.plan or command.settings.lanes:  # the probe is kept, training does not repeat it
        lanes = [choose(work, program) for program in work.plan.programs]
    whole = make_config(experiment, typed, command.sweep, command.settings, describe(work.sweep_plan))
    out, config = command.out, whole
    if part:
        out = command.out / part.place
        config = dataclasses.replace(whole, plan=describe(work.plan), part=part.name)
    if command.plan:
        show_plan(work.plan, lanes, work.devices, console)
        show_ends(work, console)
        processes.on_first(lambda: _say_what_is_there(command, whole, out, config, work))
        processes.on_first(lambda: _warn_of_padding(work))
        return 0
    if part:
        processes.on_first(lambda: share_out(command.out, whole, part.split))
    ours = processes.on_first(lambda: RunDirectory(out, config))
    with ours or RunDirectory(out, config, writes=False) as directory:
        show_plan(work.plan, lanes, work.devices, console)
        show_ends(work, console)
        outcome = train_sweep(work, directory, console)
        if outcome.interrupted or outcome.unwritten:
            _say_how_it_stopped(outcome, typed)
            return UNWRITTEN if outcome.unwritten else SOME_FAILED if outcome.failure else INTERRUPTED
        with leaving_at_once(INTERRUPTED, f"all is kept; to resume: {_without_rerun(typed)}"):
            processes.on_first(lambda: _show(experiment, command, directory, console))
    return SOME_FAILED if outcome.counts.keys() & {"failed", "waiting", "running"} else 0


def _warn_of_padding(work: Work) -> None:
    """Says which size changes a run where it is padded, within about three seconds: most often it lacks a mask."""
    program, begin = min(work.plan.programs, key=lambda program: program.step_flops), time.monotonic()
    for problem in padding_problems(work.experiment, program.runs[0]):
        if problem:
            print(f"WARNING: {problem}")
        if problem or time.monotonic() - begin > 1 or program.step_flops > MOST_CHECKED:
            return


def _say_what_is_there(command: Command, whole: Config, out: Path, config: Config, work: Work) -> None:
    """Says how much of a plan is done already, nothing where nothing is there.

    Raises:
      InvalidValue: the directory disagrees.
    """
    if command.part:
        share_out(command.out, whole, command.part.split, writes=False)
    if agrees(out, config):
        store = out.expanduser() / STORE
        statuses = read_statuses(store) if store.exists() else {}
        over = {run.id for run in work.runs if statuses.get(run.id) in OVER}
        longer = len(work.starts.keys() - over)
        from_ends = f"; {longer} runs go on from the ends of shorter ones" if longer else ""
        print(f"{len(over)} of {work.plan.runs} runs are done in {out}, where training goes on{from_ends}")


def _foresee(experiment: Experiment, command: Command, name: str, count: int) -> int:
    """Prints what the sweep would take on other devices than those at hand."""
    accelerator, console = named_accelerator(name), _console()
    there = dataclasses.replace(all_devices(AXIS), platform=accelerator.platform, kind=name, count=count)
    work = make_work(experiment, command.sweep.runs(), command.settings, there, command.part)
    check_asked(work)
    show_plan(work.plan, [], there, console)
    show_forecast(forecast(work, accelerator, count), name, count, console)
    return 0


def _submit(experiment: Experiment, command: Command, cluster: Cluster, typed: str) -> int:
    """Trains the sweep in parts, as jobs."""
    out = command.out.expanduser().absolute()
    work = make_work(experiment, command.sweep.runs(), command.settings, all_devices(AXIS))
    check_asked(work)
    parts = shared_out(work.plan, cluster.jobs)
    config = make_config(experiment, typed, command.sweep, command.settings, describe(work.plan))
    share_out(out, config, " ".join(dict.fromkeys(part.split for part in parts)))
    line = shlex.split(typed)
    if cluster.where == "slurm":
        for part, handle in submit(cluster, line, out, parts, experiment.name):
            print(f"job {handle.job_id}: {part.name}, its log will be {handle.paths.stdout}")
        print(f"to look at what there is: python -m launch.report {out}")
        return 0

    def say(text: str) -> None:
        print(text, flush=True)

    def done() -> str:
        counts = count_statuses(out)
        return f"{sum(counts[status] for status in OVER)} of {work.plan.runs} runs done"

    with Stop() as stop:
        failed = run_here(cluster, line, out, parts, experiment.name, stop, say, done)
        if stop.requested:
            print(f"stopped by {stop.requested}, all is kept; to resume: {typed}")
            return INTERRUPTED
    if command.report:
        from phenom_jax.report.report import write_report

        print(f"report: {write_report(out, experiment).path}")
    return SOME_FAILED if failed else 0


def _console() -> Console:
    """Returns where to print: nowhere but on the first process."""
    width = None if sys.stdout.isatty() else FILE_WIDTH
    return Terminal(width=width, quiet=not processes.first())


def _say_how_it_stopped(outcome: Outcome, typed: str) -> None:
    if not processes.first():
        return
    how = f"stopped by {outcome.interrupted}" if outcome.interrupted else "ended"
    kept = f"the disk refused to the end: {outcome.unwritten}" if outcome.unwritten else "all is kept"
    print(f"{how}, {kept}; to resume: {_without_rerun(typed)}")


def _without_rerun(typed: str) -> str:
    """Returns the command that goes on where this one stopped: what it was to run again has been set back already."""
    return shlex.join(without(shlex.split(typed), "rerun"))


def _show(experiment: Experiment, command: Command, directory: RunDirectory, console: Console) -> None:
    """Writes what there is to look at, prints the summary and the claims, and where the report is."""
    # these load matplotlib and tensorboardX, which training need not wait for
    from phenom_jax.report.report import write_report
    from phenom_jax.report.tensorboard import write_tensorboard

    report = write_report(command.out.expanduser().absolute(), experiment) if command.report else None
    if report and not command.part:
        results, findings = report.results, report.findings
    else:
        results = experiment.summarise(open_results(directory.path / STORE))
        findings = decide_all(experiment.claims, results)
        write_runs(directory.path / "runs.csv", results)
    save_derived(directory.path / STORE, results)
    if command.tensorboard:
        write_tensorboard(directory.path / "tensorboard", results, command.tensorboard_runs)
    show(results, findings, console)
    show_expected(results, command.expects, console)
    if report:
        print(f"report: {report.path}")
