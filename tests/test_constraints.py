"""constraints.txt has a version of everything that setup.cfg asks for, and one that it allows."""

import configparser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
ASKED = [CONFIG["options"]["install_requires"], *(CONFIG["options.extras_require"][name] for name in ("test", "docs"))]


@pytest.mark.parametrize("requirement", [line for text in ASKED for line in text.split("\n") if line])
def test_a_tested_version_is_known(requirement):
    asked = Requirement(requirement)
    assert asked.specifier.contains(PINNED[asked.name.lower()])
