"""The store: what is written is read back, whatever the order, the extension, or the moment of a kill."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import xarray as xr

from phenom_jax.hparams import fields, hparams, size, static, swept
from phenom_jax.sizes import Size
from phenom_jax.store import schema
from phenom_jax.store.axes import hyperparameters, on_axes, swept_axes
from phenom_jax.store.dataset import Results, open_results
from phenom_jax.sweep.axes import Run
from phenom_jax.sweep.recorded import Variable
from phenom_jax.sweep.status import STATUSES

pytestmark = pytest.mark.filterwarnings("error")


@hparams
class Toy:
    seed: int = swept(0, "initial weights")
    weight_decay: float = swept(1.0, "decay")
    width: Size = size(32, "hidden units")
    activation: str = static("relu", "nonlinearity")


STEPS = np.array([0, 1, 2, 5, 10])
VARIABLES = [
    Variable("loss", (), np.dtype("float32"), (), "training loss", "nat"),
    Variable("spectrum", (3,), np.dtype("float32"), ("frequency",), "Fourier norms", "1"),
    Variable("count", (), np.dtype("int32"), (), "a count", "1"),
]


def sweep(seeds=2, decays=(0.0, 1.0), widths=(16, 32)):
    return [
        Run({"seed": seed, "weight_decay": decay, "width": width, "activation": "relu"})
        for width in widths
        for decay in decays
        for seed in range(seeds)
    ]


def open_toy(path, runs, steps=STEPS, variables=VARIABLES, attributes=None):
    return Results.open(path, runs, fields(Toy), steps, variables, attributes or {"experiment": "toy"})


def records(runs, steps=STEPS):
    """Numbers that name their run and place."""
    key = np.array([int(run.id[:4], 16) for run in runs], "f4")
    loss = key[:, None] + np.asarray(steps, "f4") / 16
    return {"loss": loss, "spectrum": loss[..., None] * np.arange(1, 4, dtype="f4"), "count": loss.astype(int)}


def write(results, runs, status="finished", last_step=10, steps=STEPS):
    count = len(runs)
    ids = [run.id for run in runs]
    results.write(ids, records(runs, steps), [status] * count, np.full(count, last_step), [""] * count)
    results.flush()


def rows(path, runs):
    ds = xr.open_zarr(path)
    at = [ds.run_id.values.tolist().index(run.id) for run in runs]
    return ds.isel(run=at).load()


def test_xarray_alone_reads_labels_and_values(tmp_path):
    runs = sweep()
    results = open_toy(tmp_path / "results.zarr", runs)
    write(results, [runs[5], runs[2]])
    ds = xr.open_zarr(tmp_path / "results.zarr")
    assert dict(ds.sizes) == {"run": 8, "step": 5, "frequency": 3}
    assert ds.attrs["experiment"] == "toy"
    assert list(open_results(tmp_path / "results.zarr").data_vars) == ["loss", "spectrum", "count"]
    assert ds.run_id.values.tolist() == [run.id for run in runs]
    np.testing.assert_array_equal(ds.weight_decay, [run.values["weight_decay"] for run in runs])
    assert ds.width.attrs["long_name"] == "hidden units"
    assert ds.loss.attrs == {"long_name": "training loss", "units": "nat"}
    expected = records([runs[2], runs[5]])
    for name in ("loss", "spectrum", "count"):
        np.testing.assert_array_equal(ds[name].values[[2, 5]], expected[name])
        assert np.isnan(ds[name].values[[0, 1, 3, 4, 6, 7]]).all()
    assert ds.status.values.tolist() == ["finished" if row in (2, 5) else "waiting" for row in range(8)]
    assert ds.last_step.values.tolist() == [10 if row in (2, 5) else -1 for row in range(8)]


def test_values_after_the_last_step_are_dropped(tmp_path):
    runs = sweep()
    results = open_toy(tmp_path / "r", runs)
    write(results, runs[:1], "diverged", last_step=4)
    loss = rows(tmp_path / "r", runs[:1]).loss.values[0]
    assert np.isfinite(loss[:3]).all() and np.isnan(loss[3:]).all()


def test_writing_again_changes_nothing_and_a_later_batch_wins(tmp_path):
    runs = sweep()
    results = open_toy(tmp_path / "r", runs)
    write(results, runs)
    before = {p: p.read_bytes() for p in sorted((tmp_path / "r").rglob("*")) if p.is_file()}
    write(results, runs)
    assert {p: p.read_bytes() for p in sorted((tmp_path / "r").rglob("*")) if p.is_file()} == before
    results._next_flush = time.monotonic() + 60
    ids = [runs[1].id]
    results.write(ids, {"loss": np.full((1, 5), 1.0)}, ["running"], np.array([10]), [""])
    results.write(ids, {"loss": np.full((1, 5), 2.0)}, ["failed"], np.array([2]), ["killed"])
    assert results.statuses()[runs[1].id] == "failed"
    assert rows(tmp_path / "r", runs[1:2]).status.item() == "finished"
    results.flush()
    row = rows(tmp_path / "r", runs[1:2])
    np.testing.assert_array_equal(row.loss.values[0], [2, 2, 2, np.nan, np.nan])
    np.testing.assert_array_equal(row.spectrum.values, records(runs[1:2])["spectrum"])
    assert (row.status.item(), row.reason.item(), row.last_step.item()) == ("failed", "killed", 2)


def test_extension_keeps_finished_rows_bit_for_bit(tmp_path):
    old = sweep(seeds=2)
    results = open_toy(tmp_path / "r", old)
    write(results, old[1:6])
    before = rows(tmp_path / "r", old[1:6])
    runs = sweep(seeds=3, decays=(0.0, 0.3, 1.0))
    steps = np.array([0, 2, 5, 7, 20])
    results = open_toy(tmp_path / "r", runs, steps)
    assert sum(status == "finished" for status in results.statuses().values()) == 5
    after = rows(tmp_path / "r", old[1:6])
    xr.testing.assert_identical(after.sel(step=STEPS).drop_attrs(), before.drop_attrs())
    assert after.step.values.tolist() == [0, 1, 2, 5, 7, 10, 20]
    new = [run for run in runs if run not in old]
    write(results, new[:2], last_step=20, steps=steps)
    np.testing.assert_array_equal(rows(tmp_path / "r", new[:2]).loss.sel(step=steps), records(new[:2], steps)["loss"])
    assert np.isnan(rows(tmp_path / "r", new[:2]).loss.sel(step=[1, 10])).all()


def test_a_smaller_sweep_keeps_what_was_finished(tmp_path):
    runs = sweep()
    write(open_toy(tmp_path / "r", runs), runs[:2])
    results = open_toy(tmp_path / "r", runs[4:])
    assert set(results.statuses()) == {run.id for run in runs[4:] + runs[:2]}
    np.testing.assert_array_equal(rows(tmp_path / "r", runs[:2]).loss, records(runs[:2])["loss"])


def test_a_new_or_longer_variable_is_added_and_shorter_records_fit(tmp_path):
    runs = sweep()
    write(open_toy(tmp_path / "r", runs), runs[:2])
    longer = [VARIABLES[0], VARIABLES[1]._replace(shape=(5,)), VARIABLES[2], VARIABLES[0]._replace(name="norm")]
    write(open_toy(tmp_path / "r", runs, variables=longer), runs[2:3])
    ds = open_results(tmp_path / "r")
    assert ds.spectrum.shape == (8, 5, 5) and np.isnan(ds.norm).all()
    np.testing.assert_array_equal(ds.spectrum.values[:3, :, :3], records(runs[:3])["spectrum"])
    assert np.isnan(ds.spectrum.values[:3, :, 3:]).all()


def test_opening_the_same_sweep_again_rewrites_nothing(tmp_path):
    runs = sweep()
    write(open_toy(tmp_path / "r", runs), runs[:3])
    inode = (tmp_path / "r").stat().st_ino
    assert list(open_toy(tmp_path / "r", runs).statuses().values()) == ["finished"] * 3 + ["waiting"] * 5
    assert (tmp_path / "r").stat().st_ino == inode


def test_reset_makes_rows_wait_again(tmp_path):
    runs = sweep()
    results = open_toy(tmp_path / "r", runs)
    write(results, runs)
    results.reset([runs[6].id, runs[1].id])
    reopened = open_toy(tmp_path / "r", runs)
    assert [reopened.statuses()[run.id] for run in runs].count("waiting") == 2
    assert np.isnan(rows(tmp_path / "r", [runs[1], runs[6]]).spectrum).all()
    assert np.isfinite(rows(tmp_path / "r", [runs[0], runs[5], runs[7]]).spectrum).all()


@pytest.mark.parametrize("moment", ["copied", "old aside", "swapped"])
def test_a_kill_while_extending_leaves_the_old_store_or_the_new(tmp_path, monkeypatch, moment):
    runs, more = sweep(seeds=2), sweep(seeds=3)
    write(open_toy(tmp_path / "r", runs), runs)
    renames = iter(range(2))
    real = type(tmp_path).rename

    def killed_rename(self, target):
        at = next(renames)
        if (moment, at) in (("copied", 0), ("old aside", 1)):
            raise KeyboardInterrupt
        return real(self, target)

    def killed_rmtree(path, ignore_errors=False):
        if moment == "swapped" and path.name.endswith(".old") and path.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(type(tmp_path), "rename", killed_rename)
    monkeypatch.setattr(schema.shutil, "rmtree", killed_rmtree)
    with pytest.raises(KeyboardInterrupt):
        open_toy(tmp_path / "r", more)
    monkeypatch.undo()
    assert open_results(tmp_path / "r").sizes["run"] in (8, 12)
    results = open_toy(tmp_path / "r", more)
    assert list(results.statuses().values()).count("finished") == 8 and len(results.statuses()) == 12
    np.testing.assert_array_equal(rows(tmp_path / "r", runs).loss, records(runs)["loss"])


def test_a_row_marked_finished_is_whole_after_kill_9(tmp_path):
    program = textwrap.dedent("""
        import sys, numpy as np
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_dataset import open_toy, records, sweep
        runs = sweep(seeds=50)
        results = open_toy(Path(sys.argv[1]), runs)
        for start in range(0, len(runs), 2):
            some = [runs[start], runs[-1 - start]]
            results.write([r.id for r in some], records(some), ["finished"] * 2, np.full(2, 10), [""] * 2)
            results.flush()
            print(start, flush=True)
    """)
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "r", os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(5):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    runs = sweep(seeds=50)
    ds = xr.open_zarr(tmp_path / "r").load()
    finished = ds.status.values == "finished"
    assert 0 < finished.sum() < len(runs)
    expected = records(runs)
    for name, values in expected.items():
        np.testing.assert_array_equal(ds[name].values[finished], values[finished])


def test_bad_records_are_refused(tmp_path):
    runs = sweep()
    results = open_toy(tmp_path / "r", runs)
    one, done = [runs[0].id], (["done"], np.array([1]), [""])
    with pytest.raises(ValueError, match="status: lost is not one of waiting"):
        results.write(one, {}, ["lost"], np.array([1]), [""])
    with pytest.raises(ValueError, match=r"loss: a record of shape \(1, 4\) does not fit \(1, 5\)"):
        results.write(one, {"loss": np.zeros((1, 4))}, *done)
    with pytest.raises(KeyError):
        results.write(one, {"nothing": np.zeros((1, 5))}, *done)
    with pytest.raises(KeyError):
        results.write(["unknown"], {}, *done)
    assert set(results.statuses().values()) == {"waiting"} <= set(STATUSES)
    with pytest.raises(FileNotFoundError, match="no results at"):
        open_results(tmp_path / "elsewhere")


def test_axes_of_a_product(tmp_path):
    runs = sweep(seeds=3, decays=(1.0, 0.0))
    write(open_toy(tmp_path / "r", runs), runs)
    ds = open_results(tmp_path / "r")
    assert hyperparameters(ds) == ["seed", "weight_decay", "width", "activation"]
    assert swept_axes(ds) == {"seed": ["seed"], "weight_decay": ["weight_decay"], "width": ["width"]}
    grid = on_axes(ds)
    assert dict(grid.sizes) == {"step": 5, "frequency": 3, "seed": 3, "weight_decay": 2, "width": 2}
    for run, expected in zip(runs, records(runs)["spectrum"], strict=True):
        at = {name: run.values[name] for name in ("seed", "weight_decay", "width")}
        np.testing.assert_array_equal(grid.spectrum.sel(at), expected)
        assert grid.run_id.sel(at).item() == run.id
    assert grid.activation.item() == "relu"


def test_axes_of_a_zip_and_of_an_incomplete_product(tmp_path):
    zipped = [
        Run({"seed": seed, "weight_decay": decay, "width": width, "activation": "relu"})
        for decay, width in ((1.0, 16), (0.1, 64))
        for seed in range(2)
    ]
    open_toy(tmp_path / "zip", zipped)
    grid = on_axes(open_results(tmp_path / "zip"))
    assert dict(grid.sizes) == {"step": 5, "frequency": 3, "seed": 2, "weight_decay": 2}
    assert grid.width.sel(weight_decay=[0.1, 1.0]).values.tolist() == [64, 16]

    runs = sweep()[:-1]
    write(open_toy(tmp_path / "hole", runs), runs)
    grid = on_axes(open_results(tmp_path / "hole"))
    hole = grid.sel(seed=1, weight_decay=1.0, width=32)
    assert np.isnan(hole.loss).all() and hole.status.item() == "absent"
    assert int((grid.status == "finished").sum()) == 7

    random = [
        Run({"seed": i, "weight_decay": i * 0.1, "width": 16 + i * i % 7, "activation": "relu"}) for i in range(40)
    ]
    scattered = [Run(dict(run.values, width=16 + (i * 17) % 40, seed=i // 2)) for i, run in enumerate(random)]
    open_toy(tmp_path / "random", scattered)
    with pytest.raises(ValueError, match="are not a product of"):
        on_axes(open_results(tmp_path / "random"))


def test_axes_of_one_run_and_of_one_axis(tmp_path):
    one = sweep(1, (1.0,), (16,))
    write(open_toy(tmp_path / "one", one), one)
    assert dict(on_axes(open_results(tmp_path / "one")).sizes) == {"step": 5, "frequency": 3}
    seeds = sweep(3, (1.0,), (16,))
    write(open_toy(tmp_path / "seeds", seeds), seeds)
    assert dict(on_axes(open_results(tmp_path / "seeds")).sizes) == {"seed": 3, "step": 5, "frequency": 3}
