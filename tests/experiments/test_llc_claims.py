"""What is decided on chains whose coefficients are known, and what is drawn of them."""

import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr

from experiments.llc.claims import CLAIMS
from experiments.llc.figures import FIGURES
from experiments.llc.presets import PRESETS
from experiments.llc.science import CHECKS, LLC, summarise
from experiments.llc.training import along_training, stages
from phenom_jax.claims.lift import decide, decide_all
from phenom_jax.hparams import fields
from phenom_jax.measures.draws import BATCHES
from phenom_jax.report.draw import draw
from phenom_jax.report.figures import rendered

TRUST, CLIMB, LAST, PEAK, EARLY, KEPT = range(6)
STEPS = np.array([20, 1000, 2000])  # looks at a chain; what is looked at once is there at the last
DRAWS = 1500
N_BETA = 100.0


def chains(coefficient, facts, spread=0.02, chains=4, status="finished", measured=(), **settings):
    """Returns the results of chains around every kept state of source runs, a seed each unless the settings say so.

    Args:
      coefficient: float[sources, checkpoints].
      facts: by name float[sources, checkpoints], of the source.
      spread: standard deviation of the networks' coefficients, and of those of the chains around one.
      chains: around every kept state.
      status: of all, or by chain.
      measured: values of measures, in place of the usual ones.
      settings: hyperparameters of the chains.
    """
    coefficient, draw = np.asarray(coefficient, float), np.random.default_rng(0)
    coefficient = coefficient + spread * draw.normal(size=coefficient.shape)
    points = list(itertools.product(*map(range, coefficient.shape), range(chains)))
    source, checkpoint, seed = np.array(points).T
    values = {name: np.full(len(points), field.default) for name, field in fields(LLC).items()}
    values |= {"source": source, "checkpoint": checkpoint, "seed": seed, "source_seed": source}
    values |= {name: np.broadcast_to(value, len(points)) for name, value in settings.items()}
    llc = coefficient[source, checkpoint] + spread * draw.normal(size=len(points))
    looked_at_once = {
        "inverse_temperature": np.full(len(points), N_BETA),
        "weight_count": np.full(len(points), 27.0),
        "stiff_step": np.full(len(points), 0.1),
        "hessian_trace": 2 * llc,
        "effective_rank": llc / 2,
        "batch_counts": np.full((len(points), BATCHES), DRAWS / BATCHES),
        "batch_means": (llc + spread * draw.normal(size=(BATCHES, len(points)))).T / N_BETA,
        "batch_squares": np.full((len(points), BATCHES), DRAWS / BATCHES * (0.5 / N_BETA) ** 2),
    }
    always = {"llc": llc, "draw_loss": llc / N_BETA, "furthest": np.full(len(points), 3.0)}
    for name, value in dict(measured).items():
        values_of = always if name in always else looked_at_once
        values_of[name] = np.full_like(values_of[name], value)

    def over_steps(name, values):
        curve = np.repeat(np.asarray(values)[:, None], len(STEPS), 1)
        curve[:, :-1] = np.nan if name in looked_at_once else curve[:, :-1]
        return ("run", "step", *["stretch"] * (values.ndim - 1)), curve, {"long_name": name}

    labels: dict[str, Any] = {name: ("run", column, {"hyperparameter": "swept"}) for name, column in values.items()}
    labels |= {name: ("run", np.asarray(fact, float)[source, checkpoint]) for name, fact in facts.items()}
    labels["status"] = ("run", np.broadcast_to(status, len(points)))
    labels |= {"run_id": ("run", np.arange(len(points)).astype(str)), "step": STEPS}
    curves = {name: over_steps(name, values) for name, values in (looked_at_once | always).items()}
    return summarise(xr.Dataset(curves, labels, {"order": list(values)}))


def staged(values=(3, 4, 4.5, 4.5), sources=8, **settings: Any):
    """Returns chains around deep linear networks; the second of two kept states of rank 1 is settled."""
    facts = {
        "source_step": [0, 100, 150, 200, 300],
        "source_rank": [0, 1, 1, 2, 3],
        "source_gradient_norm": [np.nan, 0.9, 0.1, 0.1, 0.1],
        "source_learning_coefficient": [3, 4, 4, 4.5, 4.5],
    }
    values = [values[0], 99.0, *values[1:]]
    everywhere = {name: [fact] * sources for name, fact in facts.items()}
    settings.setdefault("loss", "behaviour")
    return chains([values] * sources, everywhere, **settings)


