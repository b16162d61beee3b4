"""Results of other code are never mixed in silence: what counts as other code, and what a start does about it."""

import dataclasses
import functools
import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import toy
from test_parts import SETTINGS, SWEEP, train_part
from toy import StopAfter, results_of, train_in

from phenom_jax.cli import main as launch_module
from phenom_jax.cli.main import launch
from phenom_jax.device import layout
from phenom_jax.hparams import InvalidValue
from phenom_jax.report.report import write_report
from phenom_jax.store.code import changed, code_of
from phenom_jax.store.config import make_config, read_config
from phenom_jax.store.directory import share_out
from phenom_jax.store.united import open_sweep
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.parts import Part
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent.parent / "golden" / "run_directory_1"

MODULES = {
    "__init__": """
from decay.claims import CLAIMS
from decay.science import Decay, init, measure, step, summarise
from phenom_jax.experiment import Experiment, Preset, Schedule

experiment = Experiment(
    "decay", Decay, init, step, measure, keep=lambda x: x, summarise=summarise, claims=CLAIMS,
    presets={"": Preset("two runs", {"seed": "0:2"})}, schedule=Schedule(resolution=5, points=4),
)
""",
    "science": '''
"""A number falls."""
import dataclasses
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from decay import begin
from decay.parts import LIMITS, Faller
from phenom_jax.experiment import Quantity
from phenom_jax.hparams import hparams, swept
from phenom_jax.models.layers import Dense


@hparams
class Decay:
    seed: int = swept(0, "where it starts")
    steps: int = swept(20, "steps", at_least=0)

    def rate(self):
        return 0.1


class Loss(NamedTuple):
    loss: Annotated[jax.Array, Quantity("its square")]


class Moved(NamedTuple):
    distance: jax.Array


def init(hp):
    return jnp.asarray(float(begin.BEGIN)) + hp.seed


def step(x, hp, key):
    """Returns the number after one step."""
    after = KINDS["falling"](hp.rate())(x)  # it falls
    return after, Moved(x - after)


def measure(x, hp):
    return Loss(x**2)


def summarise(results):
    return results.assign(twice=2 * results["loss"])


KINDS = {"falling": Faller}
KINDS["rising"] = Faller
''',
    "begin": "BEGIN = 1",
    "parts": """
LIMITS = (0, 1)


class Faller:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, x):
        return x - self.rate * x


def unused(x):
    return x
""",
    "claims": '''
from phenom_jax.claims import Claim, Source, below
from phenom_jax.claims.runs import last


def final(runs):
    """Square at the end."""
    return float(last(runs, "loss").mean())


CLAIMS = (Claim("It falls.", Source("this test"), final, below(1)),)
''',
}

FASTER = ("parts", "x - self.rate * x", "x - 2 * self.rate * x")
SLOWER = ("parts", "x - self.rate * x", "x - self.rate * x / 2")
NOTHING = ("science", "# it falls", "# it really does")


@pytest.fixture
def decay(tmp_path, monkeypatch):
    """Returns how to import the experiment with these replacements in its modules."""
    folder = tmp_path / "code" / "decay"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder.parent)

    def load(*edits):
        for name, text in MODULES.items():
            for _, old, new in (edit for edit in edits if edit[0] == name):
                assert old in text
                text = text.replace(old, new)
            (folder / f"{name}.py").write_text(text)
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        for name in [name for name in sys.modules if name.partition(".")[0] == "decay"]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        return importlib.import_module("decay").experiment

    return load


def settings_of(experiment, **more):
    return Settings(schedule=experiment.schedule, group=1, lanes=4, **more)


def train(path, experiment, stop=None, seed="0:2", steps="20", **more):
    return train_in(path, experiment, stop, settings_of(experiment, **more), seed=seed, steps=steps)


def codes_of(path):
    return results_of(path).code.values.tolist()


