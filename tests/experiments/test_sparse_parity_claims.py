"""The claims about sparse parity on sweeps in closed form, whose laws are known."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.sparse_parity import summarise
from experiments.sparse_parity.claims import CLAIMS
from experiments.sparse_parity.figures import FIGURES
from experiments.sparse_parity.prediction import predictions
from phenom_jax.results.claims import decide_all
from phenom_jax.theory.parity import neuron_gradient, usual_bias

STEPS = np.unique(np.concatenate([[0], np.geomspace(10, 1e5, 300).round()])).astype(int)
DEFAULTS = {"data": "online", "model": "mlp", "weight_decay": 0.0, "samples": 1000, "batch_size": 50}


def sweep(exponent=lambda k: k - 1.5, ahead=True, hint=True, bias=0.0, never=False, status="finished", **axes):
    """Returns runs solved at (50 n / 20)^exponent(k) x 2^k times a seed's luck, exp(0.1 N(0, 1)).

    Args:
      exponent: in n, by k.
      ahead: whether a deciding input's weight leads before accuracy rises.
      hint: whether the weights' movement knows a seed's luck.
      bias: of the measured gradient of deciding inputs.
      never: whether finite samples are never generalised from.
    """
    axes = {"seed": range(12), "inputs": (20, 30, 50), "degree": (2, 3, 4)} | axes
    points = [dict(zip(axes, point)) for point in itertools.product(*axes.values())]
    curves = {name: [] for name in _curves(0, 20, 2, exponent, ahead, hint, bias, never)}
    for point in points:
        made = _curves(point["seed"], point["inputs"], point["degree"], exponent, ahead, hint, bias, never)
        for name, curve in made.items():
            curves[name].append(curve)
    values = DEFAULTS | dict.fromkeys(axes)
    coords = {
        name: ("run", [point.get(name, default) for point in points], {"hyperparameter": 1})
        for name, default in values.items()
    }
    coords |= {"step": STEPS, "status": ("run", [status] * len(points))}
    data = {name: (("run", "step"), np.array(rows)) for name, rows in curves.items()}
    return summarise(xr.Dataset(data, coords, {"order": list(values)}))


def _curves(seed, inputs, degree, exponent, ahead, hint, bias, never):
    rng = np.random.default_rng(seed)
    typical = 50 * (inputs / 20) ** exponent(degree) * 2**degree
    solved = typical * np.exp(0.1 * rng.normal())
    memorised = solved / 5
    t = np.maximum(STEPS, 0.5)

    def rise(middle, sharpness):
        return 1 / (1 + (middle / t) ** sharpness)

    test = 0.5 + 0.5 * rise(0.9 * solved, 40) * (not never)
    lead = (0.7 if ahead else 1.4) * (solved if hint else typical * np.exp(0.1 * rng.normal()))
    relevant = 0.5e-3 * np.sqrt(t) * (1 + 2 * (t / lead) ** 2)  # 1.5 times the others' at `lead`
    exact = neuron_gradient(inputs, degree, usual_bias(degree))
    measured = np.array(exact) + [bias, 0] + 1e-4 * rng.normal(size=2)
    return {
        "test_accuracy": np.where(STEPS > 0, test, 0.5),
        "train_accuracy": 0.5 + 0.5 * rise(memorised, 40),
        "relevant_movement": np.where(STEPS > 0, relevant, 0),
        "irrelevant_movement": np.where(STEPS > 0, 1e-3 * np.sqrt(t), 0),
        "active_neurons": 10 + 990 * (1 - rise(solved, 4)),
        "relevant_gradient": np.full(len(STEPS), measured[0]),
        "irrelevant_gradient": np.full(len(STEPS), measured[1]),
    }


@pytest.fixture(scope="module")
def online():
    return sweep()


def test_claims_that_are_true_hold(online):
    found = decide_all(CLAIMS, online)
    assert {name: decision.verdict for name, decision in found.items()} == {
        "power_of_inputs": "holds",
        "exponent_grows": "holds",
        "degree_slows": "holds",
        "progress_leads": "holds",
        "remaining_time": "holds",
        "relevant_remaining_time": "holds",
        "fourier_gap": "holds",
        "groks": "undecided",
        "neurons_shrink": "undecided",
    }
    assert found["power_of_inputs"].numbers["exponent degree 3"] == pytest.approx(1.5, abs=0.1)
    assert found["exponent_grows"].numbers["slope"] == pytest.approx(1, abs=0.05)
    assert found["relevant_remaining_time"].numbers["explained"] > 0.8
    assert found["progress_leads"].numbers["ratio"] == pytest.approx(1 / 0.7, rel=0.2)


def test_claims_that_are_false_fail():
    results = sweep(exponent=lambda k: 1 - k, ahead=False, hint=False, bias=0.05)
    found = {name: decision.verdict for name, decision in decide_all(CLAIMS, results).items()}
    failing = ("power_of_inputs", "exponent_grows", "progress_leads", "fourier_gap")
    assert {name for name, verdict in found.items() if verdict == "fails"} >= set(failing)
    assert "holds" not in (found["remaining_time"], found["relevant_remaining_time"])


@pytest.mark.parametrize("never, verdicts", [(False, ("holds", "holds")), (True, ("fails", "undecided"))])
def test_grokking_is_decided_on_finite_samples_with_decay(never, verdicts):
    results = sweep(never=never, inputs=(40,), degree=(3,), data=("finite",), weight_decay=(0.0, 0.01))
    found = decide_all(CLAIMS, results)
    assert tuple(found[name].verdict for name in ("groks", "neurons_shrink")) == verdicts
    assert found["groks"].numbers["runs"] == 12
    if not never:
        assert found["groks"].numbers["ratio"] == pytest.approx(5, rel=0.3)


def test_a_sweep_that_lacks_what_a_claim_needs_is_undecided():
    for results in (sweep(seed=(0, 1), inputs=(20,), degree=(3,)), sweep(status="waiting", seed=(0, 1))):
        found = decide_all(CLAIMS, results)
        assert {decision.verdict for decision in found.values()} <= {"undecided", "fails"}
        assert found["power_of_inputs"].verdict == "undecided"
        assert not any("could not be computed" in decision.statistic for decision in found.values())


def test_predictions_leave_out_the_run_they_are_of(online):
    item = predictions(online)[0]
    runs = online.isel(run=((online["degree"] == item.degree) & (online["inputs"] == 20)).values)
    moved = np.log(runs["relevant_movement"].sel(step=item.step).values)
    others = np.arange(12) != 4
    line = np.polyfit(moved[others], np.log(item.actual[others]), 1)
    assert np.log(item.predicted["relevant_movement"][4]) == pytest.approx(np.polyval(line, moved[4]))
    assert np.log(item.baseline[4]) == pytest.approx(np.log(item.actual[others]).mean())
    assert (runs["rise_step"] > item.step).all()


def test_figures_are_drawn_where_there_is_something_to_draw(online):
    finite = sweep(seed=range(3), inputs=(40,), degree=(3,), data=("finite",), weight_decay=(0.0, 0.01))
    drawn = {figure.name: [figure.draw(results) is not None for results in (online, finite)] for figure in FIGURES}
    assert drawn == {
        "hidden_progress": [True, True],
        "inputs": [True, False],
        "degree": [True, False],
        "prediction": [True, False],
        "gap": [True, False],
        "active_neurons": [False, True],
        "map": [False, True],
    }
