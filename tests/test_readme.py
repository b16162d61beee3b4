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


@pytest.fixture
def project(tmp_path):
    """A directory with the page's experiment, launcher and test."""
    for path in ("experiments/implicit_bias.py", "launch/implicit_bias.py", "tests/test_implicit_bias.py"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(code_after(path))
    for name in ("experiments", "launch"):
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "phenom_jax").symlink_to(ROOT / "phenom_jax")
    return tmp_path


def python(project, *arguments):
    command, env = [sys.executable, "-m", *arguments], os.environ | {"PYTHONPATH": ""}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_the_page_s_phenomenon_is_short_and_runs(project):
    assert len(code_after("experiments/implicit_bias.py").splitlines()) <= 70
    found = python(project, "launch.implicit_bias", "--out=out", "--seed=0:5", "--notensorboard")
    assert found.returncode == 0, found.stderr
    (claim,) = json.loads((project / "out" / "claims.json").read_text())
    assert claim["verdict"] == "holds" and claim["units"] == 5
    assert (project / "out" / "figures" / "norm.png").stat().st_size > 10_000
    debug = python(project, "launch.implicit_bias", "--preset=debug", "--out=debug", "--noreport", "--notensorboard")
    assert "\nas expected: loss" in debug.stdout


@pytest.mark.slow
def test_the_page_s_test_passes_and_says_what_it_says_without_the_mask(project):
    test = ("pytest", "tests/test_implicit_bias.py", "-q", "-p", "no:cacheprovider")
    assert python(project, *test).returncode == 0
    path = project / "experiments" / "implicit_bias.py"
    masked = re.compile(r"masked_mean\((.*), hp.examples\)")
    unmasked, count = masked.subn(r"(\1).mean()", path.read_text())
    path.write_text(unmasked)
    output = re.search(r"```text\n(.*?)\n```", EXTENDING, re.DOTALL)
    assert count == 1 and output and output[1] in re.sub(r"\nE +", "\n", python(project, *test).stdout)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page):
    text = (ROOT / page).read_text()
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / path).exists(), path
    for module in set(re.findall(r"-m (launch\.\w+)", text)) - {"launch.implicit_bias", "launch.NAME"}:
        assert any((ROOT / f"{module.replace('.', '/')}{tail}").exists() for tail in (".py", "/__main__.py")), module


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 120
