"""The Python doors: what train takes and refuses, that it is the command line, and what open_run finds."""

import asyncio
import dataclasses
import functools
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from toy import Toy, assert_same_results, measure, results_of, toy

from phenom_jax import open_run, train
from phenom_jax.claims import Claim, Source, below
from phenom_jax.claims.runs import last
from phenom_jax.cli.main import launch
from phenom_jax.experiment import Preset
from phenom_jax.hparams import InvalidValue
from phenom_jax.report.confirmed import origin
from phenom_jax.report.marks import Curves, Figure, Scale
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.training.program import Training

pytestmark = pytest.mark.slow

QUICK = {"quiet": True, "lanes": 16, "group": 2}  # no probe


def final_error(runs):
    """Error at the end, the mean of its runs."""
    return float(last(runs, "error").mean())


def summarise(results):
    return results.assign(largest=results["error"].max("step"))


experiment = dataclasses.replace(
    toy,
    summarise=summarise,
    presets={"": Preset("two", {"seed": "0:2"}), "wide": Preset("wide", {"width": "16", "seed": "0:3", "points": "5"})},
    figures=(
        Figure("error", "Error", "", Curves({"error": "-"}, Scale("error"))),
        Figure("nothing", "Nothing", "", Curves({"error": "-"}, Scale("error")), of=lambda results: None),
    ),
    claims=(Claim("The error ends below 100.", Source("a test"), final_error, below(100)),),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of widths 2 and 8 in one program."""
    path = tmp_path_factory.mktemp("trained")
    train(experiment, path, seed=range(3), width=[2, 8], **QUICK)
    return path


AXES = {
    "values": ({"seed": 3, "learning_rate": 0.2}, {"seed": "3", "learning_rate": "0.2"}),
    "ranges": ({"seed": range(0, 6, 2)}, {"seed": "0,2,4"}),
    "a range that falls": ({"seed": range(2, 0, -1)}, {"seed": "2,1"}),
    "a range of numbers": ({"learning_rate": range(1, 3)}, {"learning_rate": "1,2"}),
    "lists": ({"learning_rate": [0.1, 1, np.float32(0.3)]}, {"learning_rate": "0.1,1,0.3"}),
    "arrays": ({"learning_rate": np.array([0.1, 0.3])}, {"learning_rate": "0.1,0.3"}),
    "jax arrays": ({"width": jnp.arange(2, 4), "seed": jnp.ones((), int)}, {"width": "2,3", "seed": "1"}),
    "labelled arrays": ({"seed": xr.DataArray([1, 2], dims="seed")}, {"seed": "1,2"}),
    "flag texts": ({"learning_rate": "log:1e-3:1e-1:3", "width": "2,4"}, None),
    "the preset": ({"preset": "wide", "seed": 1}, {"width": "16", "seed": "1"}),
    "zips": (
        {"width": [2, 3], "learning_rate": [0.1, 0.2], "zips": ["width,learning_rate"]},
        {"width": "2,3", "learning_rate": "0.1,0.2", "zip": "width,learning_rate"},
    ),
    "zips as names": (
        {"width": [2, 3], "learning_rate": [0.1, 0.2], "zips": [("width", "learning_rate")]},
        {"width": "2,3", "learning_rate": "0.1,0.2", "zip": "width,learning_rate"},
    ),
}


@pytest.mark.parametrize("asked, texts", AXES.values(), ids=AXES)
def test_axes_are_those_of_the_flags(tmp_path, monkeypatch, asked, texts):
    monkeypatch.setattr(Training, "run", lambda self: None)
    texts = {"seed": "0:2", **(texts or asked)}
    train(experiment, tmp_path, quiet=True, **asked)
    zips = [texts.pop("zip")] if "zip" in texts else []
    assert open_run(tmp_path, experiment).config.sweep == parse_sweep(Toy, texts, zips)


def test_it_is_the_command_line_and_either_goes_on_with_the_others_directory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("phenom_jax.cli.main.start_jax", lambda *_: None)
    flags = ["--lanes=16", "--group=2", "--noreport", "--notensorboard"]
    assert launch(experiment, ["--seed=0:4", f"--out={tmp_path / 'typed'}", *flags], "typed") == 0
    results = train(experiment, tmp_path / "called", seed=range(4), **QUICK)
    assert_same_results(results_of(tmp_path / "typed"), results_of(tmp_path / "called"))
    assert results["largest"].dims == ("run",)
    train(experiment, tmp_path / "typed", seed=range(6), **QUICK)
    assert launch(experiment, ["--seed=0:6", f"--out={tmp_path / 'called'}", *flags], "typed") == 0
    assert_same_results(results_of(tmp_path / "typed"), results_of(tmp_path / "called"))


def test_runs_are_trained_longer_and_added(tmp_path):
    train(experiment, tmp_path, steps=10, keep_ends=True, **QUICK)
    added = "width=4 learning_rate=0.05,0.2"
    results = train(experiment, tmp_path, steps=20, keep_ends=True, add=added, **QUICK)
    assert results.steps.values.tolist() == results.last_step.values.tolist() == [20] * 6
    assert results.width.values.tolist() == [8, 8, 4, 4, 4, 4]
    with pytest.raises(InvalidValue, match="add: directory has 'width=4 learning_rate=0.05,0.2', command has none"):
        train(experiment, tmp_path, steps=20, **QUICK)


def test_runs_that_are_over_are_not_run_again(trained, monkeypatch):
    monkeypatch.setattr(Training, "_work_through", lambda *_: pytest.fail("trained"))
    again = train(experiment, trained, seed=range(3), width=[2, 8], **QUICK)
    xr.testing.assert_identical(again, open_run(trained, experiment).results)


REFUSED = {
    "sed": ({"sed": 1}, "sed: no such hyperparameter or setting, did you mean seed"),
    "a flag of the command line": ({"plan": True}, "plan: no such hyperparameter or setting"),
    "type": ({"seed": "a"}, "seed: 'a' is not an integer"),
    "no integer": ({"seed": 0.5}, "seed: '0.5' is not an integer"),
    "empty": ({"seed": []}, "seed: '' is not an integer"),
    "bounds": ({"learning_rate": [0.1, 0]}, "learning_rate: 0.0 is not above 0"),
    "preset": ({"preset": "wid"}, "preset: 'wid' is not one of wide, did you mean wide"),
    "zip": ({"zips": "seed,width", "width": [2, 3, 4]}, "zipped axes must be of equal length"),
    "twice": ({"seed": [1, 1]}, "seed: 1 is given twice"),
    "devices": ({"devices": 3}, "devices: 3, allowed is 8, which JAX has started with"),
    "float64": ({"float_type": "float64"}, "float_type: float64, allowed is float32, in which JAX computes here"),
    "lanes": ({"lanes": 999}, "lanes: 999 are more than"),
}


@pytest.mark.parametrize("asked, said", REFUSED.values(), ids=REFUSED)
def test_bad_values_are_refused_in_one_line_and_nothing_is_written(tmp_path, asked, said):
    with pytest.raises(InvalidValue, match="^[^\n]*$") as caught:
        train(experiment, tmp_path / "out", **asked)
    assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_another_call_on_a_directory_is_refused_with_the_difference(trained):
    with pytest.raises(InvalidValue, match="learning_rate: directory has 0.1, command has 0.3"):
        train(experiment, trained, seed=range(3), width=[2, 8], learning_rate=0.3, **QUICK)


def test_float64_is_computed_where_jax_computes_in_it_and_nothing_else_there(tmp_path, float64):
    with pytest.raises(InvalidValue, match="float_type: float32, allowed is float64"):
        train(experiment, tmp_path, **QUICK)
    results = train(experiment, tmp_path, float_type="float64", steps=5, **QUICK)
    assert results["error"].dtype == np.float64
    model, _ = open_run(tmp_path, experiment).state(0)
    assert model.hidden.dtype == jnp.float64
    with jax.enable_x64(False), pytest.raises(InvalidValue, match="float_type: float64, allowed is float32"):
        open_run(tmp_path, experiment).state(0)


def test_jax_is_as_a_sweep_needs_it_meanwhile_and_as_it_was_afterwards():
    seen, names = [], ("jax_default_matmul_precision", "jax_threefry_partitionable")

    def init(hp):
        seen.append(tuple(getattr(jax.config, name) for name in names))
        return toy.init(hp)

    recording = dataclasses.replace(experiment, init=init)
    with jax.default_matmul_precision("bfloat16"), jax.threefry_partitionable(False):
        before = dict(jax.config.values)
        train(recording, steps=0, quiet=True)
        assert jax.config.values == before
        assert [getattr(jax.config, name) for name in names] == ["bfloat16", False]
        with pytest.raises(InvalidValue):
            train(recording, lanes=999, quiet=True)
        assert jax.config.values == before
    assert set(seen) == {("highest", True)}


def test_a_diverging_run_ends_no_other_where_jax_looks_for_nans():
    with jax.debug_nans(True):
        results = train(experiment, learning_rate=[0.1, 1e9], **QUICK)
    assert results["status"].values.tolist() == ["finished", "diverged"] * 2


def test_on_another_thread_and_in_an_event_loop_it_trains_the_same(tmp_path, trained):
    def elsewhere():
        train(experiment, tmp_path / "thread", seed=range(3), width=[2, 8], **QUICK)

    async def notebook():
        train(experiment, tmp_path / "loop", seed=range(3), width=[2, 8], **QUICK)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    asyncio.run(notebook())
    for name in ("thread", "loop"):
        assert_same_results(results_of(tmp_path / name), results_of(trained))


def test_a_signal_saves_and_is_passed_on_and_the_same_call_goes_on(tmp_path, monkeypatch):
    asked = {"seed": range(20), **QUICK}  # more runs than lanes, so that there is a second chunk
    train(experiment, tmp_path / "straight", **asked)
    report, heard = Training._report, []
    for number, handler in {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: lambda number, _: heard.append(number),
    }.items():

        def interrupt(self, roster, number=number):
            report(self, roster)
            os.kill(os.getpid(), number)

        before = signal.signal(number, handler)
        monkeypatch.setattr(Training, "_report", interrupt)
        path = tmp_path / number.name
        try:
            with pytest.raises(KeyboardInterrupt, match=rf"stopped by {number.name}; to resume: train\(toy, "):
                train(experiment, path, **asked)
            assert signal.getsignal(number) is handler
        finally:
            signal.signal(number, before)
        monkeypatch.undo()
        assert set(results_of(path)["status"].values) == {"finished", "waiting"}
        train(experiment, path, **asked)
        assert_same_results(results_of(path), results_of(tmp_path / "straight"))
    assert heard == [signal.SIGTERM]


def test_a_divergence_that_is_to_stop_the_sweep_is_raised(tmp_path):
    with pytest.raises(FloatingPointError, match="stopped by the divergence of run"):
        train(experiment, tmp_path, learning_rate=1e9, on_diverge="stop", **QUICK)


def test_without_a_directory_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert train(experiment, steps=5, **QUICK)["error"].notnull().any()
    with pytest.raises(FloatingPointError):
        train(experiment, learning_rate=1e9, on_diverge="stop", **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_it_says_how_far_it_is_unless_it_is_to_be_quiet(capsys):
    train(experiment, steps=5, lanes=16, group=2)
    assert "2 of 2 runs done" in capsys.readouterr().out
    train(experiment, steps=5, **QUICK)
    assert capsys.readouterr() == ("", "")


def test_a_saved_sweep_has_its_results_config_figures_and_claims(trained):
    saved = open_run(trained, experiment)
    assert saved.results["largest"].sizes == {"run": 6}
    assert saved.config.settings.lanes == 16
    assert list(saved.figures) == ["error"]
    assert saved.figures["error"].axes[0].lines
    (finding,) = saved.claims
    assert finding.estimate.estimate == pytest.approx(float(saved.results["error"].isel(step=-1).mean()))
    assert open_run(trained).experiment is toy  # imported from where it was defined


def test_the_preset_is_known_to_the_table_of_claims(tmp_path, monkeypatch):
    monkeypatch.setattr(Training, "run", lambda self: None)
    train(experiment, tmp_path, preset="wide", quiet=True)
    assert origin(experiment, open_run(tmp_path, experiment).config).preset == "wide"


@pytest.mark.parametrize("row, width", [(0, 2), (1, 8), (-1, 8)])
def test_a_state_is_what_the_run_had_at_that_step(trained, row, width):
    saved = open_run(trained, experiment)
    run = saved.results.isel(run=row)
    with pytest.raises(InvalidValue, match=r"step: 7, allowed is what run \w+ has kept: 0, .*60$") as caught:
        saved.state(row, 7)
    kept_at = [int(step) for step in str(caught.value).rpartition(": ")[2].split(", ")]
    assert len(kept_at) == 3
    for step in [*kept_at, None]:
        weights, hp = saved.state(row, step)
        assert (int(hp.width.active), hp.width.padded, hp.seed) == (width, width, int(run["seed"]))
        assert weights.hidden.shape == (4, width)
        error = measure(toy.init(hp)._replace(weights=weights), hp).error
        assert float(error) == pytest.approx(float(run["error"].sel(step=60 if step is None else step)), rel=1e-5)
    first, hp = saved.state(str(run["run_id"].values), 0)
    np.testing.assert_array_equal(first.hidden, toy.init(hp).weights.hidden)


def test_states_that_are_not_there_are_refused(trained, tmp_path, monkeypatch):
    saved = open_run(trained, experiment)
    wrong: list[Any] = [6, -7, "0123456789abcdef", 1.0, None]
    for run in wrong:
        with pytest.raises(InvalidValue, match="run: .*, allowed is 0 to 5 or a run id"):
            saved.state(run)
    with pytest.raises(InvalidValue, match="state: toy keeps none"):
        open_run(trained, dataclasses.replace(experiment, keep=None)).state(0)
    with pytest.raises(InvalidValue, match="not of 'other'"):
        open_run(trained, dataclasses.replace(experiment, name="other"))
    with pytest.raises(InvalidValue, match="is no run directory"):
        open_run(tmp_path)
    train(dataclasses.replace(experiment, keep=None), tmp_path / "none", steps=0, quiet=True)
    with pytest.raises(InvalidValue, match="has kept nothing, allowed are runs that are over; it is finished"):
        open_run(tmp_path / "none", experiment).state(0)


def test_what_is_padded_elsewhere_is_refused(tmp_path):
    shifted = dataclasses.replace(experiment, keep=lambda state: jnp.roll(state.weights.hidden, 1, axis=1))
    train(shifted, tmp_path, width=[2, 8], steps=0, quiet=True)
    assert open_run(tmp_path, shifted).state(1)[0].shape == (4, 8)
    with pytest.raises(InvalidValue, match="weights kept are not zero outside their leading 4 x 2"):
        open_run(tmp_path, shifted).state(0)


KEEPING = {
    "grokking": {"modulus": 7, "width": [3, 8], "train_fraction": [0.4, 0.6]},
    "deep_linear": {},
    "induction_heads": {"preset": "debug"},
    "sparse_parity": {"preset": "debug"},
    "three_factors": {"preset": "debug"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name, asked", KEEPING.items())
def test_every_experiment_takes_back_what_it_has_kept(tmp_path, name, asked):
    found = importlib.import_module(f"experiments.{name}").experiment
    train(found, tmp_path, **{"seed": 0, "steps": 20, "quiet": True} | asked)
    saved = open_run(tmp_path)
    for row in range(saved.results.sizes["run"]):
        kept, hp = saved.state(row, 0)
        state = found.init(hp)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-6)  # this state is not of one compiled program
        jax.tree.map(close, kept, found.keep(state))  # of the same structure, too
        found.measure(state, hp)


def test_importing_the_package_loads_nothing_slow():
    slow = "{'xarray', 'matplotlib', 'scipy', 'zarr', 'orbax'} & sys.modules.keys()"
    script = f"import sys, phenom_jax; print('jax' in sys.modules); import phenom_jax.api; print({slow})"
    root = str(Path(__file__).parent.parent)
    said = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True).stdout
    assert said == "False\nset()\n"