@pytest.mark.parametrize(
    "edit, modules",
    [
        (NOTHING, []),
        (("science", "Returns the number after one step", "Does the same"), []),
        (("science", "def init(hp):", "def init(hp: Decay) -> jax.Array:"), []),
        (("science", "Moved(x - after)", "Moved((x - after,))"), ["decay.science"]),
        (("science", "Moved(x - after)", "Moved(\n        x - after,\n    )"), []),
        (("science", 'KINDS["falling"]', "KINDS['falling']"), []),
        (("science", "where it starts", "the start"), []),
        (("science", "its square", "squared"), []),
        (("science", "2 * results", "3 * results"), []),
        (("claims", "below(1)", "below(2)"), []),
        (("__init__", "two runs", "a pair"), []),
        (("parts", "LIMITS = (0, 1)", "LIMITS = (0, 2)"), []),  # imported and not used
        (("parts", "return x\n", "return 2 * x\n"), []),
        (FASTER, ["decay.parts"]),
        (("begin", "BEGIN = 1", "BEGIN = 2"), ["decay.begin"]),
        (("science", "return 0.1", "return 0.2"), ["decay.science"]),
        (("science", "Loss(x**2)", "Loss(x**4)"), ["decay.science"]),
        (("science", 'KINDS["rising"] = Faller', 'KINDS["rising"] = None'), ["decay.science"]),
        (("science", "import jax.numpy as jnp", "import numpy as jnp"), ["decay.science"]),
        (("__init__", "keep=lambda x: x", "keep=lambda x: 2 * x"), ["decay"]),
    ],
)
def test_code_is_other_code_where_it_decides_what_a_run_is(decay, edit, modules):
    before = code_of(decay())
    assert changed(before, code_of(decay(edit))) == modules


def test_parts_of_the_library_count_where_they_are_used(decay):
    uses = ("science", "return Loss(x**2)", "return Loss(Dense and x**2)")
    assert "phenom_jax.models.layers" not in code_of(decay())
    assert {"phenom_jax.models.layers", "phenom_jax.sizes"} <= code_of(decay(uses)).keys()
    assert not any(name.startswith(("phenom_jax.engine", "phenom_jax.hparams")) for name in code_of(toy.toy))


def test_what_a_function_was_given_beforehand_counts():
    def factor(by):
        return dataclasses.replace(toy.toy, measure=lambda state, hp: by * state)

    def partly(by):
        return dataclasses.replace(toy.toy, step=functools.partial(toy.step, key=by))

    for given in (factor, partly):
        assert code_of(given(1)) == code_of(given(1)) != code_of(given(2))


