import dataclasses
import json

import pytest
import toy

from experiments.llc import experiment as llc
from launch.report import main
from phenom_jax.store.config import Config, experiment_of, make_config
from phenom_jax.store.provenance import Environment
from phenom_jax.sweep.axes import Sweep, parse_sweep
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
        (config_of("no_such_thing"), "cannot be imported: No module named 'experiments.no_such_thing'"),
        (config_of("../grokking"), "cannot be imported: No module named 'experiments.'"),
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


def test_the_experiment_is_imported_from_where_it_was_trained(tmp_path):
    """Whatever the folder of the science is called."""
    settings = dataclasses.replace(Settings(), schedule=toy.toy.schedule)
    config = make_config(toy.toy, "the command", parse_sweep(toy.Toy, {}), settings, {})
    assert make_config(llc, "the command", parse_sweep(llc.hparams, {}), settings, {}).module == "experiments.llc"
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    assert config.module == "toy" and experiment_of(tmp_path) is toy.toy
