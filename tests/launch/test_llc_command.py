"""The launcher of chains: what it samples around, what it refuses, and that nothing is sampled twice."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
from toy import train_in

from experiments.deep_linear import experiment as deep_linear
from experiments.llc.presets import PRESETS
from experiments.llc.science import LLC, Sampling
from experiments.llc.source import Source
from launch.kept_weights import padded, read_trained, unpadded
from launch.llc import EXACT, SOURCES, TRAINING, sample
from phenom_jax.claims.lift import decide_all
from phenom_jax.cli import main as launch_module
from phenom_jax.experiment import Preset, Schedule
from phenom_jax.hparams import InvalidValue
from phenom_jax.store.config import experiment_of
from phenom_jax.store.dataset import open_results
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow

QUICK = ("--steps=40", "--burn_in=0.2", "--lanes=8", "--group=1", "--noreport", "--notensorboard")
SMALL = {"seed": "0", "width": "2,3", "steps": "40", "deviation": "0.5"}
SCHEDULE = {"resolution": "20", "points": "3", "kept_points": "2"}
QUICK_TO_COMPILE = {"xla_backend_optimization_level": 0}


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs the launcher in this process and returns its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch_module, "start_jax", lambda *_: None)
    monkeypatch.setitem(TRAINING, "deep_linear", {**SMALL, **SCHEDULE})
    monkeypatch.setitem(PRESETS, "deep_linear", Preset("", {}))

    def run(*arguments):
        given = {word.partition("=")[0] for word in arguments}
        quick = [word for word in QUICK if word.partition("=")[0] not in given]
        code = sample([*quick, *arguments], "python -m launch.llc " + " ".join(arguments))
        return code, capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A directory with a network of width 2 and one of width 3, each kept twice."""
    path = tmp_path_factory.mktemp("source")
    schedule = Schedule(**{name: int(text) for name, text in SCHEDULE.items()})
    settings = Settings(schedule=schedule, lanes=8, group=1)  # the program that the launcher makes of it
    train_in(path, dataclasses.replace(deep_linear, schedule=schedule), settings=settings, devices=8, **SMALL)
    return path


def test_a_source_is_trained_then_sampled_and_a_report_needs_only_the_chains(command, tmp_path):
    arguments = ("--experiment=deep_linear", "--out=made")
    assert command(*arguments, "--seed=0:2")[0] == 0
    first = open_results(tmp_path / "made" / "llc" / "results.zarr")
    pairs = list(zip(first["source"].values.tolist(), first["checkpoint"].values.tolist()))
    assert sorted(pairs) == [(place, kept) for place in range(2) for kept in range(2) for _ in range(2)]
    assert set(first["status"].values.tolist()) == {"finished"}
    trained, last = open_results(tmp_path / "made" / "results.zarr"), first.isel(step=-1)
    for row, (place, kept) in enumerate(pairs):
        loss = trained["train_loss"].isel(run=place).sel(step=(0, 40)[kept])
        assert last["source_step"][row] == (0, 40)[kept]
        np.testing.assert_allclose(last["anchor_loss"][row], loss, rtol=1e-5)
        np.testing.assert_allclose(last["source_train_loss"][row], loss, rtol=1e-6)
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


def test_presets_of_a_source_hold_all_that_decides_there():
    """So that the fingerprint of a claim is that of the preset by its name."""
    for preset, source in SOURCES.items():
        assert PRESETS[source].flags.items() - PRESETS[preset].flags.items() == set()
        assert source in TRAINING


OPTIONS = [{"sampler": "rmsprop_sgld", "batch": 2}, {"sampler": "mala", "loss": "behaviour"}]


