"""The planner: its partition against every other one, its waste, its ids."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import Toy, toy

from phenom_jax.sweep.axes import Run, parse_sweep
from phenom_jax.sweep.plan import MACHINES, Plan, _partition, describe, make_plan

pytestmark = pytest.mark.slow


def plan_of(**flags: str) -> Plan:
    return make_plan(toy, parse_sweep(Toy, flags).runs(), "cpu", 1)


def seconds_of(groups: list[list[Run]]) -> float:
    """Returns the nominal seconds of training each group in a program padded to its widest run."""
    total = 0.0
    for group in groups:
        widest = max(group, key=lambda run: run.values["width"])
        longest = {run.values["steps"] for run in group}
        for steps in longest:
            count = sum(run.values["steps"] == steps for run in group)
            alone = make_plan(toy, [Run({**widest.values, "steps": steps})], "cpu", 1)
            total += count * alone.flops / MACHINES["cpu"].flops_per_second
        total += MACHINES["cpu"].compile_seconds
    return total


def partitions(items: list) -> list[list[list]]:
    if not items:
        return [[]]
    first, rest = items[0], items[1:]
    found = []
    for smaller in partitions(rest):
        found.append([[first], *smaller])
        found += [[*smaller[:i], [first, *group], *smaller[i + 1 :]] for i, group in enumerate(smaller)]
    return found


@settings(max_examples=5)
@given(
    widths=st.lists(st.sampled_from([1, 8, 64, 512, 1024]), min_size=1, max_size=4, unique=True),
    steps=st.sampled_from([1_000, 100_000, 3_000_000]),
)
def test_no_partition_of_widths_is_faster(widths, steps):
    runs = parse_sweep(Toy, {"width": ",".join(map(str, widths)), "steps": str(steps)}).runs()
    plan = make_plan(toy, runs, "cpu", 1)
    assert plan.seconds == pytest.approx(min(seconds_of(groups) for groups in partitions(runs)), rel=1e-9)


@settings(max_examples=6)
@given(
    widths=st.lists(st.integers(1, 300), min_size=1, max_size=30, unique=True),
    layers=st.lists(st.integers(1, 3), min_size=1, max_size=2, unique=True),
)
def test_every_run_is_in_one_program_and_fits_its_bounds(widths, layers):
    flags = {"width": ",".join(map(str, widths)), "layers": ",".join(map(str, layers)), "steps": "500000"}
    runs = parse_sweep(Toy, flags).runs()
    plan = make_plan(toy, runs, "cpu", 2)
    assert sorted(run.id for program in plan.programs for run in program.runs) == sorted(run.id for run in runs)
    for program in plan.programs:
        assert {run.values["layers"] for run in program.runs} == {program.statics["layers"]}
        assert max(int(run.values["width"]) for run in program.runs) <= program.padded["width"]
        assert program.hp(program.runs[0]).width.padded == program.padded["width"]
        assert program.useful_flops <= program.flops
    assert 0 <= plan.waste < 1


def test_short_runs_share_a_program_and_long_ones_do_not():
    assert len(plan_of(width="8,512", steps="100").programs) == 1
    assert len(plan_of(width="8,512", steps="10000000").programs) == 2


def test_waste_is_the_share_of_padded_work():
    plan = plan_of(width="8,512", steps="100")
    alone = [plan_of(width=width, steps="100").flops for width in ("8", "512")]
    assert plan.waste == pytest.approx(1 - sum(alone) / (2 * alone[1]))


def test_a_program_has_the_same_id_in_any_sweep_with_the_same_program():
    few, many = plan_of(seed="0:2", width="64"), plan_of(seed="0:9", width="64", learning_rate="0.1,0.2")
    assert few.programs[0].id == many.programs[0].id != plan_of(width="65").programs[0].id


def test_intervals_with_equal_bounds_are_one_program():
    """Widths x batch sizes: (10, 8) with (100, 2), and later (100, 8) alone, both come to (100, 8)."""
    step = {(10, 8): 8, (100, 2): 9, (10, 32): 9.5, (100, 8): 10, (100, 32): 1000}
    runs = [Run({"seed": number, "steps": 1}) for number in range(4)]
    own = dict(zip([run.id for run in runs], step))
    costs: Any = SimpleNamespace(
        step=step.__getitem__,
        run=lambda sizes, steps: steps * step[sizes],
        experiment=SimpleNamespace(steps=lambda values: values["steps"]),
    )
    groups = _partition(runs, own, costs, 1.0, 5.0)
    assert [(padded, [run.values["seed"] for run in chosen]) for chosen, padded in groups] == [
        ((100, 8), [0, 1, 3]),
        ((10, 32), [2]),
    ]


def test_the_description_adds_up():
    described = describe(plan_of(seed="0:3", width="8,512", steps="10000000"))
    assert described["runs"] == sum(program["runs"] for program in described["programs"]) == 6
    assert described["run_steps"] == 6 * 10_000_000
    assert described["flops"] == pytest.approx(sum(program["flops"] for program in described["programs"]))


def test_partitions_enumerates_all():
    assert [len(partitions(list(range(n)))) for n in range(5)] == [1, 1, 2, 5, 15]
    assert all(sorted(itertools.chain(*groups)) == [0, 1, 2] for groups in partitions([0, 1, 2]))
