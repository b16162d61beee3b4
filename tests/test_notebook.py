"""The notebook runs from top to bottom, and is kept without outputs."""

import json
import sys
import types
from pathlib import Path

import matplotlib
import numpy as np
import pytest

NOTEBOOK = json.loads((Path(__file__).parent.parent / "docs" / "notebook.ipynb").read_text())
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_it_has_no_outputs():
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS)


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    notebook = types.ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)  # where its hyperparameters look for their types
    with matplotlib.rc_context():
        for cell in CELLS:
            lines = [line for line in cell["source"] if not line.startswith("%")]
            exec(compile("".join(lines), cell["id"], "exec"), vars(notebook))
    assert notebook.right > 0.95
    assert np.isfinite(notebook.results["generalisation_step"]).sum() == 4
    assert notebook.norms["measured"].notnull().all()
    assert notebook.mine["status"].values.tolist().count("diverged") == 8
    np.testing.assert_allclose(notebook.weights, 1, atol=0.1)
