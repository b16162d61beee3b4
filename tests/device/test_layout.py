"""Choosing lanes: the climb over group sizes, memory, and what the settings fix."""

from __future__ import annotations

import pytest
from toy import some_devices, toy

from phenom_jax.device import layout as layouts
from phenom_jax.device.layout import Lanes, Probe, choose
from phenom_jax.device.work import make_work
from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.settings import Settings


def chosen(monkeypatch, tick_seconds, runs=4096, devices=2, **settings) -> Lanes:
    """Returns the layout chosen where one tick of a group of n lanes takes `tick_seconds(n)`."""
    monkeypatch.setattr(layouts._Choice, "_probe", lambda self, lanes: Probe(lanes, tick_seconds(lanes), 1000))
    monkeypatch.setattr(layouts, "_memory_file", lambda: None)
    sweep = parse_sweep(toy.hparams, {"seed": f"0:{runs}", "steps": "1000000"})
    work = make_work(toy, sweep.runs(), Settings(schedule=toy.schedule, **settings), some_devices(devices))
    return choose(work, work.plan.programs[0])


def test_a_step_that_fills_the_device_runs_one_lane_at_a_time(monkeypatch):
    assert chosen(monkeypatch, lambda n: 1e-2 * n**1.1).layout.lanes == 1


def test_a_step_that_is_all_dispatch_takes_the_widest_group(monkeypatch):
    assert chosen(monkeypatch, lambda n: 1e-2, runs=4096).layout.lanes == 2048


def test_the_climb_stops_at_the_fastest_group(monkeypatch):
    best = chosen(monkeypatch, lambda n: 1e-3 if n <= 16 else 1e-3 * (n / 16) ** 1.5)
    assert best.layout.lanes == 16


def test_a_group_that_leaves_slots_empty_pays_for_them(monkeypatch):
    costs = {1: 1.0, 4: 3.9, 5: 4.0}
    assert chosen(monkeypatch, lambda n: costs.get(n, n), runs=10).layout.lanes == 5


def test_lanes_shrink_until_they_fit(monkeypatch):
    monkeypatch.setattr(layouts, "memory_budget", lambda devices: 200_000)
    lanes = chosen(monkeypatch, lambda n: 1e-2)
    assert lanes.bytes_per_device <= 200_000


def test_a_run_that_does_not_fit_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(layouts, "memory_budget", lambda devices: 100)
    with pytest.raises(InvalidValue, match="one run takes"):
        chosen(monkeypatch, lambda n: 1e-2)


def test_lanes_that_do_not_divide_are_refused(monkeypatch):
    with pytest.raises(InvalidValue, match="lanes: 9 is not a multiple of 2 devices x groups of 4"):
        chosen(monkeypatch, lambda n: 1e-2, lanes=9, group=4)


def test_one_device_never_has_fewer_than_two_lanes(monkeypatch):
    assert chosen(monkeypatch, lambda n: 1e-2 * n**2, devices=1).layout.total >= 2


def test_a_probe_is_remembered(tmp_path, monkeypatch):
    probed = []
    sweep = parse_sweep(toy.hparams, {"seed": "0:64"})
    work = make_work(toy, sweep.runs(), Settings(schedule=toy.schedule), some_devices(2))
    monkeypatch.setattr(layouts, "_memory_file", lambda: tmp_path / "new" / "layouts.json")
    monkeypatch.setattr(layouts._Choice, "_probe", lambda self, lanes: probed.append(lanes) or Probe(lanes, 1e-3, 0))
    first = choose(work, work.plan.programs[0])
    assert probed
    probed.clear()
    assert choose(work, work.plan.programs[0]) == first and not probed


def test_the_real_probe_times_the_programs_program(monkeypatch):
    monkeypatch.setattr(layouts, "_memory_file", lambda: None)
    monkeypatch.setattr(layouts, "PROBE_SECONDS", 0.01)
    sweep = parse_sweep(toy.hparams, {"seed": "0:16"})
    work = make_work(toy, sweep.runs(), Settings(schedule=toy.schedule), some_devices(2))
    lanes = choose(work, work.plan.programs[0])
    assert lanes.layout.devices == 2 and lanes.run_steps_per_second > 0 and lanes.ticks >= 1
