"""Chains around what a sweep has kept: the command, what it samples around, what it refuses, lanes and padding."""

import dataclasses
import importlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import StopAfter, assert_same_results, results_of, train_in

from experiments.deep_linear import experiment as deep_linear
from experiments.llc import experiment as llc
from experiments.llc import science
from experiments.llc.presets import PRESETS
from experiments.llc.science import LLC
from phenom_jax.claims.lift import decide_all
from phenom_jax.cli import main as main_module
from phenom_jax.cli.main import launch
from phenom_jax.device import layout
from phenom_jax.device.program import step_key
from phenom_jax.experiment import Schedule, SourceSweep
from phenom_jax.hparams import build
from phenom_jax.store.config import experiment_of
from phenom_jax.store.dataset import open_results
from phenom_jax.store.source import SourceRuns
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow

QUICK = ("--steps=40", "--burn_in=0.2", "--lanes=8", "--group=1", "--noreport", "--notensorboard")
SMALL: dict[str, Any] = {"seed": "0", "width": "2,3", "steps": "40", "deviation": "0.5"}
SCHEDULE = {"resolution": "20", "points": "3", "kept_points": "2"}
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0}
SMALL_SOURCE = SourceSweep("experiments.deep_linear", SMALL | SCHEDULE)
SMALL_PRESETS = {
    name: dataclasses.replace(preset, source=preset.source and SMALL_SOURCE) for name, preset in PRESETS.items()
}


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs the launcher in this process, on small sources, and returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main_module, "start_jax", lambda *_: None)
    small = dataclasses.replace(llc, presets=SMALL_PRESETS)

    def run(*arguments):
        given = {word.partition("=")[0] for word in arguments}
        quick = [word for word in QUICK if word.partition("=")[0] not in given]
        code = launch(small, [*quick, *arguments], "python -m launch.llc " + " ".join(arguments))
        return code, capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A directory with a network of width 2 and one of width 3 in one program, each kept twice."""
    path = tmp_path_factory.mktemp("source")
    schedule = Schedule(**{name: int(text) for name, text in SCHEDULE.items()})
    settings = Settings(schedule=schedule, lanes=8, group=1)  # the program that the launcher makes of it
    train_in(path, dataclasses.replace(deep_linear, schedule=schedule), settings=settings, devices=8, **SMALL)
    return path


def test_a_source_is_trained_then_sampled_and_a_report_needs_only_the_chains(command, tmp_path):
    arguments = ("--preset=deep_linear", "--out=made")
    assert command(*arguments, "--seed=0:2")[0] == 0
    first = open_results(tmp_path / "made" / "llc" / "results.zarr")
    pairs = list(zip(first["source"].values.tolist(), first["checkpoint"].values.tolist()))
    assert sorted(pairs) == [(place, kept) for place in range(2) for kept in range(2) for _ in range(2)]
    assert set(first["status"].values.tolist()) == {"finished"}
    trained, last = open_results(tmp_path / "made" / "results.zarr"), first.isel(step=-1)
    for row, (place, kept) in enumerate(pairs):
        loss = trained["train_loss"].isel(run=place).sel(step=(0, 40)[kept])
        assert last["source_step"][row] == (0, 40)[kept]
        np.testing.assert_allclose(last["source_train_loss"][row], loss, rtol=1e-6)
        assert last["anchor_loss"][row] == 0  # of behaviour
        assert last["weight_count"][row] == {2: 16, 3: 27}[int(trained["width"][place])]
    assert np.isfinite(last["llc"]).all() and (last["batch_counts"].sum("stretch") == 32).all()

    assert command(*arguments, "--seed=0:3")[0] == 0
    more = open_results(tmp_path / "made" / "llc" / "results.zarr").set_xindex("run_id")
    assert more.sizes["run"] == 12
    np.testing.assert_array_equal(more["llc"].sel(run_id=first["run_id"].values), first["llc"])

    (tmp_path / "made" / "llc").rename(tmp_path / "chains")
    shutil.rmtree(tmp_path / "made")
    found = experiment_of(tmp_path / "chains")
    results = found.summarise(open_results(tmp_path / "chains" / "results.zarr"))
    assert results["source_step"].dims == ("run",) and np.isfinite(results["split_r_hat"]).all()
    assert {finding.verdict for finding in decide_all(found.claims, results, strict=True)} <= {
        "fails",
        "undecided",
        "not tested",
    }


def test_the_seeds_of_a_source_are_named_where_it_is_trained_and_are_the_units(command, tmp_path):
    assert command("--preset=mala", "--source_seeds=20:22", "--seed=0:2", "--out=made")[0] == 0
    chains = open_results(tmp_path / "made" / "llc" / "results.zarr")
    assert sorted(chains["source_seed"].values.tolist()) == [20] * 4 + [21] * 4  # two widths, two chains
    trained = open_results(tmp_path / "made" / "results.zarr")
    assert set(trained["seed"].values.tolist()) == {20, 21}
    assert set(chains["checkpoint"].values.tolist()) == {1} and set(chains["sampler"].values.tolist()) == {"mala"}
    np.testing.assert_array_equal(chains["source_seed"], trained["seed"].values[chains["source"]])


def test_other_flags_are_those_of_every_launcher(command, source, capsys, tmp_path):
    code, printed = command(f"--run={source}", "--plan=true", "--lanes", "16", "--seed", "0:3")
    assert code == 0 and "12 runs in 1 program" in printed.out.replace("programs", "program")
    assert not (source / "llc").exists()
    code, printed = command("--preset=deep_linear", "--plan", "--out=made")
    assert code == 0 and not (tmp_path / "made").exists()
    assert printed.out.endswith("llc starts from what this keeps, and is planned when it is trained\n")
    code, printed = command("--help")
    assert code == 0 and "--run=" in printed.out and "--checkpoint=" in printed.out
    assert not [name for name in ("anchor", "network", "source_seed") if f"--{name}=" in printed.out]


def test_presets_that_train_a_source_hold_all_that_decides_there():
    """So that the fingerprint of a claim is that of the preset by its name."""
    for preset in ("deep_linear", "mala", "grokking"):
        source = PRESETS[preset].source
        assert source
        made = importlib.import_module(source.module).experiment
        assert PRESETS[made.name].flags.items() - PRESETS[preset].flags.items() == set()


OPTIONS = [{"sampler": "rmsprop_sgld", "batch": 2}, {"sampler": "mala", "loss": "behaviour"}]


def chain(hp, steps=20):
    """Returns the draws and the end of one chain, alone."""

    def move(state, count):
        return science.step(state, hp, step_key(hp, count))

    state, metrics = jax.lax.scan(move, science.init(hp), jnp.arange(steps))
    return metrics, science.measure(state, hp), science.ending(state, hp)


@pytest.mark.parametrize("options", OPTIONS)
def test_padding_does_not_change_a_chain(source, options):
    """Around weights of width 2 that share a program with width 3, and alone."""
    values = {"source": 0, "checkpoint": 1, "steps": 20, "burn_in": 0.25, **options}
    with jax.enable_x64(True):
        start = SourceRuns(source).start(values)
        assert start.hp.width.active == 2 and start.kept.weights[0].shape == (3, 3)
        leaves, structure = jax.tree.flatten(start.kept)
        alone = dataclasses.replace(
            start,
            hp=dataclasses.replace(start.hp, width=2),
            kept=structure.unflatten(leaf[tuple(map(slice, shape))] for leaf, shape in zip(leaves, start.shapes)),
        )
        both = [build(LLC, values, each) for each in (start, alone)]
        one, other = jax.jit(lambda: [chain(hp) for hp in both], compiler_options=QUICK_TO_COMPILE)()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10), one, other)
        assert one[2].weight_count == 16


@pytest.mark.parametrize("options", OPTIONS)
def test_a_chain_in_lanes_is_the_chain_alone(source, tmp_path, float64, options):
    found = SourceRuns(source)
    (anchor,) = found.anchors([(0, 0)])
    flags: dict[str, Any] = {"network": anchor.network} | {name: str(value) for name, value in options.items()}
    train_in(tmp_path, found.bind(llc), seed="0:3", source="0,1", checkpoint="0,1", steps="20", **flags)
    results = results_of(tmp_path)
    assert results.sizes["run"] == 12
    for row in (0, 5, 11):
        run = results.isel(run=row)
        values = {name: int(run[name]) for name in ("seed", "source", "checkpoint", "steps")} | options
        draws, measured, ending = jax.jit(chain)(build(LLC, values, found.start(values)))
        np.testing.assert_allclose(run["draw_loss"].sel(step=20), draws.draw_loss[-1], rtol=1e-9)
        for name, value in (measured._asdict() | ending._asdict()).items():
            np.testing.assert_allclose(run[name].sel(step=20), value, rtol=1e-7, atol=1e-10, err_msg=name)


def test_killed_chains_are_resumed_bit_for_bit(source, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.001)
    found = SourceRuns(source)
    network = found.anchors([(0, 0)])[0].network
    flags: dict[str, Any] = {"seed": "0:2", "source": "0,1", "checkpoint": "1", "steps": "2000", "network": network}
    train_in(tmp_path / "whole", found.bind(llc), **flags)
    assert train_in(tmp_path / "killed", found.bind(llc), StopAfter(2), **flags).interrupted
    assert "finished" not in results_of(tmp_path / "killed")["status"].values
    train_in(tmp_path / "killed", SourceRuns(source).bind(llc), **flags)
    assert_same_results(results_of(tmp_path / "whole"), results_of(tmp_path / "killed"))


NONE = "run: none is given, allowed is the --out of a sweep, or a preset that trains one: debug, deep_linear, mala, gr"


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((), NONE),
        (("--preset=calibration",), NONE),
        (("--run=nowhere",), "run: nowhere is no run directory"),
        (("--run=SOURCE", "--source=2"), "source: 2 is not one of the runs with kept states: 0 to 1"),
        (("--run=SOURCE", "--checkpoint=2"), "checkpoint: 2 is not one of the 2 kept states: 0 to 1, -1 the last"),
        (("--run=SOURCE", "--step_size=0"), "step_size: 0.0 is not above 0"),
        (("--run=SOURCE", "--n_beta=-1"), "n_beta: -1.0 is not at least 0"),
        (("--preset=deep_linear", "--step_size=-1"), "step_size: -1.0 is not above 0"),
        (("--run=SOURCE", "--burn_in=1"), "burn_in: 1.0 is not at least 0 and below 1"),
        (("--run=SOURCE", "--batch=4"), "batch: 4 is more than the 3 train examples of a source run"),
        (("--run=SOURCE", "--batch=2", "--sampler=mala"), "batch: 2 with sampler=mala, which needs one loss"),
        (("--run=SOURCE", "--network=other"), "--network: no such flag"),
        (("--run=SOURCE", "--source_seed=1"), "--source_seed: no such flag"),
        (("--run=SOURCE", "--source_seeds=1"), "source_seeds: 1 with --run, whose seeds are trained already"),
        (("--preset=deep_linear", "--source_seeds=x"), "seed: 'x' is not an integer"),
        (("--preset=deep_linear", "--shard=0/2"), "shard: with a source that is trained first, allowed is --run=DIR"),
        (("--run=SOURCE", "--preset=other"), "preset: 'other' is not one of"),
        (("--run=SOURCE", "--zip=source,checkpoint"), "source is zipped twice, allowed is once"),
    ],
)
def test_bad_input_is_one_line(command, source, arguments, said):
    code, printed = command(*(word.replace("SOURCE", str(source)) for word in arguments))
    assert code == 2 and said in printed.err
    assert printed.err.count("\n") == 1 and not printed.out


def test_a_source_without_a_loss_is_refused(command, tmp_path):
    train_in(tmp_path / "toys", seed="0:2")
    code, printed = command("--run=toys")
    assert code == 2 and printed.err == "run: a sweep of Toy, which has no loss function for LLC\n"
