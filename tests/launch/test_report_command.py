import json

import pytest

from launch.report import main


@pytest.mark.parametrize(
    "config, message",
    [
        (None, "is not a directory"),
        ("", "holds no readable config.json"),
        (json.dumps({"experiment": "no_such_thing"}), "there is no experiments/no_such_thing.py"),
        (json.dumps({"experiment": "../grokking"}), "there is no experiments/../grokking.py"),
        (json.dumps({"experiment": "grokking"}), "holds no results.zarr yet"),
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
