"""What a sweep would take elsewhere: sizes as compiled, refusals, and work that does not depend on this machine."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
import toy
from toy import some_devices

from phenom_jax.cli.flags import parse
from phenom_jax.device.forecast import ACCELERATORS, forecast, named_accelerator, temporary_bytes, totals
from phenom_jax.device.layout import Layout
from phenom_jax.device.program import CompiledProgram, lane_shapes
from phenom_jax.device.work import make_work
from phenom_jax.hparams import InvalidValue, stack_hps
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow


def work_of(**flags: str):
    runs = parse_sweep(toy.Toy, flags).runs()
    there = dataclasses.replace(some_devices(1), platform="gpu")
    return make_work(toy.toy, runs, Settings(schedule=toy.toy.schedule), there)


def test_temporaries_of_a_larger_program_are_foretold_by_two_small_ones():
    work = work_of(seed="0:100", width="64")
    (program,) = work.plan.programs
    fixed, each = temporary_bytes(work, program)
    compiled = CompiledProgram(work.experiment, program.template, Layout(1, 1, 64), work.grid, some_devices(1).mesh)
    compiled.chunk(compiled.admit(compiled.empty(), stack_hps([program.template] * 64), np.zeros(64, bool)), 1)
    assert fixed + 64 * each == pytest.approx(compiled.memory().temp_size_in_bytes, rel=0.1)


def test_lanes_fill_the_memory_or_hold_all_runs():
    work = work_of(seed="0:100000")
    h100 = ACCELERATORS["h100"]
    (few,), (all_of_them,) = forecast(work, h100._replace(gibibytes=0.01), 1), forecast(work, h100, 8)
    assert 0 < few.lanes < 100000
    assert few.lanes * (few.lane_bytes + few.temporary_bytes) < 0.01 * 2**30
    assert all_of_them.lanes == 100000 // 8
    shapes = lane_shapes(work.experiment, work.plan.programs[0].template, work.grid)
    assert few.lane_bytes == sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    assert all_of_them.checkpoint_bytes == 2 * 100000 * few.lane_bytes
    assert totals([few])[0] == few.device_hours > 0


def test_twice_the_runs_take_twice_the_hours():
    one, two = (forecast(work_of(seed=f"0:{n}"), ACCELERATORS["l4"], 1)[0].device_hours for n in (50, 100))
    assert two == pytest.approx(2 * one)


def test_a_run_that_fits_nowhere_is_refused():
    with pytest.raises(InvalidValue, match="accelerator: one run of program .* takes more than"):
        forecast(work_of(), ACCELERATORS["l4"]._replace(gibibytes=1e-7), 1)


def test_unknown_names_and_idle_flags_are_refused():
    with pytest.raises(InvalidValue, match=r"accelerator: 'h10' is not one of .*, did you mean h100\?"):
        named_accelerator("h10")
    with pytest.raises(InvalidValue, match="accelerator: has no effect without --plan"):
        parse(toy.toy, ["--accelerator=h100"])
    with pytest.raises(InvalidValue, match="accelerators: has no effect without --accelerator"):
        parse(toy.toy, ["--plan", "--accelerators=8"])


def test_looks_count():
    def hours(**schedule):
        work = work_of(seed="0:4")
        seldom = dataclasses.replace(
            work.experiment, schedule=dataclasses.replace(work.experiment.schedule, **schedule)
        )
        return forecast(work._replace(experiment=seldom), ACCELERATORS["l4"], 1)[0].device_hours

    assert (
        hours(points=1, expensive_points=0)
        < hours(points=60, expensive_points=0)
        < hours(points=60, expensive_points=60)
    )
