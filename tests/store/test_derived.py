"""Derived variables in results.zarr: there for xarray.open_zarr alone, and never in the way of a training."""

import dataclasses
import shutil
from typing import Any

import numpy as np
import pytest
import xarray as xr
from toy import assert_same_results, results_of, toy, train_in

from phenom_jax.report.report import write_report
from phenom_jax.store import derived
from phenom_jax.store.dataset import open_results
from phenom_jax.store.derived import save_derived
from phenom_jax.store.directory import LOCK, unused

SWEEP: dict[str, Any] = {"seed": "0:3", "width": "2,4"}


def summarise(results):
    """Returns a variable per run, one of another axis, a coordinate of runs, labels and a text."""
    last = results["error"].max("step").assign_attrs(long_name="largest error", units="nat")
    found = {"largest": last, "halves": ("half", [0.5, np.nan]), "said": ("run", [f"run {n}" for n in last.values])}
    labels = {"input": [f"x{n}" for n in range(results.sizes["input"])], "block": ("run", results["seed"].values // 2)}
    return results.assign(found).assign_coords(labels)


experiment = dataclasses.replace(toy, summarise=summarise)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained")
    train_in(path, **SWEEP)
    save_derived(path / "results.zarr", summarise(open_results(path / "results.zarr")))
    return path


@pytest.fixture
def copy(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


def test_xarray_alone_reads_them_with_labels(trained):
    alone, summarised = xr.open_zarr(trained / "results.zarr").load(), summarise(open_results(trained / "results.zarr"))
    assert set(alone.variables) == set(summarised.variables)
    assert set(alone.coords) == set(summarised.coords)
    for name in ("largest", "halves", "said", "input", "block"):
        assert alone[name].dims == summarised[name].dims
        assert alone[name].values.tolist() == pytest.approx(summarised[name].values.tolist(), nan_ok=True)
    assert alone["largest"].attrs == {"long_name": "largest error", "units": "nat"}


def test_the_house_sees_what_was_measured_and_no_more(trained):
    assert not {"largest", "halves", "said", "block"} & set(open_results(trained / "results.zarr").variables)


def test_saving_again_changes_nothing(copy):
    before = xr.open_zarr(copy / "results.zarr").load()
    for _ in range(2):
        save_derived(copy / "results.zarr", summarise(open_results(copy / "results.zarr")))
    xr.testing.assert_identical(xr.open_zarr(copy / "results.zarr").load(), before)


def test_a_sweep_that_goes_on_drops_them_and_ends_as_one_without(copy, tmp_path):
    train_in(copy, seed="0:4", width="2,4")
    train_in(tmp_path / "straight", seed="0:4", width="2,4")
    assert_same_results(results_of(copy), results_of(tmp_path / "straight"))
    assert "largest" not in xr.open_zarr(copy / "results.zarr")
    assert not (copy / "results.zarr" / "largest").exists()


def test_rerun_runs_lose_what_was_derived_from_them(copy):
    train_in(copy, **SWEEP)  # nothing to do, and yet the training might have had
    assert "largest" not in xr.open_zarr(copy / "results.zarr")


def test_a_kill_leaves_a_store_without_them_and_the_next_time_completes_it(copy, monkeypatch):
    measured = open_results(copy / "results.zarr")
    monkeypatch.setattr(derived, "write_whole", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_derived(copy / "results.zarr", summarise(measured))
    assert "largest" not in xr.open_zarr(copy / "results.zarr")
    xr.testing.assert_identical(open_results(copy / "results.zarr"), measured)
    monkeypatch.undo()
    save_derived(copy / "results.zarr", summarise(measured))
    np.testing.assert_array_equal(xr.open_zarr(copy / "results.zarr")["largest"], summarise(measured)["largest"])


def test_damage_to_them_costs_no_run_and_is_mended_by_the_report(copy):
    for file in (copy / "results.zarr" / "largest").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damage")
    assert train_in(copy, **SWEEP).trained_steps == 0
    write_report(copy, experiment)
    assert np.isfinite(xr.open_zarr(copy / "results.zarr")["largest"]).all()


def test_runs_in_another_order_are_put_in_that_of_the_store_and_others_are_left_out(copy):
    results = summarise(open_results(copy / "results.zarr"))
    save_derived(copy / "results.zarr", results.isel(run=slice(None, None, -1)))
    np.testing.assert_array_equal(xr.open_zarr(copy / "results.zarr")["largest"], results["largest"])
    save_derived(copy / "results.zarr", results.isel(run=[0, 1]))
    assert "largest" not in xr.open_zarr(copy / "results.zarr")


def test_a_report_beside_a_training_leaves_the_store_alone(copy):
    train_in(copy, **SWEEP)
    with unused(copy) as ours:
        assert ours
        before = (copy / "results.zarr" / "zarr.json").read_bytes()
        write_report(copy, experiment)
        assert (copy / "results.zarr" / "zarr.json").read_bytes() == before
    assert (copy / LOCK).exists()
    write_report(copy, experiment)
    assert "largest" in xr.open_zarr(copy / "results.zarr")
