"""No step of training adds floats in an order that differs from time to time on a GPU: a run resumes to the bit there.

Seen in what JAX hands to a GPU's compiler, and, with the extra `accelerators`, in what that makes of it for an H100.
"""

import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import gpu_steps
import jax
import pytest

import experiments

HERE = Path(__file__).parent
NO_STEP = {
    *("linear_double_descent", "polynomial", "random_features"),  # solve
    "llc",  # steps through the loss of another experiment, whose runs it needs
}
DEFAULTS = [(module.name, {}) for module in pkgutil.iter_modules(experiments.__path__) if module.name not in NO_STEP]
LOOK_UP = [
    ("grokking", {"model": "embedding_mlp", "batching": "minibatch"}),
    ("grokking", {"model": "nanda"}),
    ("grokking", {"model": "power"}),
    ("induction_heads", {"task": "markov", "heads": 2, "start_token": True}),
    ("induction_heads", {"positions": "learned", "probe_block": 7, "block": "full", "smeared": True}),
]
COMPILER = pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda13_plugin") is None,
    reason='the compiler for an H100 is not installed: pip install -e ".[accelerators]"',
)


def named(part):
    return part if isinstance(part, str) else ",".join(f"{name}={value}" for name, value in part.items()) or "defaults"


def lowered(lanes):
    """Returns what JAX hands to a GPU's compiler."""
    return jax.jit(lanes.function).trace(*lanes.shapes).lower(lowering_platforms=("cuda",)).as_text("hlo")


def compiled_for_h100(name, settings):
    """Returns what a process of its own finds in the compiled step: no other sees the compiler or its flags."""
    done = subprocess.run(
        [sys.executable, HERE / "gpu_steps.py", name, json.dumps(settings)],
        env=os.environ
        | {"JAX_PLATFORMS": "cpu", "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1", "PYTHONPATH": str(HERE.parent.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kernels"], "no machine code was written"
    return found


@pytest.mark.parametrize("name, settings", DEFAULTS + LOOK_UP, ids=named)
def test_a_step_scatters_no_floats_that_may_meet(name, settings):
    assert not gpu_steps.may_meet(lowered(gpu_steps.training_step(name, settings)))


def test_a_plain_lookup_does_in_its_gradient():
    assert gpu_steps.may_meet(lowered(gpu_steps.LOOKUPS["plain"]))
    assert not gpu_steps.may_meet(lowered(gpu_steps.LOOKUPS["look_up"]))


@COMPILER
@pytest.mark.accelerators
@pytest.mark.slow
@pytest.mark.parametrize("name, settings", DEFAULTS + LOOK_UP, ids=named)
def test_a_step_on_an_h100_has_no_atomics(name, settings):
    found = compiled_for_h100(name, settings)
    assert not found["scatters"]
    assert not found["atomics"]


@COMPILER
@pytest.mark.accelerators
@pytest.mark.slow
def test_a_plain_lookup_on_an_h100_has_them():
    plain, ours = (compiled_for_h100(name, {}) for name in ("plain", "look_up"))
    assert plain["scatters"] and any(".add" in atomic or ".cas" in atomic for atomic in plain["atomics"])
    assert not ours["scatters"] and not ours["atomics"]
