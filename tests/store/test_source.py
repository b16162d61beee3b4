"""What runs start from: the kept states of another sweep, as hyperparameters, as lanes and as labels of results."""

import dataclasses
import shutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from toy import StopAfter, assert_same_results, results_of, train_in

from experiments import deep_linear as stages
from experiments.deep_linear.science import DeepLinearStages
from phenom_jax import measure_kept
from phenom_jax.device import layout
from phenom_jax.experiment import Experiment, Schedule
from phenom_jax.hparams import InvalidValue, hparams, stack_hps, swept
from phenom_jax.report.tables import cells, write_runs
from phenom_jax.source import FromSource
from phenom_jax.store.code import code_of
from phenom_jax.store.source import SourceRuns, unpadded

pytestmark = pytest.mark.slow

SCHEDULE = Schedule(resolution=10, points=3, kept_points=2)


@hparams
class FineTune(FromSource):
    steps: int = swept(20, "steps after those of the source", at_least=0)
    learning_rate: float = swept(0.02, "step size", above=0)


def tuned(hp: FineTune) -> DeepLinearStages:
    return dataclasses.replace(hp.start.hp, learning_rate=hp.learning_rate)


fine_tune = Experiment(
    name="fine_tune",
    hparams=FineTune,
    init=lambda hp: stages.init(hp.start.hp)._replace(model=hp.start.kept),
    step=lambda state, hp, key: stages.step(state, tuned(hp), key),
    measure=lambda state, hp: stages.measure(state, tuned(hp)),
    keep=lambda state: state.model,
    schedule=SCHEDULE,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Networks of widths 2 and 3 in one program, each kept at the steps 0 and 20."""
    path = tmp_path_factory.mktemp("source")
    experiment = dataclasses.replace(stages.experiment, schedule=SCHEDULE)
    train_in(path, experiment, seed="0,1", width="2,3", steps="20", deviation="0.5")
    return path


def start_texts(source, *chosen) -> dict[str, Any]:
    """Returns the flag texts of these kept states, each a run and a state of it, in a product of the two."""
    network = {anchor.network for anchor in source.anchors(chosen)}
    runs, states = (sorted(set(column)) for column in zip(*chosen))
    return {"source": ",".join(map(str, runs)), "checkpoint": ",".join(map(str, states)), "network": ",".join(network)}


def test_a_run_from_a_kept_state_goes_on_bit_for_bit(trained, tmp_path):
    source = SourceRuns(trained)
    whole = dataclasses.replace(stages.experiment, schedule=SCHEDULE)
    train_in(tmp_path / "longer", whole, seed="0,1", width="2,3", steps="40", deviation="0.5")
    longer = results_of(tmp_path / "longer").sortby(["seed", "width"]).sel(step=40)
    train_in(tmp_path / "tuned", source.bind(fine_tune), **start_texts(source, *((run, 1) for run in range(4))))
    ended = results_of(tmp_path / "tuned").sortby("source").sel(step=20)
    for name in ("train_loss", "product"):
        np.testing.assert_array_equal(ended[name].values, longer[name].values)


def test_what_is_known_of_a_kept_state_is_a_label(trained, tmp_path):
    source = SourceRuns(trained)
    bound, first = source.bind(fine_tune), start_texts(source, (0, 0), (1, 1))
    train_in(tmp_path, bound, steps="10", **first)
    train_in(tmp_path, bound, steps="10", learning_rate="0.02,0.01", **first)  # more runs, those of before kept
    found, known = results_of(tmp_path), results_of(trained).sortby(["seed", "width"])
    assert found.sizes["run"] == 8
    np.testing.assert_array_equal(found["source_step"], 20 * found["checkpoint"])
    np.testing.assert_array_equal(found["trained_with_width"], 2 + found["source"])
    loss = [known["train_loss"].isel(run=run).sel(step=step) for run, step in zip(found.source, found.source_step)]
    np.testing.assert_array_equal(found["source_train_loss"], loss)
    np.testing.assert_array_equal(found["source_train_loss"], found["train_loss"].sel(step=0).astype("f4"))
    assert found["source_step"].attrs == {"long_name": "training step of the kept weights", "units": "steps"}
    write_runs(tmp_path / "runs.csv", found)
    columns = (tmp_path / "runs.csv").read_text().splitlines()[0].split(",")
    assert {"source_step", "source_train_loss", "trained_with_width"} <= set(columns) and len(set(columns)) == len(
        columns
    )
    unmeasured = found.reset_coords("source_gradient_norm")  # before the first step
    told = [str(cell.measures["source_gradient_norm"]) for cell in cells(unmeasured) if not cell.values["checkpoint"]]
    assert set(told) == {""}


def test_a_sweep_with_a_source_is_resumed_bit_for_bit(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.001)
    source = SourceRuns(trained)
    flags = {"steps": "4000", **start_texts(source, (0, 0), (3, 1))}
    train_in(tmp_path / "whole", source.bind(fine_tune), **flags)
    train_in(tmp_path / "killed", source.bind(fine_tune), StopAfter(2), **flags)
    assert set(results_of(tmp_path / "killed")["status"].values.tolist()) & {"running", "waiting"}
    train_in(tmp_path / "killed", SourceRuns(trained).bind(fine_tune), **flags)
    assert_same_results(results_of(tmp_path / "whole"), results_of(tmp_path / "killed"))


def test_padded_sizes_are_those_of_the_program_also_after_the_source_grew(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "source")
    before = SourceRuns(tmp_path / "source")
    experiment = dataclasses.replace(stages.experiment, schedule=SCHEDULE)
    train_in(tmp_path / "source", experiment, seed="0,1", width="2,3,5", steps="20", deviation="0.5")
    after = SourceRuns(tmp_path / "source")
    assert len(before.runs) == 4 and len(after.runs) == 6
    for place, run in after.runs.items():
        start = after.start({"source": place, "checkpoint": -1})
        width = run.values["width"]
        assert start.hp.width.active == width and start.step == 20
        assert start.kept.weights[0].shape == (start.hp.width.padded, 3)
        np.testing.assert_array_equal(start.shapes, [(width, 3), (width, width), (3, width)])
    (old,) = before.anchors([(0, 1)])
    assert old in after.anchors((place, 1) for place in after.runs)


def test_a_retrained_source_has_other_anchors(trained, tmp_path):
    experiment = dataclasses.replace(stages.experiment, schedule=SCHEDULE)
    train_in(tmp_path, experiment, seed="0,1", width="2,3", steps="20", deviation="0.5", learning_rate="0.03")
    (one,), (other,) = (SourceRuns(path).anchors([(0, 1)]) for path in (trained, tmp_path))
    assert one._replace(anchor=other.anchor) == other and one != other


class Norms(NamedTuple):
    squared: jax.Array
    by_layer: jax.Array


def test_a_measure_of_all_that_was_kept_is_over_runs_and_steps(trained):
    def norms(model, hp):
        squares = jnp.stack([jnp.square(weight[...]).sum() for weight in model.weights])
        return Norms(squares.sum() / hp.width.active, squares)

    found = measure_kept(trained, norms)
    assert dict(found.sizes) == {"run": 4, "step": 2, "by_layer_0": 3} and found["step"].values.tolist() == [0, 20]
    source = SourceRuns(trained)
    for run, (width, seed) in enumerate(zip(found["width"].values, found["seed"].values)):
        assert (source.runs[run].values["width"], source.runs[run].values["seed"]) == (width, seed)
        for column in range(2):
            model = source.start({"source": run, "checkpoint": column}).kept
            expected = sum(np.square(weight[...]).sum() for weight in model.weights) / width
            np.testing.assert_allclose(found["squared"].values[run, column], expected, rtol=1e-5)
    alone = measure_kept(trained, lambda model, hp: model.product()[0, 0])
    product = results_of(trained).sortby(["seed", "width"])["product"].sel(step=[0, 20])[..., 0, 0]
    np.testing.assert_allclose(alone["measured"], product, rtol=1e-5, atol=1e-7)


def test_arrays_of_a_start_stay_what_they_are_and_numbers_become_those_of_jax(float64):
    hp = toy.Toy(seed=1)
    stacked = stack_hps([(hp, np.array([1, 2], np.float32), np.array([3], np.int8))] * 2)
    assert (stacked[1].dtype, stacked[2].dtype, stacked[1].shape) == (np.float32, np.int8, (2, 2))
    assert stacked[0].seed.dtype == np.int64 and stacked[0].learning_rate.dtype == np.float64


def test_the_loss_and_the_model_of_the_source_are_code_of_a_run(trained):
    source = SourceRuns(trained)
    assert "phenom_jax.models.deep_linear" in code_of(source.bind(dataclasses.replace(fine_tune, init=len)))
    assert "phenom_jax.models.deep_linear" not in code_of(dataclasses.replace(fine_tune, init=len, step=len))


def test_padding_that_is_no_zero_beyond_a_corner_is_refused():
    leaf = np.zeros((3, 4))
    leaf[:2, :3] = 1
    np.testing.assert_array_equal(unpadded(leaf, (2, 3), "kernel"), np.ones((2, 3)))
    leaf[2, 3] = 1
    with pytest.raises(InvalidValue, match="weights kernel are not zero outside their leading 2 x 3"):
        unpadded(leaf, (2, 3), "kernel")


def test_what_is_no_source_is_refused(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy", ignore=shutil.ignore_patterns("kept.zarr"))
    with pytest.raises(InvalidValue, match="has no kept states, 4 of 4 runs have trained to their end"):
        SourceRuns(tmp_path / "copy")
    source = SourceRuns(trained)
    with pytest.raises(InvalidValue, match="source: 9 is not one of the runs with kept states: 0 to 3"):
        source.start({"source": 9, "checkpoint": 0})
    train_in(tmp_path / "tuned", source.bind(fine_tune), **start_texts(source, (0, 0)))
    with pytest.raises(InvalidValue, match="has a source itself, allowed is a sweep without"):
        SourceRuns(tmp_path / "tuned", experiment=fine_tune)
