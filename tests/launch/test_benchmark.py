"""The benchmarks at tiny sizes: peers compute what we compute, every benchmark runs. No time is asserted."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import toy

from experiments.deep_double_descent import science
from experiments.grokking import experiment as grokking
from launch.benchmark import __main__ as benchmark
from launch.benchmark import costs, networks, perceptron, small, sweeps
from launch.benchmark.comparison import Comparison, Effort, race
from launch.benchmark.small import experiment as parity
from launch.benchmark.trainer import Axes, Trainer, run_steps_per_second, sweep_work
from phenom_jax.device.devices import all_devices
from phenom_jax.device.program import AXIS, Layout
from phenom_jax.hparams import build
from phenom_jax.sweep.status import Status
from phenom_jax.tasks.epochs import batch
from phenom_jax.tasks.parity import draw, unpacked

pytestmark = pytest.mark.slow

BRIEF = Effort(seconds=0.01, rounds=1)
COURSE = perceptron.COURSE | {"modulus": [11], "width": [16], "seed": [0, 1, 2]}
RESULT = Comparison("name", 3.0, 2.0, "run-steps/s", ">= 1", "a peer")


@pytest.fixture(scope="module")
def devices():
    return all_devices(AXIS)


def losses_of_ours(experiment, hp, steps, loss):
    hp = jax.tree.map(jnp.asarray, hp)
    state, step, losses = jax.jit(experiment.init)(hp), jax.jit(experiment.step), []
    for index in range(steps):
        state, metrics = step(state, hp, jax.random.key(index))
        losses.append(float(getattr(metrics, loss)))
    return losses


@pytest.mark.parametrize("model", ["one-hot products", "look-up"])
def test_torch_trains_the_perceptron_as_we_do(devices, model):
    peer = pytest.importorskip("launch.benchmark.torch_perceptron", exc_type=ImportError)
    run = sweep_work(grokking, COURSE, devices).plan.programs[0].runs[1]
    step = peer.make_step(perceptron.start_of(run), model)
    ours = losses_of_ours(grokking, build(grokking.hparams, run.values), 8, "batch_loss")
    np.testing.assert_allclose([step().item() for _ in range(3)], ours[:3], rtol=1e-5)
    assert ours[-1] < ours[0]


def test_torch_trains_parity_as_we_do(devices):
    peer = pytest.importorskip("launch.benchmark.torch_parity", exc_type=ImportError)
    run = sweep_work(parity, {"seed": [3]}, devices).plan.programs[0].runs[0]
    hp = build(parity.hparams, run.values)
    ours = losses_of_ours(parity, hp, 3, "batch_loss")
    loop = peer.Loop(small.layers_of(run), *small.peer_setting(run))
    ensemble = peer.Ensemble(small.layers_of(run), *small.peer_setting(run), runs=2)
    for index, loss in enumerate(ours):
        words = draw(jax.random.key(index), hp.batch_size.padded, hp.inputs)
        inputs, labels = (peer.torch.tensor(np.array(part)) for part in unpacked(words, hp.inputs, hp.degree.active))
        np.testing.assert_allclose(loop.step(inputs, labels).item(), loss, rtol=1e-5)
        both = ensemble.step(inputs.expand(2, *inputs.shape), labels.expand(2, *labels.shape))
        np.testing.assert_allclose(both.numpy(), [loss, loss], rtol=1e-5)


def test_torch_draws_the_same_task():
    peer = pytest.importorskip("launch.benchmark.torch_parity", exc_type=ImportError)
    inputs, labels = (part.cpu().numpy() for part in peer.draw((4, 1000, 30), 3))
    assert set(np.unique(inputs)) == {-1.0, 1.0}
    np.testing.assert_array_equal(labels, inputs[..., :3].prod(-1))
    assert np.abs(inputs.reshape(-1, 30).mean(0)).max() < 0.08


def test_trainer_advances_the_runs_it_holds_and_no_others(devices):
    work = sweep_work(toy, {"seed": range(3), "steps": [10]}, devices)
    trainer = Trainer(work, work.plan.programs[0], Layout(devices.count, 2, 1))
    trainer.run_steps_per_second(0.0)
    status, step = np.asarray(trainer.lanes.status), np.asarray(trainer.lanes.step)
    assert (status == Status.RUNNING).sum() == 3
    assert set(step[status == Status.RUNNING]) == {15}  # twice to compile and time a tick, once measured; past `steps`
    assert not step[status != Status.RUNNING].any()
    per_device = (status == Status.RUNNING).reshape(devices.count, -1).sum(1)
    assert per_device.max() == 1


def test_rates_of_programs_add_up_as_times_do():
    class Fixed(Trainer):
        def __init__(self, runs, rate):
            self.runs, self.rate = runs, rate

        def run_steps_per_second(self, seconds):
            return self.rate

    assert run_steps_per_second([Fixed(8, 100.0), Fixed(8, 50.0)], 1.0) == pytest.approx(16 / (8 / 100 + 8 / 50))


def test_a_race_takes_turns_and_keeps_the_best():
    turns = []
    rates = {"a": iter([1.0, 3.0, 2.0]), "b": iter([5.0, 4.0, 6.0])}

    def measure(name):
        turns.append(name)
        return next(rates[name])

    assert race(lambda _: measure("a"), lambda _: measure("b"), effort=Effort(1.0, 3)) == [3.0, 6.0]
    assert turns == ["a", "b"] * 3


def test_work_counts_the_products_of_a_step(devices):
    run = sweep_work(grokking, perceptron.COURSE | {"seed": [0]}, devices).plan.programs[0].runs[0]
    one_hot = perceptron.products_of(run).one_hot
    forward = 2 * 4704 * (194 * 128 + 128 * 128 + 128 * 97)
    assert one_hot == 3 * forward - 2 * 4704 * 194 * 128  # no gradient of the inputs


@pytest.mark.parametrize(
    "name, options, expected",
    [
        ("grokking_mlp", {"axes": COURSE, "gemm_size": 64}, ["grokking_mlp", "gemm_executed", "gemm_one_hot"]),
        ("parity_mlp", {"axes": {"seed": range(8)}}, ["parity_mlp"]),
        ("parity_vmap", {"axes": {"seed": range(8)}, "ensembles": (2, 4)}, ["parity_vmap"]),
    ],
)
def test_a_benchmark_against_torch_runs(devices, name, options, expected):
    pytest.importorskip("torch", exc_type=ImportError)
    assert_sound(list(benchmark.BENCHMARKS[name](devices, BRIEF, **options)), expected)


def test_mixed_widths_runs(devices):
    axes: Axes = {"width": [4, 8], "seed": [0]}
    found = list(sweeps.mixed_widths(devices, BRIEF, toy, axes, cold_steps=100))
    assert_sound(found, ["mixed_widths", "mixed_widths_compiled"])


def test_many_runs_runs(devices):
    axes = {"seed": range(8), "steps": [10_000_000]}
    assert_sound(list(sweeps.many_runs(devices, BRIEF, axes, per_device=(1,))), ["many_runs"])


def test_overhead_runs(devices):
    (found,) = costs.overhead(devices, BRIEF, toy, {"seed": range(3), "steps": [100_000]})
    assert_sound([found], ["overhead"])


def assert_sound(comparisons, expected):
    assert [item.name for item in comparisons] == expected
    for item in comparisons:
        assert math.isfinite(item.ours) and item.ours > 0
        assert math.isfinite(item.ratio) and item.peer > 0


def test_json_is_a_list_of_name_ours_peer_ratio_and_unit(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "start_jax", lambda *_: None)
    monkeypatch.setattr(
        benchmark, "BENCHMARKS", {"a": lambda _: iter([RESULT]), "b": lambda _: iter([RESULT._replace(peer=None)])}
    )
    assert benchmark.main(["--only=a,b", f"--json={tmp_path / 'found.json'}"]) == 0
    with_peer, without = json.loads((tmp_path / "found.json").read_text())
    assert {"name": "name", "ours": 3.0, "peer": 2.0, "ratio": 1.5, "unit": "run-steps/s"}.items() <= with_peer.items()
    assert without["peer"] is None
    assert without["ratio"] is None
    assert str(jax.device_count()) in with_peer["machine"]
    assert "1.50" in capsys.readouterr().out


@pytest.mark.parametrize("missing, extra", [("torch", "bench"), ("devinterp", "bench_llc")])
def test_without_a_peer_the_others_still_run(devices, missing, extra, monkeypatch, capsys):
    def lacking(_):
        raise ModuleNotFoundError(f"No module named '{missing}'", name=missing)
        yield

    monkeypatch.setattr(benchmark, "BENCHMARKS", {"a": lacking, "b": lambda _: iter([RESULT])})
    assert list(benchmark.run(["a", "b"], devices)) == [RESULT]
    assert f"pip install '.[{extra}]'" in capsys.readouterr().out


def test_devinterp_s_chain_has_the_loss_of_the_weights_and_moves():
    peer = pytest.importorskip("launch.benchmark.devinterp_chains", exc_type=ImportError)
    weights = [np.full((2, 3), 0.5, np.float32), np.ones((1, 2), np.float32)]
    inputs, outputs = np.eye(3, dtype=np.float32), np.zeros((3, 1), np.float32)
    chain = peer.Chain(weights, inputs, outputs, step_size=1e-3, n_beta=10.0, localisation=1.0)
    first, second = chain.move().item(), chain.move().item()
    assert first == pytest.approx(0.5) and second != first


@pytest.mark.parametrize("argument", ["--only=grokking_mpl", "--jsn=x", "--json=no/such/directory/x", "word"])
def test_bad_input_is_one_line_and_code_2(argument, capsys):
    assert benchmark.main([argument]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_torch_trains_the_networks_as_we_do(devices):
    peer = pytest.importorskip("launch.benchmark.torch_networks", exc_type=ImportError)
    axes = {"width": [6], "samples": [40], "batch_size": [10], "label_noise": [0.2], "learning_rate": [0.1]}
    program = sweep_work(networks.experiment, axes, devices).plan.programs[0]
    hp = jax.tree.map(jnp.asarray, program.hp(program.runs[0]))
    step, state = jax.jit(science.step), jax.jit(science.init)(hp)
    theirs = peer.make_step(networks.start_of(program, program.runs[0]))
    for count in range(3):
        key = jax.random.fold_in(jax.random.key(hp.seed), science.BATCH_STREAM)
        rows = np.asarray(batch(key, jnp.int32(count), hp.samples, hp.batch_size).examples_B)
        state, metrics = step(state, hp, key)
        np.testing.assert_allclose(theirs(rows).item(), metrics.batch_loss, rtol=1e-4)


def test_the_network_sweep_is_compared_with_a_loop(devices):
    pytest.importorskip("launch.benchmark.torch_networks", exc_type=ImportError)
    axes: Axes = {"width": [6], "samples": [40], "test_samples": [20], "batch_size": [10], "seed": [0, 1]}
    (found,) = networks.network_sweep(devices, BRIEF, axes)
    assert found.ours > 0 and found.peer is not None and found.peer > 0
    assert len(networks.quick()["width"]) == 7