@pytest.mark.parametrize("options", OPTIONS)
def test_padding_does_not_change_a_chain(source, options):
    """Around weights of width 2 that share a program with width 3, and alone."""
    (name, network), *_ = read_trained(source, EXACT).source.networks.items()
    row = next(row for row, hp in enumerate(network.hps) if hp.width.active == 2)
    shapes = [shape[row : row + 1] for shape in network.shapes]
    leaves, structure = jax.tree.flatten(network.weights)
    alone = dataclasses.replace(
        network,
        hps=[dataclasses.replace(network.hps[row], width=2)],
        places=network.places[row : row + 1],
        weights=structure.unflatten(
            leaf[(slice(row, row + 1), slice(None), *map(slice, shape[0]))]
            for leaf, shape in zip(leaves, shapes, strict=True)
        ),
        shapes=shapes,
        facts={fact: values[row : row + 1] for fact, values in network.facts.items()},
    )
    hp = LLC(source=int(network.places[row]), checkpoint=1, steps=20, burn_in=0.25, network=name, **options)

    def chain(network):
        sampling = Sampling(Source({name: network}, {}))

        def move(state, count):
            return sampling.step(state, hp, jax.random.fold_in(jax.random.key(3), count))

        state, metrics = jax.lax.scan(move, sampling.init(hp), np.arange(20))
        return metrics, sampling.measure(state, hp), sampling.ending(state, hp)._asdict()

    with jax.enable_x64(True):
        one, other = jax.jit(lambda: (chain(network), chain(alone)), compiler_options=QUICK_TO_COMPILE)()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10), one, other)
        assert one[2]["weight_count"] == 16


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((), "run, experiment: none is given, allowed is one of --run=DIR and --experiment=NAME"),
        (("--run=SOURCE", "--experiment=grokking"), "run, experiment: both are given"),
        (("--run=nowhere",), "run: nowhere is no run directory"),
        (("--experiment=polynomial",), "polynomial has no loss function for LLC; those that have one: deep_linear, gr"),
        (("--experiment=no_such",), "experiment: no_such is not known"),
        (("--run=SOURCE", "--source=2"), "source: 2 is not one of the runs with kept states: 0 to 1"),
        (("--run=SOURCE", "--checkpoint=2"), "checkpoint: 2 is not one of the 2 kept states: 0 to 1, -1 the last"),
        (("--run=SOURCE", "--step_size=0"), "step_size: 0.0 is not above 0"),
        (("--run=SOURCE", "--n_beta=-1"), "n_beta: -1.0 is not at least 0"),
        (("--run=SOURCE", "--n_beta=10,0"), "n_beta: 0 is not above 0; without this flag it is n / log n"),
        (("--experiment=deep_linear", "--step_size=-1"), "step_size: -1.0 is not above 0"),
        (("--run=SOURCE", "--burn_in=1"), "burn_in: 1.0 is not at least 0 and below 1"),
        (("--run=SOURCE", "--batch=4"), "batch: 4 is more than the 3 train examples of a source run"),
        (("--run=SOURCE", "--batch=2", "--sampler=mala"), "batch: 2 with sampler=mala, which needs one loss"),
        (("--run=SOURCE", "--network=other"), "network: set by the launcher"),
        (("--run=SOURCE", "--source_seed=1"), "source_seed: set by the launcher"),
        (("--run=SOURCE", "--source_seeds=1"), "source_seeds: 1 with --run, whose seeds are trained already"),
        (("--experiment=deep_linear", "--source_seeds=x"), "seed: 'x' is not an integer"),
        (("--run=SOURCE", "--preset=other"), "preset: 'other' is not one of"),
        (("--run=SOURCE", "--run"), "argument --run: expected one argument"),
    ],
)
def test_bad_input_is_one_line(command, source, arguments, said):
    code, printed = command(*(word.replace("SOURCE", str(source)) for word in arguments))
    assert code == 2 and said in printed.err
    assert printed.err.count("\n") == 1 and not printed.out


def test_padding_that_is_no_zero_beyond_a_corner_is_refused():
    leaf = np.zeros((2, 3, 4))
    leaf[:, :2, :3] = 1
    np.testing.assert_array_equal(padded(unpadded(leaf, (2, 3), "kernel"), 2, (3, 4)), leaf)
    leaf[1, 2, 3] = 1
    with pytest.raises(InvalidValue, match="weights kernel are not zero outside their leading 2 x 3"):
        unpadded(leaf, (2, 3), "kernel")


def test_a_directory_without_kept_states_is_refused(source, tmp_path):
    shutil.copytree(source, tmp_path / "copy", ignore=shutil.ignore_patterns("kept.zarr"))
    with pytest.raises(InvalidValue, match="has no kept states, 2 of 2 runs have trained to their end"):
        read_trained(tmp_path / "copy", EXACT)
