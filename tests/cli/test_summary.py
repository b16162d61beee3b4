"""What the terminal shows of results."""

import io

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from phenom_jax.claims import Claim, Source, below
from phenom_jax.claims.lift import decide
from phenom_jax.cli.summary import show, summary_table

NAN = np.nan


@pytest.fixture
def results():
    """Two weight decays x three seeds; one run of decay 1 diverged, one left early, the others reached the end."""
    hyperparameter = {"hyperparameter": "swept"}
    return xr.Dataset(
        {
            "accuracy": (
                ("run", "step"),
                [[0, 0.1, 0.2], [0, 0.1, 0.3], [0, 0.2, 0.7], [0, NAN, NAN], [0, 0.98, NAN], [0, 0.5, 0.9]],
            ),
            "spectrum": (("run", "step", "frequency"), np.zeros((6, 3, 4))),
            "generalisation_step": ("run", [NAN, NAN, NAN, NAN, 1000.0, 2000.0]),
        },
        {
            "status": ("run", ["finished"] * 3 + ["diverged", "done", "finished"]),
            "step": [0, 1000, 2000],
            "seed": ("run", [0, 1, 2, 0, 1, 2], hyperparameter),
            "split_seed": ("run", [5, 6, 7, 5, 6, 7], hyperparameter),
            "weight_decay": ("run", [0.0] * 3 + [1.0] * 3, hyperparameter),
            "width": ("run", [8] * 6, hyperparameter),
        },
    )


def printed(results, width=100, findings=(), terminal=False):
    out = io.StringIO()
    show(results, findings, Console(file=out, width=width, force_terminal=terminal))
    return out.getvalue()


def test_a_cell_is_a_row_with_medians_over_its_runs(results):
    head, *rows = [line.split() for line in printed(results).splitlines()[1:]]
    assert head == ["decay", "runs", "diverged", "step", "accuracy"]
    assert rows == [
        ["0", "3", "0", "never", "0.3"],
        ["1", "3", "1", "2000", "0.9"],
    ]


def test_what_does_not_fit_is_left_out(results):
    assert "accuracy" not in printed(results, width=40)
    assert max(map(len, printed(results, width=40).splitlines())) <= 40


def test_a_sweep_over_seeds_alone_is_one_row(results):
    (_, _, row) = printed(results.isel(run=slice(0, 3))).splitlines()
    assert row.split() == ["3", "never", "0.3"]


def test_many_cells_are_counted_not_printed(results: xr.Dataset):
    many = xr.concat([results.assign_coords(weight_decay=("run", np.full(6, float(i)))) for i in range(50)], "run")
    many.weight_decay.attrs["hyperparameter"] = "swept"
    assert summary_table(many, 100).row_count == 40
    assert "10 cells more" in printed(many)


def decay_of(runs):
    """Weight decay, the largest."""
    return float(runs["weight_decay"].max())


def test_claims_follow_with_verdict_and_statistic(results):
    claim = Claim("weight decay [lr*wd] helps", Source("Power et al. 2022"), decay_of, below(2), scale="exact")
    out = printed(results, findings=[decide(claim, results, strict=True)])
    assert out.splitlines()[-2:] == [
        "     holds  weight decay [lr*wd] helps",
        "            weight decay, the largest: 0.667 [0, 1] (range of 3 seeds)",
    ]
    assert "\x1b" not in out
    assert "\x1b" in printed(results, terminal=True)
