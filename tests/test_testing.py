"""check_experiment finds what is wrong: a small experiment is right, then broken in one place at a time."""

import dataclasses
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from phenom_jax.claims import Claim, Source, above
from phenom_jax.cli import main
from phenom_jax.cli.flags import help_text
from phenom_jax.experiment import Experiment, Preset
from phenom_jax.hparams import hparams, size, static, swept
from phenom_jax.padding import padding_problems
from phenom_jax.report.marks import Curves, Figure, Scale
from phenom_jax.sizes import Size, masked_mean
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.testing import check_experiment

calls = itertools.count()


@hparams
class Small:
    """Of no random draw, which takes long to compile."""

    seed: int = swept(0, "initial weights")
    steps: int = swept(20, "steps", at_least=0)
    learning_rate: float = swept(0.1, "step size", above=0)
    width: Size = size(3, "units")
    layers: int = static(1, "nothing but another program", at_least=1)


class State(NamedTuple):
    weights_W: jax.Array


class Loss(NamedTuple):
    loss: jax.Array


class Measures(NamedTuple):
    error: jax.Array


class One(NamedTuple):
    value: jax.Array


def drawn(hp):
    """Returns weights that no bound changes, unmasked."""
    return jnp.sin(1.0 + hp.seed + jnp.arange(hp.width.padded)) / jnp.sqrt(hp.width.active)


def init(hp):
    return State(jnp.where(hp.width.mask, drawn(hp), 0.0))


def step(state, hp, key):
    loss, slope_W = jax.value_and_grad(lambda w: jnp.square(jnp.square(w).sum() - 1))(state.weights_W)
    return State(state.weights_W - hp.learning_rate * slope_W), Loss(loss)


def measure(state, hp):
    return Measures(jnp.abs(jnp.square(state.weights_W).sum() - 1))


def last_error(runs):
    """Error at the end, the mean of runs."""
    return float(runs["error"].isel(step=-1).mean())


DEBUG = Preset("4 runs, seconds.", {"seed": "0:2", "width": "3,5", "steps": "20"})
CLAIM = Claim("The error stays.", Source("A test"), last_error, above(0), scale="log")
FIGURE = Figure("error", "Error", "", Curves({"error": "-"}, Scale("error"), colour="width"))
right = Experiment("small", Small, init, step, measure, presets={"debug": DEBUG}, claims=(CLAIM,), figures=(FIGURE,))


def broken(**parts):
    return dataclasses.replace(right, **parts)


def times(factor):
    """Returns an `init` of which the weights are multiplied by `factor(hp)`."""
    return broken(init=lambda hp: State(init(hp).weights_W * factor(hp)))


def leaking(state, hp, key):
    state, metrics = step(state, hp, key)
    return State(state.weights_W - 0.1), metrics


def called_back(hp):
    real = jnp.result_type(float).type
    return io_callback(lambda: real(next(calls)), jax.ShapeDtypeStruct((), real))


def doubled_in_lanes(hp):
    @jax.custom_batching.custom_vmap
    def factor(one):
        return one

    @factor.def_vmap
    def _(lanes, batched, ones):
        return 2 * ones, True

    return factor(1.0 + 0 * hp.seed)


def crashing(runs):
    """What is not there."""
    return float(runs["loss_of_another_name"].mean())


def looked_at(value):
    return broken(expensive=lambda state, hp: One(value(state.weights_W, hp)))