def grokked(start=5.0, peak=70.0, half=50.0, end=1.0, sources=8, generalise=1.0, chance=0.0, **settings):
    """Returns chains around classifiers that memorise at step 10, and generalise at 1000 if they do."""
    facts = {
        "source_step": [0, 10, 100, 1000],
        "source_train_accuracy": [0.1, 0.99, 1.0, 1.0],
        "source_test_accuracy": [chance, chance, 0.5 * generalise, 0.95 * generalise],
    }
    everywhere = {name: [fact] * sources for name, fact in facts.items()}
    return chains([[start, peak, half, end]] * sources, everywhere, **settings)


def joined(*results: xr.Dataset) -> xr.Dataset:
    """Returns the runs of several sweeps as those of one, the sources of each of seeds from 0 on."""
    placed = [each.assign_coords(source=each["source"] + 100 * place) for place, each in enumerate(results)]
    for each, result in zip(placed, results, strict=True):
        each["source"].attrs.update(result["source"].attrs)
    return xr.concat(placed, "run", coords="different", compat="equals", combine_attrs="override")


def verdict(claim, results):
    return decide(CLAIMS[claim], results, strict=True).verdict


@pytest.mark.parametrize(
    "claim, results, expected",
    [
        (CLIMB, staged(), "holds"),
        (CLIMB, staged((2.6, 3.6, 4.1, 4.1)), "holds"),
        (LAST, staged(), "holds"),
        (LAST, staged((3, 4, 4.5, 5.2)), "fails"),
        (LAST, staged((3, 4, 4.5, 4.7), spread=0.3), "undecided"),
        (LAST, staged(sources=4), "undecided"),
        (LAST, grokked(), "not tested"),
        (PEAK, grokked(), "holds"),
        (PEAK, grokked(start=60.0), "fails"),
        (PEAK, grokked(end=90.0), "fails"),
        (PEAK, grokked(sources=4), "undecided"),
        (PEAK, grokked(generalise=0.0), "not tested"),
        (PEAK, grokked(chance=0.5), "not tested"),
        (PEAK, staged(), "not tested"),
        (EARLY, grokked(), "holds"),
        (EARLY, grokked(half=10.0), "fails"),
        (EARLY, grokked(half=35.5, spread=2.0), "undecided"),
        (EARLY, grokked(sources=4), "undecided"),
        (EARLY, grokked(generalise=0.0), "not tested"),
        (KEPT, grokked(generalise=0.0, end=60.0), "holds"),
        (KEPT, grokked(generalise=0.0), "fails"),
        (KEPT, grokked(generalise=0.0, end=35.0, spread=2.0), "undecided"),
        (KEPT, grokked(generalise=0.0, sources=4), "undecided"),
        (KEPT, grokked(), "not tested"),
    ],
)
def test_claims(claim, results, expected):
    assert verdict(claim, results) == expected


def test_the_coefficient_must_climb_as_the_exact_one_does():
    """Fault 6: it "climbed with the rank" where the exact rise is 0."""
    found = decide(CLAIMS[CLIMB], staged((3, 4, 4.5, 5.0)), strict=True)
    assert found.verdict == "fails" and found.deciding == "rank 2 to 3"
    assert found.intervals["rank 2 to 3"].estimate == pytest.approx(0.5, abs=0.05)
    assert verdict(CLIMB, staged((3, 4, 4.5, 4.75))) == "undecided"
    assert verdict(CLIMB, staged((3, 3.1, 4.5, 4.5))) == "fails"
    assert verdict(CLIMB, staged(sources=4)) == "undecided"
    assert verdict(CLIMB, staged(loss="train")) == verdict(CLIMB, grokked()) == "not tested"


def test_chains_around_one_network_are_no_units():
    """Fault 2: the spread over chains was given as that over networks."""
    many = staged(sources=1, chains=32)
    findings = decide_all(CLAIMS, many, strict=True)
    assert [finding.units for finding in findings] == [1, 1, 1, 0, 0, 0]
    assert {findings[claim].verdict for claim in (CLIMB, LAST)} == {"undecided"}
    of_one_seed = staged(source_seed=0)  # networks of other sizes from one seed, say
    assert decide(CLAIMS[LAST], of_one_seed, strict=True).units == 1


def test_source_runs_of_one_seed_are_one_number():
    both = joined(grokked(), grokked(generalise=0.0, end=60.0))
    found = decide_all(CLAIMS, both, strict=True)
    assert [finding.verdict for finding in found[PEAK:]] == ["holds"] * 3
    assert [finding.units for finding in found[PEAK:]] == [8] * 3


