"""What is decided on chains whose coefficients are known, and what is drawn of them."""

import itertools

import numpy as np
import pytest
import xarray as xr

from experiments.llc import LLC
from experiments.llc.claims import CLAIMS
from experiments.llc.figures import FIGURES
from experiments.llc.source import padded, unpadded
from experiments.llc.training import over_training
from experiments.llc.trust import summarise
from phenom_jax.hparams import InvalidValue, fields
from phenom_jax.measures.draws import BATCHES
from phenom_jax.report.figures import rendered
from phenom_jax.results.claims import decide_all

STEPS = np.array([20, 1000, 2000])  # looks at a chain; what is looked at once is there at the last
DRAWS = 1500


def chains(coefficient, facts, spread=0.1, seeds=4, **settings):
    """Returns the results of `seeds` chains around every kept state.

    Args:
      coefficient: float[sources, checkpoints].
      facts: by name float[sources, checkpoints], of the source.
      spread: standard deviation of the chains' coefficients.
      settings: hyperparameters of the chains, or `stiff_step`, `furthest`, `status`.
    """
    points = list(itertools.product(*map(range, np.shape(coefficient)), range(seeds)))
    source, checkpoint, seed = np.array(points).T
    values = {name: np.full(len(points), field.default) for name, field in fields(LLC).items()}
    values |= {"source": source, "checkpoint": checkpoint, "seed": seed}
    values |= {name: np.full(len(points), value) for name, value in settings.items() if name in values}
    draw = np.random.default_rng(0)
    llc = np.asarray(coefficient, float)[source, checkpoint] + spread * draw.normal(size=len(points))
    n_beta = 100.0
    means = (llc / n_beta)[:, None] + 0.3 * spread / n_beta * draw.normal(size=(len(points), BATCHES))
    once = {
        "inverse_temperature": np.full(len(points), n_beta),
        "weight_count": np.full(len(points), 27.0),
        "stiff_step": np.full(len(points), settings.get("stiff_step", 0.1)),
        "hessian_trace": 2 * llc,
        "effective_rank": llc / 2,
        "batch_counts": np.full((len(points), BATCHES), DRAWS / BATCHES),
        "batch_means": means,
        "batch_squares": np.full((len(points), BATCHES), DRAWS / BATCHES * (0.5 / n_beta) ** 2),
        **{name: np.asarray(fact, float)[source, checkpoint] for name, fact in facts.items()},
    }
    always = {
        "llc": llc,
        "draw_loss": llc / n_beta,
        "acceptance": np.full(len(points), 0.9),
        "furthest": np.full(len(points), settings.get("furthest", 3.0)),
    }

    def over_steps(name, values):
        curve = np.repeat(np.asarray(values)[:, None], len(STEPS), 1)
        curve[:, :-1] = np.nan if name in once else curve[:, :-1]
        return ("run", "step", *["stretch"] * (values.ndim - 1)), curve, {"long_name": name}

    labels = {name: ("run", column, {"hyperparameter": "swept"}) for name, column in values.items()}
    labels["status"] = ("run", np.full(len(points), settings.get("status", "finished")))
    labels |= {"run_id": ("run", np.arange(len(points)).astype(str)), "step": STEPS}
    curves = {name: over_steps(name, values) for name, values in (once | always).items()}
    return summarise(xr.Dataset(curves, labels, {"order": list(values)}))


def staged(values=(2.6, 3.7, 4.3, 4.5), **settings):
    facts = {
        "source_step": [[0, 100, 200, 300]],
        "source_rank": [[0, 1, 2, 3]],
        "source_gradient_norm": [[np.nan, 0.1, 0.1, 0.1]],
        "source_learning_coefficient": [[3, 4, 4.5, 4.5]],
    }
    return chains([values], facts, **{"seeds": 8, "loss": "behaviour"} | settings)


def grokked(peak=70.0, end=1.0, seeds=4, generalise=1.0, chance=0.0):
    facts = {
        "source_step": [[0, 10, 100, 1000]] * seeds,
        "source_train_accuracy": [[0.1, 1.0, 1.0, 1.0]] * seeds,
        "source_test_accuracy": [[chance, chance, 0.6 * generalise, generalise]] * seeds,
        "trained_with_seed": np.arange(seeds)[:, None] * np.ones(4),
    }
    return chains([[5.0, peak, min(peak, 20.0), end]] * seeds, facts)


