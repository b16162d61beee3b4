"""What a training says of itself while it goes."""

import dataclasses
import io

import pytest
import toy
from rich.console import Console

from phenom_jax.device.work import make_work
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.progress import Progress
from phenom_jax.training.remaining import Remaining


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def make(total_runs=10, terminal=False):
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=40, legacy_windows=False, _environ={})
    return Progress(total_runs, console, clock=clock), clock, out


def test_a_file_gets_plain_lines_ten_seconds_apart_and_the_last_state():
    progress, clock, out = make()
    with progress:
        for second in range(0, 25):
            clock.seconds = float(second)
            progress.update(second // 3, 4, 6 - second // 6, 1, 10 * second, (100, 200))
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "3", "6", "8"]
    assert lines[-1] == "8 of 10 runs done, 4 live, 2 waiting, 1 diverged, 10 run-steps/s, 0:10 to 0:20 left"
    assert "\x1b" not in out.getvalue()


def test_the_rate_is_that_of_the_last_half_minute():
    progress, clock, _ = make()
    for second in range(0, 200, 5):
        clock.seconds = float(second)
        progress.update(0, 4, 0, 0, second if second < 100 else 100 + 50 * (second - 100), (0, 0))
    assert "50 run-steps/s" in progress.text


def test_steps_of_earlier_starts_do_not_count_as_speed():
    progress, clock, _ = make()
    progress.update(1, 4, 5, 0, 1000, (None, 1000))
    assert "run-steps/s" not in progress.text
    clock.seconds = 10.0
    progress.update(1, 4, 5, 0, 1100, (None, 900))
    assert "10 run-steps/s, at most 1:30 left" in progress.text


def test_several_programs_are_counted():
    progress, _, _ = make()
    progress.update(5, 4, 1, 0, 1000, (0, 0), program=(2, 3))
    assert progress.text.endswith("program 2 of 3")


def test_notes_are_printed_as_they_are():
    progress, _, out = make()
    with progress:
        progress.note("[bold]a note longer than the forty columns that this console has[/bold]")
    assert out.getvalue() == "[bold]a note longer than the forty columns that this console has[/bold]\n"


def test_a_terminal_ends_with_the_last_state():
    progress, clock, out = make(terminal=True)
    with progress:
        progress.update(1, 4, 5, 0, 10, (90, 90))
        clock.seconds = 1.0
        progress.update(10, 0, 0, 0, 1000, (0, 0))
    assert out.getvalue().endswith("run-steps/s, 0:00 left\n")


def test_what_is_compiled_between_programs_is_no_pace():
    """A job of 137 s said that 1:22:50 were left: the rate was over the compilation of its second program."""
    progress, clock, _ = make()
    progress.update(0, 4, 6, 0, 0, (2000, 2000), (1, 2))
    clock.seconds = 10.0
    progress.update(0, 4, 6, 0, 1000, (1000, 1000), (1, 2))
    clock.seconds = 35.0
    progress.update(5, 4, 1, 0, 1001, (999, 999), (2, 2))
    assert "left" not in progress.text
    clock.seconds = 36.0
    progress.update(5, 4, 1, 0, 1101, (899, 899), (2, 2))
    assert "100 run-steps/s, 0:09 left" in progress.text


def test_what_is_left_counts_later_programs_by_what_their_steps_cost():
    runs = parse_sweep(toy.Toy, {"seed": "0:4", "steps": "100", "layers": "1,2"}).runs()
    work = make_work(toy.toy, runs, Settings(schedule=toy.toy.schedule), toy.some_devices(1))
    first, second = work.plan.programs
    dearer = dataclasses.replace(second, flops=3 * first.flops)
    work = work._replace(plan=dataclasses.replace(work.plan, programs=(first, dearer)))
    left = Remaining(work, first, {first.runs[0].id, dearer.runs[0].id}.__contains__)
    assert left.run_steps(50) == (pytest.approx(250 + 3 * 300), pytest.approx(250 + 3 * 300))
    early = work._replace(experiment=dataclasses.replace(work.experiment, done=lambda metrics: metrics.error < 0))
    left = Remaining(early, first, lambda run_id: False)
    assert left.run_steps(0) == (None, pytest.approx(400 + 3 * 400))
    left.end([first.runs[0].id, first.runs[1].id], [20, 40])  # 30 % of their steps
    assert left.run_steps(10) == (pytest.approx(0.3 * 200 - 10 + 0.3 * 3 * 400), pytest.approx(190 + 3 * 400))