PADDED = "width: of 3 inside a bound of 6 a run has another "
BROKEN = {
    "forgotten mask": (
        broken(init=lambda hp: State(drawn(hp))),
        PADDED + "initial state.weights_W: its padded entries",
    ),
    "scale by the bound": (times(lambda hp: hp.width.padded), PADDED + "initial state.weights_W .* alone, .* there"),
    "mean": (
        looked_at(lambda w, hp: (w**2).mean()),
        PADDED + r"value at the start \(0.172757 alone, 0.0863783 there\); mask",
    ),
    "leak": (broken(step=leaking), PADDED + "state.weights_W after 4 steps: its padded entries are not zero"),
    "NumPy draw": (times(lambda hp: np.random.uniform(size=1)), "traced twice they are two programs"),
    "global counter": (times(lambda hp: next(calls)), "traced twice they are two programs"),
    "callback": (times(called_back), "called twice they return other bits"),
    "seed is idle": (broken(init=lambda hp: init(dataclasses.replace(hp, seed=0))), "seed: this swept hyperparameter"),
    "seed changes nothing": (
        broken(init=lambda hp: init(dataclasses.replace(hp, seed=0 * hp.seed))),
        "seed: another one makes the same run",
    ),
    "lanes": (times(doubled_in_lanes), "lanes: beside other runs a run has another initial state.weights_W"),
    "idle": (
        broken(step=lambda state, hp, key: step(state, dataclasses.replace(hp, learning_rate=0.1), key)),
        "learning_rate: this swept hyperparameter changes nothing in a run with layers=1; use it, drop it, or name it",
    ),
    "infinite": (looked_at(lambda w, hp: jnp.log(0 * w.sum() ** 2)), "value: is -inf at the start"),
    "no name": (broken(measure=lambda state, hp: (jnp.zeros(()),)), "measure: returns a tuple for metrics"),
    "done": (broken(done=lambda measured: measured.error), r"done: returns float64\[\], allowed is one bool"),
    "TPU": (
        looked_at(lambda w, hp: jax.scipy.linalg.schur(jnp.outer(w[:3], w[:3]))[0].sum()),
        "cuda or tpu: a run is not compiled for it",
    ),
    "preset": (
        broken(presets={"debug": DEBUG, "wide": Preset("", {"width": "0"})}),
        "preset 'wide': width: 0 is not at",
    ),
    "no debug": (broken(presets={}), "presets: there is no `debug`"),
    "claim": (
        broken(claims=(dataclasses.replace(CLAIM, of_one_unit=crashing),)),
        "claim 'The error stays.': raises KeyError on made-up results of preset 'debug'",
    ),
    "figure": (
        broken(figures=(dataclasses.replace(FIGURE, mark=lambda results: results["errors"]),)),
        "figure 'error': raises KeyError",
    ),
    "summary": (broken(summarise=lambda results: results["nothing"]), "summarise: raises KeyError"),
}


def test_nothing_is_wrong_with_an_experiment_that_is_right():
    check_experiment(right)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said(name):
    experiment, said = BROKEN[name]
    with pytest.raises(AssertionError, match=said) as found:
        check_experiment(experiment)
    about = {sentence.partition(":")[0] for sentence in str(found.value).splitlines()[1:]}
    assert len(about) == 1  # and nothing else


def test_a_hyperparameter_may_be_named_unused():
    class Named(Small):
        momentum: float = swept(0.0, "of nothing")

        def unused(self):
            return {"momentum": "layers=1"}

    idle = broken(hparams=hparams(Named))
    check_experiment(idle)
    del Named.unused
    with pytest.raises(
        AssertionError, match="momentum: this swept hyperparameter changes nothing in a run with layers"
    ):
        check_experiment(idle)


def test_every_value_of_a_static_is_looked_at():
    two = looked_at(lambda w, hp: jnp.square(w).mean() if hp.layers == 2 else masked_mean(w, hp.width))
    check_experiment(two)
    with pytest.raises(AssertionError, match=f"{PADDED}value at the start"):
        check_experiment(two, layers="1,2")


def test_a_metric_that_is_nan_in_every_run_is_not_measured():
    check_experiment(looked_at(lambda w, hp: jnp.full((), jnp.nan)))


def test_padding_is_looked_at_in_stages():
    run = parse_sweep(Small, {"width": "4"}).runs()[0]
    assert list(padding_problems(right, run)) == ["", ""]
    start, whole = padding_problems(broken(step=leaking), run)
    assert not start and whole.startswith("width: of 4 inside a bound of 7 a run has another state.weights_W")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a command line in this process, whose JAX has started, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "start_jax", lambda *_: None)

    def run(experiment, *arguments):
        code = main.launch(experiment, [*arguments, "--devices=2"], "python -m launch.small " + " ".join(arguments))
        return code, capsys.readouterr().out

    return run


def test_a_plan_warns_of_a_mask_that_is_forgotten(run):
    assert "WARNING" not in run(right, "--plan", "--preset=debug")[1]
    code, out = run(broken(init=lambda hp: State(drawn(hp))), "--plan", "--preset=debug")
    (warning,) = (line for line in out.splitlines() if "WARNING" in line)
    assert code == 0 and warning.startswith(f"WARNING: {PADDED}initial state.weights_W")


def test_what_a_preset_expects_is_said_after_its_sweep_where_no_flag_changed_it(run):
    expects = {"error": (0.0, 0.1), "loss": (5.0, 6.0)}
    found = broken(presets={"debug": dataclasses.replace(DEBUG, expects=expects)})
    assert "Expected medians: error 0 to 0.1, loss 5 to 6." in " ".join(help_text(found).split())
    quiet = ("--preset=debug", "--noreport", "--notensorboard")
    code, out = run(found, *quiet)
    assert code == 0 and "\nas expected: error " in out and "\nnot as expected: loss " in out
    assert "expected" not in run(found, *quiet, "--seed=0:3", "--out=other")[1]
    with pytest.raises(AssertionError, match="preset 'debug': expects errors, allowed are measures"):
        check_experiment(broken(presets={"debug": dataclasses.replace(DEBUG, expects={"errors": (0, 1)})}))
