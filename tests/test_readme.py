"""The README's own phenomenon is extracted and run, and its commands are those that exist."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()
ROOT = Path(__file__).parent.parent


def code_after(name: str) -> str:
    """Returns the Python block that follows the first mention of `name` in the last section."""
    section = README[README.index("## Add your own phenomenon") :]
    found = re.search(r"```python\n(.*?)```", section[section.index(f"`{name}`") :], re.DOTALL)
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
    command = [sys.executable, "-m", "launch.implicit_bias", "--out=out", "--seed=0:3", "--notensorboard"]
    found = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    (claim,) = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert claim["verdict"] == "holds" and "12 of 12 runs" in claim["statistic"]
    assert (tmp_path / "out" / "figures" / "norm.png").stat().st_size > 10_000


def test_the_readme_names_files_that_exist():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
    for module in set(re.findall(r"-m (launch\.\w+)", README)) - {"launch.implicit_bias"}:
        assert any((ROOT / f"{module.replace('.', '/')}{tail}").exists() for tail in (".py", "/__main__.py")), module
