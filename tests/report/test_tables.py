import csv

import numpy as np
import pytest
from synthetic import make, with_steps

from phenom_jax.report.tables import Spread, cells, write_runs
from phenom_jax.store.axes import final_values, groups


def mixed(row, status):
    return {0: "diverged", 1: "running", 2: "waiting"}.get(row, status)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    ds = make(tmp_path_factory.mktemp("tables") / "r", statuses=mixed)
    after_end = ds.step.values > ds.last_step.values[:, None]
    steps = np.where(ds.test_accuracy.values.max(1, initial=0, where=~after_end) >= 0.95, 777.0, np.nan)
    return with_steps(ds, generalisation_step=steps, generalisation_after=steps - 1)


def test_final_values_are_those_at_the_last_measured_step(results):
    final = final_values(results)
    for run in range(results.sizes["run"]):
        for name in ("test_accuracy", "restricted_loss"):
            measured = results[name].values[run]
            measured = measured[~np.isnan(measured)]
            expected = measured[-1] if len(measured) else np.nan
            np.testing.assert_array_equal(final[name].values[run], expected)
    assert "fourier_spectrum" not in final and "generalisation_step" in final


def test_runs_csv_is_tidy(results, tmp_path):
    write_runs(tmp_path / "runs.csv", results)
    with (tmp_path / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == results.sizes["run"] and [path.name for path in tmp_path.iterdir()] == ["runs.csv"]
    assert list(rows[0])[:8] == [
        "run_id", "seed", "steps", "weight_decay", "learning_rate", "width", "train_fraction", "activation",
    ]  # fmt: skip
    assert list(rows[0])[8:13] == ["status", "last_step", "reason", "code", "generalisation_step"]
    assert rows[0]["status"] == "diverged" and rows[0]["reason"] == "train_loss is nan"
    assert rows[2]["status"] == "waiting" and rows[2]["test_accuracy"] == ""
    for at, row in enumerate(rows):
        assert row["run_id"] == results.run_id.values[at] and int(row["width"]) == results.width.values[at]
        if row["test_accuracy"]:
            assert float(row["test_accuracy"]) == pytest.approx(final_values(results).test_accuracy.values[at])


def test_cells_are_the_runs_that_differ_in_seed_alone(results):
    found = cells(results)
    assert [cell.values for cell in found] == [
        {"weight_decay": decay, "width": width} for decay in (0.0, 0.3, 1.0) for width in (32, 128)
    ]
    assert found[0].statuses == {"diverged": 1, "finished": 3}
    assert found[1].statuses == {"running": 1, "finished": 3}
    assert found[2].statuses == {"waiting": 1, "done": 3}
    never, always = found[0].measures["generalisation_step"], found[5].measures["generalisation_step"]
    assert np.isinf(never).all() and str(never) == "never"
    assert always == (777, 777, 777) and str(always) == "777"
    assert "generalisation_after" not in found[0].measures
    over = np.flatnonzero((results.weight_decay == 1) & (results.width == 128))
    finals = final_values(results).weight_norm.values[over]
    assert found[5].measures["weight_norm"] == pytest.approx((np.median(finals), finals.min(), finals.max()))


@pytest.mark.parametrize(
    "spread, text",
    [
        (Spread(1.0, 1.0, 1.0), "1"),
        (Spread(0.12345, 0.1, 0.2), "0.123 [0.1, 0.2]"),
        (Spread(12345.0, 99.0, 123456.7), "12345 [99, 123457]"),
        (Spread(np.inf, 3.0, np.inf), "never [3, never]"),
        (Spread(np.nan, np.nan, np.nan), ""),
    ],
)
def test_spread_reads_well(spread, text):
    assert str(spread) == text


def test_one_run_is_one_cell(tmp_path):
    ds = make(tmp_path / "r", seed=(0,), weight_decay=(1.0,), width=(64,))
    (cell,) = cells(ds)
    assert cell.values == {} and cell.statuses == {"done": 1}


def test_groups_agree_in_the_named_hyperparameters(results):
    found = dict(groups(results, ("weight_decay", "learning_rate", "width")))
    assert list(found)[:2] == ["weight decay 0, width 32", "weight decay 0, width 128"]
    assert sum(runs.sizes["run"] for runs in found.values()) == results.sizes["run"]
    assert all(np.ptp(runs[name].values) == 0 for runs in found.values() for name in ("weight_decay", "width"))
    assert list(dict(groups(results, ("learning_rate",)))) == ["all runs"]
    assert not list(groups(results.isel(run=[]), ("width",)))
