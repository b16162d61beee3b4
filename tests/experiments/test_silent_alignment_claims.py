"""The claims of silent alignment on results whose times and cosines are set by formula."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.silent_alignment.claims import CLAIMS
from phenom_jax.results.claims import decide_all
from phenom_jax.theory.deep_linear import half_loss_time, mode_time, most_alignment

SETTING = {"model": "linear", "start": "gaussian", "digits": "digits", "inputs": 30, "width": 50, "learning_rate": 0.02}
SETTING |= {"strength": 1.0, "ratio": 0.5, "modes": 1, "spectrum": 0.0, "depth": 2, "init_scale": 0.01}
DEEP = {2: (0.3, 0.1, 0.01, 0.001), 3: (0.3, 0.1, 0.03, 0.01)}


def sweep(cells, values=lambda hp, noise: {}, seeds=4):
    """Returns results of four steps whose variables are `values(hyperparameters, noise of the run)` over defaults."""
    runs = [SETTING | cell | {"seed": seed} for cell, seed in itertools.product(cells, range(seeds))]
    draws = np.random.default_rng(0).normal(size=len(runs))
    made = []
    for hp, noise in zip(runs, draws):
        of_run = {"half_time": 5.0, "turning_time": 4.0, "alignment_time": 1.5 + 0.01 * noise, "silent_alignment": 0.3}
        of_step = {"loss": [0.5, 0.5, 0.2, 0.0], "relative_loss": [1.0, 0.95, 0.4, 0.0], "label_cosine": [0, 1, 1, 1]}
        of_step |= {"balance_change": [0, 0, 0.002, 0.005], "kernel_similarity": [1, 1, 1, 1 - 1e-4 * abs(noise)]}
        of_step |= {"kernel_error": [np.nan] * 4, "initial_kernel_error": [np.nan] * 4}
        of_step |= {"kernel_correlation": [np.nan] * 4, "initial_kernel_correlation": [np.nan] * 4}
        of_mode = {"mode_times": np.full(3, np.nan), "growing_strengths": np.full((4, 3), np.nan)}
        made.append(of_run | of_step | of_mode | values(hp, noise))
    dims = {0: ("run",), 1: ("run", "step"), 2: ("run", "step", "mode")}
    variables = {name: np.array([run[name] for run in made], float) for name in made[0]}
    shaped = {name: (dims[array.ndim - 1], array) for name, array in variables.items()}
    shaped["mode_times"] = (("run", "mode"), variables["mode_times"])
    coordinates = {name: ("run", [hp[name] for hp in runs]) for name in runs[0]}
    return xr.Dataset(shaped, coordinates | {"step": np.arange(4), "status": ("run", ["done"] * len(runs))})


def deep(true=True):
    def values(hp, noise):
        depth, scale = hp["depth"], hp["init_scale"]
        share = (0.99 if true else 0.8) if scale < 0.2 else (0.5 if true else 0.99)
        exponent = 2 - depth if true else -depth
        time = np.log(1 / scale) * (1 if true else 2) if depth == 2 else scale**exponent
        change = 0.4 if true else 4.0
        return {
            "silent_alignment": most_alignment(depth, 30) * (share + 1e-3 * noise),
            "half_time": time * (1 + 1e-3 * noise),
            "balance_change": np.array([0, 0, 0.3, 0.5]) * 0.02 * change,
        }

    return sweep([{"depth": depth, "init_scale": s} for depth, scales in DEEP.items() for s in scales], values)


@pytest.mark.parametrize("true", [True, False])
def test_alignment_times_and_balance(true):
    found = decide_all(CLAIMS, deep(true))
    decided = ("aligns_silently", "times_part", "deep_times_scale", "balance_is_kept", "large_is_not_silent")
    assert {name: found[name].verdict for name in decided} == dict.fromkeys(decided, "holds" if true else "fails")
    assert {decision.verdict for name, decision in found.items() if name not in decided} == {"undecided"}
    assert not any("could not be computed" in decision.statistic for decision in found.values())
    assert found["deep_times_scale"].numbers["exponent depth 3"] == pytest.approx(-1 if true else -3, abs=0.01)


@pytest.mark.parametrize("factor, verdict", [(1.0, "holds"), (1.1, "fails")])
def test_balanced_weights_keep_the_exact_times(factor, verdict):
    def values(hp, noise):
        return {"half_time": factor * half_loss_time(1.0, hp["init_scale"] ** hp["depth"], hp["depth"])}

    cells = [{"start": "balanced", "depth": depth, "init_scale": 0.1} for depth in (2, 3)]
    assert decide_all(CLAIMS, sweep(cells, values, seeds=1))["balanced_times"].verdict == verdict


@pytest.mark.parametrize("factor, verdict", [(1.0, "holds"), (1.2, "fails")])
def test_modes_keep_saxe_s_times(factor, verdict):
    strengths, start = np.array([3.0, 1.5, 0.75]), 1e-4

    def values(hp, noise):
        times = np.array([mode_time(strength / 2, strength, start, 2) for strength in strengths])
        return {
            "mode_times": times * np.array([1, factor, 1]) * (1 + 1e-3 * noise),
            "growing_strengths": [[start] * 3] * 4,
        }

    found = decide_all(CLAIMS, sweep([{"modes": 3, "strength": 3.0}], values))["modes_follow_saxe"]
    assert found.verdict == verdict and "in order in 4 of 4 runs" in found.statistic
    assert found.numbers["off all runs mode 2"] == pytest.approx(factor - 1, abs=2e-3)


@pytest.mark.parametrize("turns", [True, False])
def test_unwhitened_inputs_turn_kernel_and_outputs(turns):
    def values(hp, noise):
        cosine = (0.8 if turns and hp["spectrum"] else 0.999) + 1e-4 * noise
        return {"label_cosine": [0, cosine, 1, 1], "kernel_similarity": [1, 1, cosine, cosine]}

    found = decide_all(CLAIMS, sweep([{"spectrum": 0.0}, {"spectrum": 1.0}], values))
    for name in ("unwhitened_kernel_turns", "unwhitened_outputs_turn"):
        assert found[name].verdict == ("holds" if turns else "fails")
        assert found[name].numbers["unwhitened all runs"] == pytest.approx(0.8 if turns else 0.999, abs=1e-3)


@pytest.mark.parametrize("final, verdict", [(0.03, "holds"), (0.3, "fails")])
def test_final_kernels_predict_relu_networks(final, verdict):
    def values(hp, noise):
        errors = {"kernel_error": final * (1 + 0.01 * noise), "initial_kernel_error": 0.2 * (1 + 0.01 * noise)}
        return {name: [np.nan, np.nan, np.nan, error] for name, error in errors.items()}

    cells = [{"model": "relu", "init_scale": scale} for scale in (0.01, 1.0)]
    found = decide_all(CLAIMS, sweep(cells, values))
    assert found["final_kernel_predicts"].verdict == verdict
    assert "init scale 1" in found["final_kernel_predicts"].statistic
    assert found["balance_is_kept"].statistic == "no linear network learnt"


def test_float32_decides_nothing_about_the_balance():
    assert decide_all(CLAIMS, deep().astype("float32"))["balance_is_kept"].verdict == "undecided"


def test_without_any_run_that_learnt_all_is_undecided():
    results = sweep([{}], lambda hp, noise: {"half_time": np.nan, "turning_time": np.nan})
    for chosen in (results, results.isel(run=slice(0, 0))):
        found = decide_all(CLAIMS, chosen)
        assert {decision.verdict for decision in found.values()} == {"undecided"}
        assert not any("could not be computed" in decision.statistic for decision in found.values())
