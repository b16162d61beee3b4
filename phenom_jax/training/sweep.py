"""The training of a sweep on the devices at hand: what the command line and the Python door share."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from phenom_jax.device import processes
from phenom_jax.device.devices import all_devices
from phenom_jax.device.layout import check_asked, check_fits
from phenom_jax.device.program import AXIS
from phenom_jax.device.work import Work, make_work
from phenom_jax.experiment import Experiment
from phenom_jax.store.directory import RunDirectory
from phenom_jax.store.ends import earlier_in
from phenom_jax.sweep.axes import Sweep
from phenom_jax.sweep.longer import Earlier
from phenom_jax.sweep.parts import Part
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.loop import Outcome, train
from phenom_jax.training.progress import Progress
from phenom_jax.training.stop import Stop


def prepare(experiment: Experiment, sweep: Sweep, settings: Settings, out: Path, part: Part | None = None) -> Work:
    """Returns the sweep, or a part of it, ready to train on every device; longer runs from the ends kept in `out`.

    Raises:
      InvalidValue: see `make_work`; or lanes that were asked for cannot be laid out, or do not fit.
    """
    earlier = Earlier() if part else earlier_in(out, experiment)
    work = make_work(experiment, sweep.runs(), settings, all_devices(AXIS), part, earlier)
    check_asked(work)
    for program in work.plan.programs:
        check_fits(work, program)
    return work


def train_sweep(work: Work, directory: RunDirectory, console: Console) -> Outcome:
    """Trains until every run is over or a signal asks to stop; how far it is, is printed.

    Raises:
      InvalidValue: the results in the directory are damaged beyond repair.
      KeyboardInterrupt: a second Ctrl-C.
    """
    with Stop() as stop, Progress(work.plan.runs, console) as progress:
        outcome = train(work, directory, progress, stop)
    if processes.anywhere(stop.requested is not None):  # after the last look as well
        stop.request("a signal to another process")
    return outcome._replace(interrupted=stop.requested, failure=stop.failure)
