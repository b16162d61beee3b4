"""The claims of grokking on sweeps in closed form, whose laws are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.grokking import summarise
from experiments.grokking.claims import CLAIMS
from phenom_jax.results.claims import decide_all

sys.path.insert(0, str(Path(__file__).parents[1] / "results"))
from synthetic import make

STEPS = np.unique(np.concatenate([[0], np.geomspace(10, 100_000, 400).round()])).astype(int)


def sweep(path, **options):
    results = make(path / "r", steps=STEPS, **options).rename(restricted_loss="restricted_test_loss")
    model = {"model": "mlp", "hidden_layers": 1, "biases": False}
    return summarise(results.assign_coords({n: ("run", [v] * results.sizes["run"]) for n, v in model.items()}))


def decide(path, **options):
    return decide_all(CLAIMS, sweep(path, **options))


def test_claims_that_are_true_hold(tmp_path):
    found = decide(tmp_path, weight_decay=(0.0, 0.1, 0.3, 1.0), learning_rate=(3e-3, 1e-2))
    assert {name: decision.verdict for name, decision in found.items()} == {
        "without_decay": "holds",
        "decay_speeds_up": "holds",
        "delay_scales": "holds",
        "norm_falls": "holds",
        "progress_leads": "holds",
    }
    law = found["delay_scales"].numbers
    assert law["low"] <= -1 <= law["high"] and law["high"] - law["low"] < 0.3 and law["runs"] == 48
    assert found["without_decay"].numbers["memorised"] == found["without_decay"].numbers["runs"] == 16
    assert found["norm_falls"].numbers["falls"] == found["norm_falls"].numbers["runs"] == 48
    # the restricted loss halves at 0.6 of the step at which half of the test pairs are right
    assert found["progress_leads"].numbers["ratio"] == pytest.approx(1 / 0.6, rel=0.05)


def test_claims_that_are_false_fail(tmp_path):
    found = decide(tmp_path, lead=1.5, falls=False)
    assert found["progress_leads"].verdict == "fails"
    assert found["norm_falls"].verdict != "holds"


def test_another_exponent_fails(tmp_path):
    results = sweep(tmp_path, weight_decay=(0.1, 0.3, 1.0))
    rate = results.learning_rate * results.weight_decay
    results["generalisation_delay"] = results["generalisation_delay"] * rate**0.4
    found = decide_all(CLAIMS, results)["delay_scales"]
    assert found.verdict == "fails" and found.numbers["exponent"] == pytest.approx(-0.6, abs=0.1)


def test_a_sweep_that_lacks_what_a_claim_needs_is_undecided(tmp_path):
    found = decide(tmp_path, weight_decay=(1.0,), seed=(0, 1), width=(128,))
    assert {name: (decision.verdict, decision.statistic) for name, decision in found.items()} == {
        "without_decay": ("undecided", "0 runs without weight decay are over, at least 3 are needed"),
        "decay_speeds_up": ("undecided", "1 positive weight decays, at least 2 are needed"),
        "delay_scales": ("undecided", "every run generalises at 1 of the needed 3 values of lr·wd"),
        "norm_falls": ("undecided", "2 runs generalise after they memorise, at least 3 are needed"),
        "progress_leads": ("undecided", "2 generalising runs have a restricted loss, at least 3 are needed"),
    }


def test_without_any_run_over_all_is_undecided(tmp_path):
    found = decide(tmp_path, statuses=lambda row, status: "waiting")
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    assert not any("could not be computed" in decision.statistic for decision in found.values())


def test_a_short_range_of_rates_decides_nothing_about_the_law(tmp_path):
    found = decide(tmp_path, weight_decay=(0.5, 1.0))["delay_scales"]
    assert found.verdict == "undecided" and "decide nothing" in found.statistic
    assert found.numbers["exponent"] == pytest.approx(-1, abs=0.3)
