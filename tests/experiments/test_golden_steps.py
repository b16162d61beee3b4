"""The first steps of every experiment give the numbers that were recorded: a formula that changed is seen here."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from there import there

SCRIPT = Path(__file__).parents[1] / "golden" / "steps.py"
spec = there(importlib.util.spec_from_file_location("golden_steps", SCRIPT))
golden = importlib.util.module_from_spec(spec)
there(spec.loader).exec_module(golden)
MEANT = "if you meant to change this, run `python tests/golden/steps.py` and commit steps.json"


@pytest.mark.parametrize("name", golden.NAMES)
def test_the_first_steps_are_those_recorded(name):
    recorded, found = json.loads(golden.RECORDED.read_text()).get(name, {}), golden.first_steps(name)
    assert found.keys() == recorded.keys(), MEANT
    for metric, values in recorded.items():
        one, other = (np.array(each, float) for each in (found[metric], values))  # None is NaN
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-9, err_msg=f"{metric}: {MEANT}")