def test_changed_code_is_refused_with_the_module_named_and_changes_nothing(decay, tmp_path):
    train(tmp_path / "out", decay())
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for seed in ("0:2", "0:4"):
        with pytest.raises(
            InvalidValue, match=r"^out: .* has 2 runs of other code \(changed: decay.parts\)"
        ) as refused:
            train(tmp_path / "out", decay(FASTER), seed=seed)
        assert "--rerun=changed" in str(refused.value) and "--accept_changes" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_the_command_line_refuses_with_exit_code_2_and_goes_on_as_told(decay, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(launch_module, "start_jax", lambda *_: None)

    def command(experiment, *flags):
        more = ("--noreport", "--notensorboard", "--devices=1", f"--out={tmp_path / 'out'}")
        code = launch(experiment, [*flags, *more], " ".join(["decay", *flags]))
        return code, capsys.readouterr()

    assert command(decay())[0] == 0
    code, said = command(decay(FASTER))
    assert code == 2 and len(said.err.splitlines()) == 1 and "decay.parts" in said.err
    assert command(decay(NOTHING))[0] == 0
    assert command(decay(FASTER), "--accept_changes", "--seed=0:3")[0] == 0
    assert command(decay(FASTER), "--rerun=changed", "--seed=0:3")[0] == 0
    starts = read_config(tmp_path / "out").starts
    assert [start.command for start in starts] == [
        "decay",
        "decay",
        "decay --accept_changes --seed=0:3",
        "decay --rerun=changed --seed=0:3",
    ]


def test_runs_of_other_code_are_trained_again_and_no_others(decay, tmp_path):
    out = tmp_path / "out"
    train(out, decay())
    assert train(out, decay(FASTER), seed="0:3", accept_changes=True).trained_steps == 20
    outcome = train(out, decay(FASTER), seed="0:3", rerun="changed")
    assert outcome.trained_steps == 40 and outcome.counts == {"finished": 3}
    assert len(set(codes_of(out))) == 1
    results = results_of(out)
    assert results.loss.values[:, -1] == pytest.approx((1 + results.seed.values) ** 2 * 0.8**40)
    assert train(out, decay(FASTER), seed="0:3").trained_steps == 0
    assert train(out, decay(FASTER), seed="0:3", rerun="all").trained_steps == 60


def test_accepted_changes_are_recorded_and_hold_for_that_code_alone(decay, tmp_path, capsys):
    out = tmp_path / "out"
    train(out, decay())
    (old,) = set(codes_of(out))
    assert train(out, decay(FASTER), seed="0:3", accept_changes=True).trained_steps == 20
    assert (
        "WARNING: as accepted, the results keep 2 runs of other code (changed: decay.parts)" in capsys.readouterr().out
    )
    config = read_config(out)
    assert sorted(codes_of(out)) == sorted([old, old, config.code]) and old != config.code
    assert [start.accepted for start in config.starts] == [(), (old,)]
    page = write_report(out, decay(FASTER)).path.read_text()
    assert f"Made by different code: 2 of {old}, 1 of {config.code}" in page
    assert train(out, decay(FASTER), seed="0:4").trained_steps == 20  # without the flag from then on
    for other in (decay(), decay(SLOWER)):
        with pytest.raises(InvalidValue, match="runs of other code"):
            train(out, other, seed="0:4")


def test_a_run_that_other_code_began_begins_anew(decay, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(layout, "CHUNK_SECONDS", 0.001)
    out = tmp_path / "out"
    assert train(out, decay(), StopAfter(1), steps="4000").interrupted
    assert set(results_of(out).status.values) == {"running"}
    with pytest.raises(InvalidValue, match="2 runs of other code"):
        train(out, decay(FASTER), steps="4000")
    assert train(out, decay(FASTER), steps="4000", accept_changes=True).trained_steps == 8000
    assert "2 unfinished runs of other code begin anew" in capsys.readouterr().out
    assert set(codes_of(out)) == {read_config(out).code}


def test_runs_that_failed_under_other_code_may_be_run_again(decay, tmp_path):
    train(tmp_path / "out", decay(("parts", "x - self.rate * x", "x / 0 - x / 0")))
    assert train(tmp_path / "out", decay(), rerun="diverged").counts == {"finished": 2}


def test_a_directory_from_before_there_was_code_is_gone_on_with_and_said(tmp_path, capsys):
    old = Path(shutil.copytree(GOLDEN, tmp_path / "old"))
    assert train_in(old, seed="0:3", steps="20").trained_steps == 20
    assert "2 runs were made before code was recorded" in capsys.readouterr().out
    config = read_config(old)
    assert sorted(codes_of(old)) == ["", "", config.code]
    assert [start.command for start in config.starts] == ["python -m launch.toy --seed=0:2 --steps=20", "a test"]
    settings = Settings(schedule=toy.toy.schedule, rerun="changed")
    assert train_in(old, settings=settings, seed="0:3", steps="20").trained_steps == 0


def test_every_start_is_kept_with_what_it_computed_with(decay, tmp_path):
    for experiment in (decay(), decay(NOTHING)):
        train(tmp_path / "out", experiment)
    found = json.loads((tmp_path / "out" / "config.json").read_text())
    assert len(found["starts"]) == 2 and list(found["codes"]) == [found["starts"][0]["code"]]
    for start in found["starts"]:
        assert start["command"] == "a test" and start["environment"]["versions"]["jax"]
        assert {"commit", "modified", "untracked"} <= start["environment"].keys()


def test_untracked_code_is_said(tmp_path, monkeypatch):
    from phenom_jax.store import provenance

    said = {
        "ls-files --error-unmatch": "",
        "rev-parse": "abc",
        "ls-files --others": "experiments/new.py\nlaunch/new.py",
    }
    answer = lambda *words: next((text for start, text in said.items() if " ".join(words).startswith(start)), "")  # noqa: E731
    monkeypatch.setattr(provenance, "_git", answer)
    assert provenance.environment().untracked == ("experiments/new.py", "launch/new.py")


def test_parts_of_other_code_are_refused_too(tmp_path, monkeypatch):
    train_part(tmp_path, Part("all", 0, 2))
    slower = dataclasses.replace(toy.toy, measure=lambda state, hp: toy.measure(state, hp))
    monkeypatch.setattr(toy, "toy", slower)
    with pytest.raises(InvalidValue, match="runs of other code"):
        train_part(tmp_path, Part("all", 1, 2))
    assert not (tmp_path / Part("all", 1, 2).place).exists()
    config = make_config(slower, "a plan", parse_sweep(toy.Toy, SWEEP), SETTINGS, {})
    with pytest.raises(InvalidValue, match="runs of other code"):
        share_out(tmp_path, config, Part("all", 1, 2).split, writes=False)


def test_parts_from_before_there_was_code_are_read_beside_others(tmp_path):
    for shard in range(2):
        train_part(tmp_path, Part("all", shard, 2))
    store = tmp_path / Part("all", 0, 2).place / "results.zarr"
    described = json.loads((store / "zarr.json").read_text())
    described["attributes"]["order"].remove("code")
    del described["consolidated_metadata"]["metadata"]["code"]
    (store / "zarr.json").write_text(json.dumps(described))
    shutil.rmtree(store / "code")
    codes = open_sweep(tmp_path).code.values.tolist()
    assert len(set(codes)) == 2 and "" in codes
    train_part(tmp_path, Part("all", 0, 2))
