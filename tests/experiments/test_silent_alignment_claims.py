"""The claims and figures of silent alignment, on curves and cosines that are set by formula."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr

from experiments.silent_alignment import experiment
from experiments.silent_alignment.science import summarise
from phenom_jax.claims.lift import decide_all
from phenom_jax.report.draw import draw
from phenom_jax.theory.deep_linear import mode, most_alignment

SETTING = {"model": "linear", "start": "gaussian", "digits": "digits", "inputs": 30, "width": 50, "learning_rate": 0.02}
SETTING |= {"strength": 1.0, "ratio": 0.5, "modes": 1, "spectrum": 0.0, "depth": 2, "init_scale": 0.01}
STEPS = np.unique(np.append(0, np.geomspace(1, 60000, 400).round())).astype(int)
KERNEL = ("initial_kernel_error", "kernel_error", "initial_kernel_correlation", "kernel_correlation")
SCALES = {2: (0.3, 0.1, 0.01, 0.001), 3: (0.3, 0.1, 0.03, 0.01)}
DEFAULT = [{"depth": depth, "init_scale": scale} for depth, scales in SCALES.items() for scale in scales]


def flow(hp, slower=1.0):
    """Returns the strengths of three modes over the measured steps, each on its exact curve or slower."""
    time = STEPS * hp["learning_rate"] / slower
    strengths = hp["strength"] * hp["ratio"] ** np.arange(3)
    grown = hp["init_scale"] ** hp["depth"] / (2 if hp["start"] == "gaussian" else 1)
    return np.stack([mode(time, s, min(grown, 0.2 * s), hp["depth"]) for s in strengths], 1), grown


def sweep(cells: Sequence[dict[str, Any]], values=lambda hp, noise: {}, seeds=8, status="done"):
    """Returns summarised results of `values(hyperparameters, noise of the run)` over what theory says of each run."""
    runs = [SETTING | cell | {"seed": seed} for seed, cell in itertools.product(range(seeds), cells)]
    made = []
    for hp, noise in zip(runs, np.random.default_rng(0).normal(size=len(runs)), strict=True):
        own = values(hp, noise)
        strengths, grown = flow(hp, own.get("slower", 1.0) * (1 + 1e-3 * noise))
        relative = np.square(1 - strengths[:, 0] / hp["strength"])
        relative = relative / relative[0]
        most = most_alignment(hp["depth"], hp["inputs"])
        rise = 1 - 0.5 * np.exp(-2 * STEPS * hp["learning_rate"] * own.get("aligning", 1.0))
        turned = np.clip(own.get("share", 0.99) * most * (1 + 1e-3 * noise), 0, 1)
        cosine = np.full(len(STEPS), own.get("cosine", 0.999) + 1e-4 * noise)
        late = np.where(relative < 0.5, own.get("kernel", 0.999) + 1e-4 * noise, 1.0)
        balance = own.get("balance", 1e-4) * (1 - relative) * (1 + 0.01 * noise)
        made.append(
            {
                "relative_loss": relative,
                "loss": relative / 2,
                "output_scale": strengths[:, 0],
                "label_cosine": cosine,
                "kernel_alignment": rise * most,
                "turning_alignment": np.where(relative < 0.9, turned, rise * most),
                "kernel_similarity": late,
                "balance_change": np.maximum(balance, 0),
                "mode_strengths": strengths,
                "growing_strengths": np.full(strengths.shape, grown),
            }
            | {name: np.full(len(STEPS), own.get(name, np.nan) * (1 + 0.01 * noise)) for name in KERNEL}
        )
    dims = ("run", "step", "mode")
    variables = {name: np.array([run[name] for run in made]) for name in made[0]}
    coordinates = {name: ("run", [hp[name] for hp in runs], {"hyperparameter": 1}) for name in runs[0]}
    coordinates |= {
        "step": STEPS,
        "status": ("run", [status] * len(runs)),
        "run_id": ("run", [*map(str, range(len(runs)))]),
    }
    coordinates |= {"last_step": ("run", [STEPS[-1]] * len(runs))}
    return summarise(xr.Dataset({name: (dims[: array.ndim], array) for name, array in variables.items()}, coordinates))


def findings(results):
    """Returns the findings by the name of the statistic and its keywords."""
    found = decide_all(experiment.claims, results, strict=True)
    names = [getattr(claim.of_one_unit, "func", claim.of_one_unit).__name__ for claim in experiment.claims]
    words = ["/".join(getattr(claim.of_one_unit, "keywords", {}).values()) for claim in experiment.claims]
    return {" ".join(filter(None, pair)): each for pair, each in zip(zip(names, words), found, strict=True)}


def verdicts(results):
    """Returns the verdicts of the claims that were tested."""
    return {name: each.verdict for name, each in findings(results).items() if each.verdict != "not tested"}


def true(hp, noise):
    return {"share": 0.99 if hp["init_scale"] < 0.2 else 0.5}


def test_what_theory_says_holds_the_claims_of_the_default():
    expected = ("alignment smallest", "alignment largest", "both", "per_decade half", "per_decade alignment")
    assert verdicts(sweep(DEFAULT, true)) == dict.fromkeys((*expected, "exponents", "imbalance"), "holds")


def test_its_opposite_fails_them():
    def false(hp, noise):
        late = {"share": 0.8 if hp["init_scale"] < 0.2 else 0.99, "balance": 0.1, "kernel": 0.9, "cosine": 0.9}
        wait = hp["init_scale"] ** (-0.5 if hp["depth"] == 2 else -0.3)
        return late | {"slower": wait, "aligning": hp["init_scale"] ** 0.2}

    found = verdicts(sweep(DEFAULT, false))
    assert set(found.values()) == {"fails"} and len(found) == 7


def test_an_exponent_that_bends_is_no_power_law():
    """Local exponents of -1.3 and -0.7 average to the -1 of theory; each of them must agree."""
    bent = {0.1: 1.0, 0.03: (0.1 / 0.03) ** 0.3, 0.01: 1.0}
    cells = [{"depth": 3, "init_scale": scale} for scale in bent]
    exponents = findings(sweep(cells, lambda hp, noise: {"slower": bent[hp["init_scale"]]}))["exponents"]
    assert exponents.verdict == "fails" and len(exponents.intervals) == 2


@pytest.mark.parametrize("slower, verdict", [(1.0, "holds"), (1.1, "fails")])
def test_balanced_weights_keep_the_exact_times(slower, verdict):
    cells = [{"start": "balanced", "depth": depth, "init_scale": 0.1} for depth in (2, 3)]
    found = findings(sweep(cells, lambda hp, noise: {"slower": slower}, seeds=1))
    assert found["of_exact"].verdict == verdict and found["imbalance"].verdict == "undecided"
    assert found["of_exact"].estimate.estimate == pytest.approx(slower, rel=0.02)


@pytest.mark.parametrize("slower, verdict", [(1.0, "holds"), (1.2, "fails")])
def test_modes_keep_saxe_s_times(slower, verdict):
    cells = [
        {"modes": 3, "strength": 3.0, "start": start, "learning_rate": 0.005} for start in ("gaussian", "balanced")
    ]
    found = findings(sweep(cells, lambda hp, noise: {"slower": slower}))["of_saxe"]
    assert found.verdict == verdict and len(found.intervals) == 6
    assert found.intervals["start gaussian mode 2"].estimate == pytest.approx(slower, rel=0.02)


@pytest.mark.parametrize("turns", [True, False])
def test_unwhitened_inputs_turn_kernel_and_outputs(turns):
    def values(hp, noise):
        return {"cosine": 0.8, "kernel": 0.8} if turns and hp["spectrum"] else {}

    found = findings(sweep([{"spectrum": 0.0}, {"spectrum": 1.0}], values))
    assert {found[name].verdict for name in ("kernel", "outputs")} == {"holds" if turns else "fails"}
    assert found["both"].verdict == "holds"  # whitened, neither turns


def test_a_kernel_that_turns_by_less_than_the_edge_fails():
    found = findings(sweep([{"spectrum": 1.5}], lambda hp, noise: {"kernel": 0.96}))
    assert found["kernel"].verdict == "fails" and found["both"].verdict == "not tested"


@pytest.mark.parametrize("final, expected", [(0.03, ("holds", "holds")), (0.15, ("fails", "fails"))])
def test_final_kernels_predict_relu_networks(final, expected):
    values = {"kernel_error": final, "initial_kernel_error": 0.2}
    cells = [{"model": "relu", "init_scale": scale} for scale in (0.01, 1.0)]
    assert verdicts(sweep(cells, lambda hp, noise: values)) == dict(zip(("off_final", "initial_to_final"), expected))


def test_float32_says_nothing_of_the_balance():
    results = sweep(DEFAULT[:3], true)
    single = results.assign(balance_change=results["balance_change"].astype("float32"))
    assert findings(single)["imbalance"].verdict == "not tested"


def test_too_few_seeds_decide_nothing_and_runs_that_never_learn_are_not_tested():
    assert set(verdicts(sweep(DEFAULT, true, seeds=4)).values()) == {"undecided"}
    assert verdicts(sweep(DEFAULT, true, status="diverged")) == {}
    assert verdicts(sweep(DEFAULT, lambda hp, noise: {"slower": 1e9})) == {}


def test_figures_are_drawn():
    several = [{"modes": 3, "start": start} for start in ("gaussian", "balanced")]
    relu = [{"model": "relu", "init_scale": scale} for scale in (0.01, 1.0)]
    errors = {"kernel_error": 0.03, "initial_kernel_error": 0.2}
    drawn = set()
    for results in (
        sweep(DEFAULT, true, seeds=2),
        sweep(several, seeds=2),
        sweep(relu, lambda hp, noise: errors, seeds=2),
    ):
        drawn |= {figure.name for figure in experiment.figures if draw(figure, results) is not None}
    assert drawn == {figure.name for figure in experiment.figures}
    assert {claim.figure for claim in experiment.claims} <= drawn
