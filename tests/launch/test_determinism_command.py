"""Paired determinism: the same seeds in several layouts are paired by their seed, whatever it says of them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from launch import determinism
from phenom_jax.claims.lift import decide_all


def paired(alone, lanes, wide):
    """Returns seeds in three layouts, True where one generalises."""
    layouts = {"alone": alone, "lanes": lanes, "wide": wide}
    return xr.Dataset(
        {"generalisation_step": ("run", np.where(np.concatenate(list(layouts.values())), 100.0, np.nan))},
        {
            "seed": ("run", np.tile(np.arange(len(alone)), 3)),
            "layout": ("run", np.repeat(list(layouts), len(alone))),
            "status": ("run", ["finished"] * 3 * len(alone)),
        },
    )


@pytest.mark.parametrize(
    "lost, gained, rate, flips",
    [(0, 0, "holds", "holds"), (3, 3, "holds", "undecided"), (20, 20, "undecided", "fails"), (24, 0, "fails", "fails")],
)
def test_seeds_may_flip_where_the_rate_may_not(lost, gained, rate, flips):
    alone = np.arange(64) < 32
    lanes = alone.copy()
    lanes[:lost] = False
    lanes[32 : 32 + gained] = True
    findings = decide_all(determinism.CLAIMS, paired(alone, lanes, alone), strict=True)
    assert [finding.verdict for finding in findings] == [rate, flips]
    assert f"lanes: {gained} seeds gained, {lost} lost" in "\n".join(determinism.said(findings))


def test_mcnemar_is_the_exact_one():
    """9 lost and 1 gained: twice the binomial tail of 10 fair coins, 22/1024."""
    alone = np.arange(20) < 10
    lanes = alone.copy()
    lanes[:9], lanes[10] = False, True
    findings = decide_all(determinism.CLAIMS, paired(alone, lanes, alone), strict=True)
    assert "lanes: 1 seeds gained, 9 lost, McNemar p = 0.021" in determinism.said(findings)


SMALL = """
import sys
from launch import determinism
determinism.GROUPS = {"alone": 1, "lanes": 2}
determinism.FLAGS = {"modulus": "7", "width": "8", "steps": "20", "expensive_points": "0"}
sys.exit(determinism.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_command_trains_all_layouts_and_resumes(tmp_path):
    command = [sys.executable, "-c", SMALL, "--seeds=0:6", f"--out={tmp_path}"]  # a process of its own: it sets up JAX
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    rows = json.loads((tmp_path / "claims.json").read_text())
    assert [row["experiment"] for row in rows] == ["determinism"] * 2 and rows[0]["units"] == 6
    assert subprocess.run(command, capture_output=True).returncode == 0  # nothing is trained again
    assert json.loads((tmp_path / "claims.json").read_text())[0]["estimate"] == rows[0]["estimate"]
    assert "McNemar" in first.stdout
