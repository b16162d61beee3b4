import dataclasses
import subprocess
import sys
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
import toy

from phenom_jax.cli import main as main_module
from phenom_jax.cli.debug import debug
from phenom_jax.cli.main import launch
from phenom_jax.sweep.axes import parse_sweep


def test_it_measures_what_the_sweep_measures(tmp_path, capsys):
    flags: dict[str, Any] = {"seed": "3,4", "steps": "10", "width": "5"}
    toy.train_in(tmp_path, **flags)
    results = toy.results_of(tmp_path)
    trained = results.isel(run=int(np.argmax(results.seed.values == 3))).sel(step=10)
    capsys.readouterr()
    debug(toy.toy, parse_sweep(toy.Toy, {**flags, "seed": "3"}), toy.toy.schedule)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("one run of 1, without compilation: --seed=3 --steps=10")
    assert said[-1].startswith("step 10: ")
    values = dict(item.rsplit(" ", 1) for item in said[-1].removeprefix("step 10: ").split(", ") if "[" not in item)
    for name in ("loss", "error", "readout_norm"):
        assert float(values[name]) == pytest.approx(trained[name].item(), rel=1e-3)


def test_python_runs_at_every_step_and_a_nan_has_its_place(capsys):
    seen = []

    class Loss(NamedTuple):
        loss: object

    def step(state, hp, key):
        seen.append(float(state.weights.hidden.sum()))  # no tracer
        return state, Loss(jnp.log(-jnp.square(state.weights.hidden).sum()) if len(seen) == 4 else jnp.float32(0))

    with pytest.raises(FloatingPointError):
        debug(dataclasses.replace(toy.toy, step=step), parse_sweep(toy.Toy, {"steps": "60"}), toy.toy.schedule)
    assert len(seen) == 4 and "step 0: " in capsys.readouterr().out


def test_a_sweep_is_refused_where_jax_is_set_to_debug(tmp_path):
    command = [sys.executable, "-m", "launch.three_factors", f"--out={tmp_path / 'out'}"]
    found = subprocess.run(command, env={"JAX_DEBUG_NANS": "1", "PATH": ""}, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr == "JAX_DEBUG_NANS: is set, which no sweep can be trained with, allowed is --debug\n"


def test_the_flag_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(main_module, "start_jax", lambda *_: None)  # these tests have started it
    flags = ["--debug", "--steps=6", "--resolution=1", "--points=20", "--seed=0:3", f"--out={tmp_path / 'out'}"]
    assert launch(toy.toy, flags, "typed") == 0
    said = capsys.readouterr().out
    assert "one run of 3" in said and said.count("\nstep ") == 7 and not (tmp_path / "out").exists()
