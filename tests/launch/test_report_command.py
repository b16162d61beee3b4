import dataclasses
import json

import pytest

from launch.report import main
from phenom_jax.store.config import Config
from phenom_jax.store.provenance import Environment
from phenom_jax.sweep.axes import Sweep
from phenom_jax.sweep.settings import Settings


def config_of(experiment):
    here = Environment({}, None, False, "cpu", "cpu", 2)
    made = Config(experiment, "the command", Sweep({"seed": (0,)}), Settings(), here, {}, "then", "then")
    return json.dumps(dataclasses.asdict(made))


@pytest.mark.parametrize(
    "config, message",
    [
        (None, "is no run directory"),
        ("", "is no run directory"),
        (config_of("no_such_thing"), "there is no experiments/no_such_thing.py"),
        (config_of("../grokking"), "there is no experiments/../grokking.py"),
        (config_of("grokking"), "holds no results.zarr yet"),
    ],
)
def test_bad_directories_exit_2_with_one_line(tmp_path, capsys, config, message):
    directory = tmp_path / "run"
    if config is not None:
        directory.mkdir()
    if config:
        (directory / "config.json").write_text(config)
    assert main([str(directory)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and not captured.out


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["--unknown"]])
def test_usage(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m launch.report DIRECTORY")