def verdict(name, results):
    decision = decide_all([claim for claim in CLAIMS if claim.name == name], results)[name]
    assert "could not be computed" not in decision.statistic, decision.statistic
    return decision.verdict


@pytest.mark.parametrize(
    "name, results, expected",
    [
        ("climbs_with_rank", staged(), "holds"),
        ("climbs_with_rank", staged((2.6, 3.7, 3.0, 4.5)), "fails"),
        ("climbs_with_rank", staged((2.6, 3.7, 3.6, 4.5)), "undecided"),
        ("climbs_with_rank", staged(loss="train"), "undecided"),
        ("climbs_with_rank", grokked(), "undecided"),
        ("ends_at_exact", staged(), "holds"),
        ("ends_at_exact", staged((2.6, 3.7, 4.3, 5.2)), "fails"),
        ("ends_at_exact", staged((2.6, 3.7, 4.3, 4.73), spread=0.3), "undecided"),
        ("peaks_before_generalisation", grokked(), "holds"),
        ("peaks_before_generalisation", grokked(peak=2.0), "fails"),
        ("peaks_before_generalisation", grokked(end=90.0), "fails"),
        ("peaks_before_generalisation", grokked(seeds=2), "undecided"),
        ("peaks_before_generalisation", grokked(chance=0.5), "undecided"),
        ("peaks_before_generalisation", staged(), "undecided"),
        ("stays_without_generalisation", grokked(generalise=0.0), "fails"),
        ("stays_without_generalisation", grokked(generalise=0.0, peak=20.0, end=18.0), "holds"),
        ("stays_without_generalisation", grokked(), "undecided"),
    ],
)
def test_claims(name, results, expected):
    assert verdict(name, results) == expected


@pytest.mark.parametrize(
    "settings, said",
    [
        ({}, "holds"),
        ({"status": "diverged"}, "chains that diverged at 4 of 4 (source 0, checkpoint 0: 8;"),
        ({"stiff_step": 0.3}, "steps beyond 0.2 of the stiffest direction at 4 of 4"),
        ({"stiff_step": 0.3, "sampler": "mala"}, "holds"),
        ({"furthest": 10.0}, "chains that left the neighbourhood at 4 of 4"),
        ({"values": (-9.0, 3.7, 4.3, 4.5)}, "negative coefficients at 1 of 4 (source 0, checkpoint 0: -8.96"),
        ({"spread": 9.0, "values": (90.0, 90.0, 90.0, 90.0)}, "split-R-hat above 1.1 at 4 of 4"),
        ({"seeds": 1}, "one chain says nothing of whether chains agree"),
    ],
)
def test_what_makes_chains_untrustworthy_is_named_with_its_place(settings, said):
    decision = decide_all(CLAIMS[:1], staged(**settings))["trusted"]
    assert said in f"{decision.verdict}: {decision.statistic}"


def test_chains_of_one_source_run_are_curves_and_source_runs_are_where_seeds_repeat():
    one, several = over_training(staged()), over_training(grokked())
    assert dict(one.sizes) == {"run": 8, "step": 4} and dict(several.sizes) == {"run": 4, "step": 4}
    np.testing.assert_array_equal(one["source_rank"], [[0, 1, 2, 3]] * 8)
    np.testing.assert_allclose(several["llc"], [[5, 70, 20, 1]] * 4, atol=0.3)


def test_figures():
    drawn = {figure.name: figure.draw(staged()) for figure in FIGURES}
    assert {name for name, figure in drawn.items() if figure is None} == {"calibration"}
    figure = drawn["along_training"]
    assert figure is not None and rendered(figure, "png")


def test_padding_that_is_no_zero_beyond_a_corner_is_refused():
    leaf = np.zeros((2, 3, 4))
    leaf[:, :2, :3] = 1
    np.testing.assert_array_equal(padded(unpadded(leaf, (2, 3), "kernel"), 2, (3, 4)), leaf)
    leaf[1, 2, 3] = 1
    with pytest.raises(InvalidValue, match="weights kernel are not zero outside their leading 2 x 3"):
        unpadded(leaf, (2, 3), "kernel")
