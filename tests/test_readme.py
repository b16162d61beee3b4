"""The phenomenon of docs/extending.md is extracted and run, and what the README and docs name exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTENDING = (ROOT / "docs/extending.md").read_text()
PAGES = ["README.md", "docs/running.md", "docs/phenomena.md", "docs/extending.md"]


def code_after(name: str) -> str:
    """Returns the Python block that follows the first mention of `name`."""
    found = re.search(r"```python\n(.*?)```", EXTENDING[EXTENDING.index(f"`{name}`") :], re.DOTALL)
    assert found
    return found[1]


def test_the_readmes_phenomenon_is_short_and_runs(tmp_path):
    experiment, launcher = code_after("experiments/implicit_bias.py"), code_after("launch/implicit_bias.py")
    assert len(experiment.splitlines()) <= 60
    for name in ("experiments", "launch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "experiments" / "implicit_bias.py").write_text(experiment)
    (tmp_path / "launch" / "implicit_bias.py").write_text(launcher)
    (tmp_path / "phenom_jax").symlink_to(ROOT / "phenom_jax")
    command = [sys.executable, "-m", "launch.implicit_bias", "--out=out", "--seed=0:5", "--notensorboard"]
    found = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    (claim,) = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert claim["verdict"] == "holds" and claim["units"] == 5
    assert (tmp_path / "out" / "figures" / "norm.png").stat().st_size > 10_000


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page):
    text = (ROOT / page).read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / path).exists(), path
    for module in set(re.findall(r"-m (launch\.\w+)", text)) - {"launch.implicit_bias", "launch.NAME"}:
        assert any((ROOT / f"{module.replace('.', '/')}{tail}").exists() for tail in (".py", "/__main__.py")), module


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
