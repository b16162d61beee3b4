"""The command line: what it refuses, what wins over what, what it writes and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import pytest

from phenom_jax.cli import main as launch_module
from phenom_jax.cli.flags import help_text, parse
from phenom_jax.cli.main import launch
from phenom_jax.device.start import start_jax
from phenom_jax.experiment import Experiment, Preset, Quantity, Schedule
from phenom_jax.hparams import InvalidValue, fields, hparams, size, static, swept
from phenom_jax.sizes import Size
from phenom_jax.store.config import read_config
from phenom_jax.sweep.settings import Settings
from phenom_jax.training.loop import Outcome
from phenom_jax.training.stop import SIGNALS, Stop


@hparams
class Descent:
    seed: int = swept(0, "initial weights")
    steps: int = swept(20, "gradient steps", at_least=0)
    rate: float = swept(0.1, "step size", above=0)
    width: Size = size(4, "dimensions")
    share: Size = size(0.5, "share that trains", of=lambda hp: hp.modulus)
    modulus: int = static(7, "prime", at_least=2)
    divide: bool = static(False, "whether to divide")

    def check(self):
        if self.divide and self.modulus % 2 == 0:
            raise InvalidValue(f"modulus: {self.modulus} is not prime, which divide=True needs")


class Step(NamedTuple):
    gradient_norm: Annotated[jax.Array, Quantity("norm of the gradient")]


class Loss(NamedTuple):
    loss: Annotated[jax.Array, Quantity("squared distance")]


def init(hp):
    return jnp.where(hp.width.mask, jax.random.normal(jax.random.key(hp.seed), (hp.width.padded,)), 0.0)


def step(x, hp, key):
    return x - hp.rate * x, Step(jnp.linalg.norm(x))


def measure(x, hp):
    return Loss(jnp.sum(x**2))


descent = Experiment(
    "descent",
    Descent,
    init,
    step,
    measure,
    presets={
        "": Preset("two runs", {"seed": "0:2"}),
        "paired": Preset("three pairs", {"rate": "0.1,0.2,0.3", "width": "2,3,4", "zip": "rate,width", "points": "9"}),
    },
    schedule=Schedule(resolution=5, points=6),
)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a command line in this process, whose JAX has started, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch_module, "start_jax", lambda *_: None)

    def run(*arguments):
        code = launch(descent, arguments, "python -m launch.descent " + " ".join(arguments))
        return code, *capsys.readouterr()

    return run


BAD = {
    "--sed=1": "--sed: no such flag, did you mean --seed?",
    "--nofoo": "--nofoo: no such flag",
    "--points_=3": "did you mean --points?",
    "--preset=pared": "preset: 'pared' is not one of paired, did you mean paired?",
    "--preset=paired,": "did you mean paired?",
    "seed=3": "seed=3: a stray word",
    "--seed": "--seed",
    "--seed=": "seed: '' is not an integer",
    "--seed=a": "seed: 'a' is not an integer",
    "--rate=nan": "rate: nan is not a finite number",
    "--rate=0": "rate: 0.0 is not above 0",
    "--width=0": "width: 0 is not at least 1",
    "--width=2.5": "width: '2.5' is not an integer",
    "--share=1": "share: 1.0 is not above 0 and below 1",
    "--share=0": "share: 0.0 is not above 0 and below 1",
    "--divide=maybe": "divide: 'maybe' is not true or false",
    "--divide=true --modulus=8": "modulus: 8 is not prime",
    "--seed=0:3 --rate=1,2 --zip=seed,rate": "zip: 'seed,rate': zipped axes must be of equal length",
    "--zip=seed,foo": "zip: 'seed,foo': 'foo' is no hyperparameter",
    "--plan=maybe": "plan: 'maybe' is not true or false",
    "--matmul_precision=low": "matmul_precision: 'low' is not one of highest, high, default",
    "--rerun=some": "rerun: 'some' is not one of none, failed, diverged, changed, all",
    "--lanes=-1": "lanes: -1 is not at least 0",
    "--lanes=2,4": "lanes: '2,4' is several values, allowed is one",
    "--devices=two": "devices: 'two' is not an integer",
    "--resolution=0": "resolution: 0 is not at least 1",
    "--checkpoint_seconds=nan": "checkpoint_seconds: nan is not a finite number",
    "--tensorboard_runs=0123456789abcdef": "tensorboard_runs: '0123456789abcdef' is no run of this sweep",
    "--flagfile=missing": "missing",
    "--flagfile=": "flagfile: names no file",
    f"--flagfile={sys.executable}": "flagfile: it is no file of flags",
    "--sed=1 --undefok=sed": "--undefok: no such flag",
    "--noplan=1": "noplan: takes no value, allowed are --noplan and --plan",
    "--noreport=true": "noreport: takes no value",
    "--rate=0:1:0.1": "lin:lo:hi:n or log:lo:hi:n",
    "--rate=geom:1:2:3": "lin:lo:hi:n or log:lo:hi:n",
    "--seed=geom:1:2:3": "lin:lo:hi:n or log:lo:hi:n",
    "--seed=1 --rate=1 --seed=2": "seed: is given 2 times, allowed is once",
    "--plan --rate=1 --noplan": "plan: is given 2 times",
    "--devices=1000": "devices: 1000 is not at least 0 and at most",
    "--cluster=local --shard=0/2": "shard: has no effect with --cluster",
}


@pytest.mark.parametrize("line, said", BAD.items())
def test_bad_input_is_one_line_and_starts_nothing(run, monkeypatch, line, said):
    monkeypatch.setattr(launch_module, "start_jax", lambda *_: pytest.fail("JAX was started"))
    code, out, error = run(*line.split())
    assert (code, out) == (2, "")
    assert said in error
    assert error.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.parametrize("place", ["file", "file/below", "foreign", "/proc/nowhere"])
def test_an_output_directory_that_cannot_be_ours_is_refused(run, place):
    Path("file").write_text("a file")
    Path("foreign").mkdir()
    Path("foreign/thesis.tex").write_text("years of work")
    code, out, error = run(f"--out={place}")
    assert (code, out) == (2, "")
    assert error.startswith("out: ")
    assert error.count("\n") == 1
    assert sorted(map(str, Path().rglob("*"))) == ["file", "foreign", "foreign/thesis.tex"]


def test_explicit_flags_override_the_preset_which_overrides_defaults():
    command = parse(descent, ["--preset=paired", "--rate=1,2,3", "--points=4"])
    assert command.sweep.axes["seed"] == (0,)
    assert command.sweep.axes["rate"] == (1.0, 2.0, 3.0)
    assert command.sweep.axes["width"] == (2, 3, 4)
    assert len(command.sweep) == 3
    assert command.settings.schedule == Schedule(resolution=5, points=4)
    assert command.out == Path("runs/descent-paired")


def test_no_preset_is_the_preset_without_a_name():
    assert parse(descent, []).sweep.axes["seed"] == (0, 1)
    assert parse(descent, []).out == Path("runs/descent")


def test_an_explicit_zip_replaces_the_presets():
    assert len(parse(descent, ["--preset=paired", "--zip="]).sweep) == 9
    command = parse(descent, ["--preset=paired", "--seed=0:3", "--zip=seed,rate", "--width=1"])
    assert command.sweep.zips == (("seed", "rate"),)


def test_zip_may_be_repeated():
    arguments = [
        "--seed=0:2",
        "--rate=1,2",
        "--width=1,2,3",
        "--modulus=3,5,7",
        "--zip=seed,rate",
        "--zip=width,modulus",
    ]
    assert len(parse(descent, arguments).sweep) == 6


def test_engine_flags_become_settings():
    arguments = "--matmul_precision=high --devices=3 --lanes=8 --group=2 --noretire_done --checkpoint_seconds=5"
    assert parse(descent, [*arguments.split(), "--rerun=failed", "--kept_points=0"]).settings == Settings(
        matmul_precision="high",
        schedule=Schedule(resolution=5, points=6, kept_points=0),
        retire_done=False,
        devices=3,
        lanes=8,
        group=2,
        checkpoint_seconds=5.0,
        rerun="failed",
    )
    assert parse(descent, []).settings == Settings(schedule=descent.schedule)


def test_help_names_every_flag_and_preset_and_fits_the_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    code, out, _ = run("--help", "--sed=1")
    assert code == 0
    assert out == help_text(descent) + "\n"
    for name, field in fields(Descent).items():
        shown = descent.presets[""].flags.get(name, field.default)
        assert re.search(rf"^  --{name}={shown} ", out, re.MULTILINE)
        assert field.help in out
    for name in (*Settings.__dataclass_fields__, *Schedule.__dataclass_fields__, "out", "plan", "zip", "preset=paired"):
        if name not in ("float_type", "schedule"):
            assert re.search(rf"^  --(\[no\])?{name}\b", out, re.MULTILINE), name
    assert max(map(len, out.partition("The engine")[2].splitlines())) <= 70
    assert os.listdir() == []


def test_the_plan_is_printed_and_nothing_written(run):
    code, out, _ = run("--plan", "--seed=0:3")
    assert code == 0
    assert re.search(r"\b3\b", out)
    assert os.listdir() == []


def test_a_plan_of_jobs_starts_none(run):
    code, out, _ = run("--plan", "--cluster=local", "--jobs=2")
    assert code == 0 and "2 runs" in out
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("flags", "said"),
    {
        "--group=1000": "group: 1000 lanes are more than the 16 runs of the largest program",
        "--lanes=100000000": "lanes: 100000000 are more than the 32 that the largest program's 16 runs on 8 devices",
        "--lanes=24 --group=1": "lanes: 24 are more than the 16 that",
    }.items(),
)
@pytest.mark.parametrize("more", [[], ["--plan"], ["--plan", "--accelerator=h100", "--accelerators=8"]])
def test_lanes_that_the_sweep_cannot_use_are_refused(run, flags, said, more):
    code, out, error = run("--seed=0:16", "--out=here", *flags.split(), *more)
    assert (code, out) == (2, "")
    assert error.startswith(said) and error.count("\n") == 1
    assert os.listdir() == []


def test_a_plan_says_how_much_is_done_there_already(run):
    run("--seed=0:2", "--out=here", "--noreport", "--notensorboard")
    code, out, _ = run("--seed=0:3", "--out=here", "--plan")
    assert code == 0
    assert out.splitlines()[-1] == "2 of 3 runs are done in here, where training goes on"


def test_a_plan_says_that_the_directory_disagrees(run):
    run("--seed=0:2", "--out=here", "--noreport", "--notensorboard")
    before = {path: path.read_bytes() for path in Path("here").rglob("*") if path.is_file()}
    code, out, error = run("--seed=0:3", "--rate=0.3", "--out=here", "--plan")
    assert code == 2 and "3 runs" in out
    assert error.splitlines()[1:] == ["  rate: directory has 0.1, command has 0.3"]
    code, _, error = run("--seed=0:2", "--out=here", "--plan", "--shard=0/2")
    assert code == 2 and "parts: directory has none" in error
    assert {path: path.read_bytes() for path in Path("here").rglob("*") if path.is_file()} == before


def test_a_command_trains_and_the_same_command_trains_nothing_more(run):
    arguments = ["--seed=0:3", "--out=here", "--noreport", "--notensorboard"]
    code, out, _ = run(*arguments)
    assert code == 0
    assert "3 of 3 runs done" in out
    assert "\x1b" not in out
    config = read_config("here")
    assert config.command == "python -m launch.descent " + " ".join(arguments)
    assert config.sweep == parse(descent, arguments).sweep
    code, out, _ = run(*arguments)
    assert code == 0
    assert "run-steps/s" not in out


def test_the_report_is_written_and_named(run):
    chosen = parse(descent, ["--seed=0:3"]).sweep.runs()[1].id
    code, out, _ = run("--seed=0:3", "--out=here", f"--tensorboard_runs={chosen}")
    assert code == 0
    assert out.splitlines()[-1] == f"report: {Path('here/report.html').absolute()}"
    assert "descent" in Path("here/report.html").read_text()
    assert any(path.is_file() for path in Path(f"here/tensorboard/runs/{chosen}").rglob("*"))
    assert len(Path("here/runs.csv").read_text().splitlines()) == 4


def test_without_a_report_there_is_still_a_row_per_run(run):
    run("--seed=0:3", "--out=here", "--noreport", "--notensorboard")
    assert {path.name for path in Path("here").iterdir()} == {
        "config.json",
        "lock",
        "results.zarr",
        "runs.csv",
        "checkpoints",
    }
    assert len(Path("here/runs.csv").read_text().splitlines()) == 4


def test_another_command_on_a_directory_is_refused_with_the_difference(run):
    run("--seed=0:2", "--out=here", "--noreport", "--notensorboard")
    before = {path: path.read_bytes() for path in Path("here").rglob("*") if path.is_file()}
    code, out, error = run("--seed=0:2", "--rate=0.3", "--out=here")
    assert (code, out) == (2, "")
    assert error.splitlines()[1:] == ["  rate: directory has 0.1, command has 0.3"]
    assert {path: path.read_bytes() for path in Path("here").rglob("*") if path.is_file()} == before


def test_an_interrupted_training_says_how_to_resume(run, monkeypatch):
    monkeypatch.setattr(launch_module, "train_sweep", lambda *_: Outcome("SIGTERM", {"running": 2}, 10))
    code, out, _ = run("--out=here")
    assert code == 75
    assert "stopped by SIGTERM" in out
    assert out.strip().endswith("python -m launch.descent --out=here")


def test_a_disk_that_refused_is_said_in_one_line(run, monkeypatch):
    refused = "checkpoint 3 in here cannot be read: [Errno 5] Input/output error"
    monkeypatch.setattr(launch_module, "train_sweep", lambda *_: Outcome(None, {"running": 2}, 0, refused))
    code, out, _ = run("--out=here")
    assert code == 74
    assert out.splitlines()[-1].startswith(f"ended, the disk refused to the end: {refused}; to resume: ")


def test_failed_runs_make_the_exit_code_one(run, monkeypatch):
    monkeypatch.setattr(launch_module, "train_sweep", lambda *_: Outcome(None, {"failed": 1, "finished": 1}, 10))
    monkeypatch.setattr(launch_module, "_show", lambda *_: None)
    assert run("--out=here")[0] == 1


def test_a_second_interrupt_ends_at_once(run, monkeypatch):
    def train(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")

    monkeypatch.setattr("phenom_jax.training.sweep.train", train)
    code, _, error = run("--out=here")
    assert code == 130
    assert "to resume" in error


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_to_stop(number):
    before = signal.getsignal(number)
    with Stop() as stop:
        assert stop.requested is None
        os.kill(os.getpid(), number)
        assert stop.requested == signal.Signals(number).name
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested == signal.Signals(number).name
    assert signal.getsignal(number) == before


def test_a_place_for_compiled_programs_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValue, match="compilation_cache: cannot write in"):
        start_jax(Settings(devices=8), tmp_path / "file" / "below")


MAIN = "from test_main import descent; from phenom_jax.cli.main import main; main(descent)"


def test_a_process_told_to_stop_keeps_its_work_and_the_same_command_goes_on(tmp_path):
    search = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)])
    environment = os.environ | {"PYTHONPATH": search, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    line = [
        sys.executable,
        "-c",
        MAIN,
        "--steps=2000000000",
        "--noreport",
        "--notensorboard",
        f"--out={tmp_path / 'out'}",
    ]

    def start_and_stop(number):
        process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout
            said = ""
            while "runs done" not in said:
                said += process.stdout.readline() or pytest.fail("ended by itself")
            process.send_signal(number)
            return said + process.stdout.read(), process.wait()

    said, code = start_and_stop(signal.SIGINT)
    assert code == 75
    assert "stopped by SIGINT, all is kept; to resume: " in said
    assert said.strip().endswith(f"--out={tmp_path / 'out'}")
    said, code = start_and_stop(signal.SIGTERM)
    assert code == 75
    assert "resumed 2 live runs" in said
    assert "stopped by SIGTERM" in said


SLOW_PLAN = """
import time
from phenom_jax.cli import main as launch
launch.choose = lambda *_: (print("planning", flush=True), time.sleep(60))
from test_main import descent
launch.main(descent)
"""


def test_a_plan_that_is_stopped_does_not_say_that_anything_is_kept(tmp_path):
    search = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)])
    environment = os.environ | {"PYTHONPATH": search, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    line = [sys.executable, "-c", SLOW_PLAN, "--plan", f"--out={tmp_path / 'out'}"]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "planning\n"
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130
    assert said == "stopped by SIGINT, nothing was trained or written\n"


START = """
import jax, sys
from pathlib import Path
from phenom_jax.sweep.settings import Settings
from phenom_jax.device.start import start_jax
start_jax(Settings(float_type="float64", matmul_precision="high", devices=3), None)
jax.jit(lambda x: x + 1)(1.0)
print(jax.numpy.ones(1).dtype, jax.config.jax_default_matmul_precision, jax.device_count("cpu"))
"""


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"])
def test_jax_starts_as_the_settings_say_and_keeps_what_it_compiles(tmp_path, variable):
    environment = os.environ | {variable: str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["float64", "high", "3"]
    cache = tmp_path / "phenom_jax" if variable == "XDG_CACHE_HOME" else tmp_path
    assert any(name.startswith("jit_") for name in os.listdir(cache))


def test_config_json_reads_by_itself(run):
    run("--seed=0:2", "--out=here", "--noreport", "--notensorboard")
    found = json.loads(Path("here/config.json").read_text())
    assert found["experiment"] == "descent"
    assert found["sweep"]["axes"]["seed"] == [0, 1]
    assert found["settings"]["matmul_precision"] == "highest"
    assert found["environment"]["versions"]["jax"] == jax.__version__
    assert found["plan"]["runs"] == 2