def test_several_settings_of_the_sampler_are_not_compared():
    two = joined(staged(), staged(step_size=1e-3))
    assert verdict(CLIMB, two) == verdict(LAST, two) == "not tested"
    assert verdict(TRUST, two) == "holds"


WRONG = {
    "stiffness": {"measured": {"stiff_step": 0.3}},
    "reach": {"measured": {"furthest": 10.0}},
    "negativity": {"values": (-9.0, 4, 4.5, 4.5)},
    "disagreement": {"spread": 9.0, "values": (90.0, 90.0, 90.0, 90.0)},
    "scarcity": {"measured": {"batch_counts": np.arange(BATCHES) % 8 == 0, "batch_squares": 1e-9}},
}


@pytest.mark.parametrize("check", CHECKS)
def test_what_makes_chains_untrustworthy_is_named_with_its_remedy(check):
    results = staged(**WRONG.get(check, {}))
    if check == "diverging":
        results = staged(status=np.where(np.arange(8 * 5 * 4) % 40, "finished", "diverged"))
    found = decide(CLAIMS[TRUST], results, strict=True)
    assert found.verdict == "fails" and found.intervals[CHECKS[check]].low > 1
    assert f"{CHECKS[check]} decides of 6 cells" in str(found)


def test_chains_that_can_be_trusted():
    found = decide(CLAIMS[TRUST], staged(), strict=True)
    assert found.verdict == "holds" and set(found.intervals) == set(CHECKS.values())
    assert verdict(TRUST, staged(measured={"stiff_step": 0.3}, sampler="mala")) == "holds"
    assert verdict(TRUST, staged(sources=1)) == "holds"  # no sampling error over networks
    assert verdict(TRUST, staged(chains=1)) == "not tested"
    half = staged()
    stretched = half["stiffness"].where(half["source"] < 4, 3)
    assert verdict(TRUST, half.assign(stiffness=stretched)) == "undecided"  # some can, some cannot


def test_a_sweep_that_goes_on_is_summarised():
    waiting = np.where(np.arange(8 * 5 * 4) < 20, "finished", "waiting")
    results = staged(status=waiting)
    assert {finding.verdict for finding in decide_all(CLAIMS[:3], results, strict=True)} == {"holds", "undecided"}
    none = staged(status="waiting")
    assert {finding.verdict for finding in decide_all(CLAIMS, none, strict=True)} == {"not tested"}
    assert {figure.name for figure in FIGURES if draw(figure, none)} == {"estimate_traces"}  # it has no NaN here


def test_a_source_run_is_one_curve_over_its_training_and_has_a_settled_state_of_every_rank():
    curves, both = along_training(staged()), along_training(joined(grokked(), grokked(end=60.0)))
    assert dict(curves.sizes) == {"run": 8, "step": 5} and dict(both.sizes) == {"run": 16, "step": 4}
    np.testing.assert_array_equal(curves["source_rank"], [[0, 1, 1, 2, 3]] * 8)
    np.testing.assert_allclose(both["llc"][:8], [[5, 70, 50, 1]] * 8, atol=0.2)
    settled = stages(curves)
    np.testing.assert_array_equal(settled["rank"], [0, 1, 2, 3] * 8)
    np.testing.assert_allclose(settled["llc"], [3, 4, 4.5, 4.5] * 8, atol=0.2)


def test_networks_that_differ_in_a_word_are_told_apart():
    two = joined(grokked(), grokked(network="other"))
    assert "hyperparameter" in along_training(two)["network"].attrs
    assert "network" not in along_training(grokked()).coords


def test_figures_are_drawn_under_the_names_of_the_claims():
    drawn = {
        figure.name
        for figure in FIGURES
        for results in (staged(), joined(grokked(), grokked(generalise=0.0)))
        if draw(figure, results) is not None
    }
    assert drawn == {figure.name for figure in FIGURES} - {"calibration"} >= {claim.figure for claim in CLAIMS}
    settings = [staged(step_size=size, localisation=pull) for size in (1e-5, 1e-3) for pull in (1.0, 10.0)]
    calibration = draw(FIGURES[-1], joined(*settings))
    assert calibration is not None and rendered(calibration, "png")


def test_presets_that_claims_name_exist():
    assert {preset for claim in CLAIMS for preset in claim.presets} <= PRESETS.keys()
