"""Verdicts over units: what they may decide, and how often they are wrong where there is nothing to find."""

import functools

import numpy as np
import pytest
import xarray as xr

from phenom_jax.claims import Claim, NotTested, Source, above, agrees, below, first, mostly, need, within
from phenom_jax.claims.lift import decide, decide_all
from phenom_jax.claims.rules import Rule

PAPER = Source("A. Nobody 2020", "https://example.org/paper")


def sweep(effect, settings=3, status: str | np.ndarray = "finished", **seeds):
    """Returns a sweep of `effect[seed, setting]`, each run with a curve that ends in it."""
    effect = np.asarray(effect, float)
    seeds, settings = effect.shape
    kept = {"hyperparameter": "swept"}
    return xr.Dataset(
        {"effect": ("run", effect.ravel())},
        {
            "seed": ("run", np.repeat(np.arange(seeds), settings), kept),
            "rate": ("run", np.tile(np.arange(settings) / 10, seeds), kept),
            "status": ("run", np.broadcast_to(status, effect.shape).ravel()),
        },
    )


def mean_effect(runs):
    """Effect, the mean over one seed's runs."""
    return float(runs["effect"].mean())


def by_rate(runs):
    """Effect at each rate."""
    return {f"rate {rate:g}": value for rate, value in zip(runs["rate"].values, runs["effect"].values, strict=True)}


def positive(runs):
    """Whether the mean effect is above 0."""
    return bool(runs["effect"].mean() > 0)


def claim(of_one_unit=mean_effect, rule=None, **options):
    return Claim("It has an effect.", PAPER, of_one_unit, rule or above(0), **options)


def verdict(numbers, **options):
    return decide(claim(**options), sweep(np.reshape(numbers, (len(numbers), -1))), strict=True).verdict


@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize("scale", ["natural", "log", "share", "rank", "family"])
def test_a_null_effect_is_rarely_decided(seeds, scale):
    """400 simulated studies of nothing: holds or fails in at most 5 %, up to three standard errors of 400 draws."""
    rng = np.random.default_rng(seeds)
    decided = 0
    for _ in range(400):
        shared = rng.normal(size=(seeds, 1))  # runs of one seed share its split and weights
        effect = shared + 0.3 * rng.normal(size=(seeds, 4))
        null = {
            "natural": claim(),
            "log": claim(rule=first(), scale="log"),
            "share": claim(positive, mostly(), scale="share"),
            "rank": claim(scale="rank"),
            "family": claim(by_rate),
        }[scale]
        found = decide(null, sweep(np.exp(effect) if scale == "log" else effect), strict=True)
        decided += found.verdict != "undecided"
    assert decided <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)
    assert seeds > 3 or decided == 0


def test_an_effect_is_found():
    rng = np.random.default_rng(0)
    found = decide(claim(), sweep(1 + 0.3 * rng.normal(size=(8, 3))), strict=True)
    assert found.verdict == "holds" and found.units == 8 and found.p < 0.05
    assert decide(claim(rule=below(0)), sweep(1 + 0.3 * rng.normal(size=(8, 3)))).verdict == "fails"
    assert decide(claim(rule=agrees(1, 0.5)), sweep(1 + 0.3 * rng.normal(size=(8, 3)))).verdict == "holds"
    assert decide(claim(rule=within(2, 3)), sweep(1 + 0.3 * rng.normal(size=(8, 3)))).verdict == "fails"


def test_runs_of_one_seed_are_one_unit():
    """A hundred runs of three seeds that all agree are three units: nothing is decided by them."""
    found = decide(claim(), sweep(1 + 0.01 * np.random.default_rng(0).normal(size=(3, 100))), strict=True)
    assert found.verdict == "undecided" and found.units == 3 and "fewer than 5 decide nothing" in str(found)


@pytest.mark.parametrize("of_one_unit, options", [(mean_effect, {}), (positive, {"scale": "share", "rule": mostly()})])
def test_fewer_seeds_never_make_a_claim_hold(of_one_unit, options):
    rng = np.random.default_rng(1)
    effect = 1 + 0.5 * rng.normal(size=(12, 3))
    verdicts = [decide(claim(of_one_unit, **options), sweep(effect[:n]), strict=True).verdict for n in range(12, 0, -1)]
    assert verdicts[0] == "holds" and set(verdicts[-4:]) == {"undecided"}
    lost = verdicts.index("undecided")
    assert set(verdicts[lost:]) == {"undecided"}
    assert decide(claim(of_one_unit, **options), sweep(effect).isel(run=[])).verdict == "not tested"


def test_seeds_that_agree_to_the_last_digit_have_no_interval_of_width_zero():
    assert verdict([1.0] * 5) == "undecided"
    found = decide(claim(), sweep(np.ones((5, 1))))
    assert found.estimate.low == -np.inf
    assert verdict([1.0] * 6) == "holds"  # by order statistics: 2^-5 that all six lie on one side of the median


def test_an_exact_number_needs_one_unit():
    assert verdict([1.0], scale="exact") == "holds"
    assert verdict([1.0, 2.0, -1.0], scale="exact") == "undecided"
    assert verdict([-1.0], scale="exact") == "fails"


def test_a_family_holds_if_all_its_cells_do():
    rng = np.random.default_rng(2)
    effect = 0.2 * rng.normal(size=(8, 3)) + [1, 1, 1]
    found = decide(claim(by_rate), sweep(effect), strict=True)
    assert found.verdict == "holds" and len(found.intervals) == 3 and "decides of 3 cells" in str(found)
    assert decide(claim(by_rate), sweep(effect - [0, 1, 0])).verdict == "undecided"
    failing = decide(claim(by_rate), sweep(effect - [0, 0, 3]))
    assert failing.verdict == "fails" and failing.deciding == "rate 0.2"


def test_the_deciding_cell_of_a_family_that_holds_is_the_one_nearest_its_edge():
    rng = np.random.default_rng(6)
    effect = np.exp(0.1 * rng.normal(size=(8, 3))) * [7, 1.5, 4e5]
    found = decide(claim(by_rate, rule=first(), scale="log"), sweep(effect), strict=True)
    assert found.verdict == "holds" and found.deciding == "rate 0.1"


def test_intervals_of_a_family_hold_together():
    """The largest of many null cells is decided as rarely as one cell alone."""
    rng = np.random.default_rng(3)
    failing = sum(decide(claim(by_rate), sweep(rng.normal(size=(8, 20)))).verdict == "fails" for _ in range(200))
    assert failing <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_what_a_sweep_has_not_got_is_not_tested():
    def of_ablation(runs):
        """Effect where something was taken away."""
        need("ablation" in runs, "runs with an ablation")
        return float(runs["ablation"].mean())

    found = decide(claim(of_ablation, presets=("ablation",)), sweep(np.ones((8, 3))), strict=True)
    assert found.verdict == "not tested"
    assert str(found) == "this sweep has not got runs with an ablation; tested with --preset=ablation"


def test_a_claim_is_about_the_runs_it_names():
    def fast(results):
        """Runs of a rate above 0."""
        return results["rate"] > 0

    effect = np.column_stack([np.full(8, -9.0), np.ones((8, 2)) + 0.1 * np.arange(8)[:, None]])
    found = decide(claim(about=fast), sweep(effect), strict=True)
    assert found.verdict == "holds" and found.estimate.estimate == pytest.approx(1.35)
    assert decide(claim(about=lambda_none), sweep(effect)).verdict == "not tested"


def lambda_none(results):
    """No run."""
    return results["rate"] > 99


def test_a_seed_of_which_a_run_is_still_to_come_says_nothing():
    status = np.full((6, 2), "finished", dtype=object)
    status[5, 1] = "waiting"
    found = decide(claim(), sweep(np.arange(12.0).reshape(6, 2), status=status.astype(str)))
    assert found.units == 5 and found.left_out == 1
    status[:] = "running"
    assert "a seed that is over" in str(decide(claim(), sweep(np.ones((6, 2)), status=status.astype(str))))


def test_diverged_runs_are_left_out_and_cost_no_other_run():
    status = np.full((6, 2), "finished", dtype=object)
    status[:, 1] = "diverged"
    effect = np.column_stack([np.arange(6.0) + 1, np.full(6, np.nan)])
    assert decide(claim(), sweep(effect, status=status.astype(str))).estimate.estimate == pytest.approx(3.5)


def test_a_crash_is_an_error_and_raised_in_tests():
    def broken(runs):
        """Something that is nowhere."""
        return float(runs["nowhere"].mean())

    found = decide(claim(broken), sweep(np.ones((8, 1))))
    assert found.verdict == "error" and str(found).startswith("KeyError")
    with pytest.raises(KeyError):
        decide(claim(broken), sweep(np.ones((8, 1))), strict=True)


def test_infinite_numbers_need_the_rank_scale():
    with pytest.raises(ValueError, match="rank scale"):
        decide(claim(), sweep([[1.0]] * 5 + [[np.inf]]), strict=True)
    assert verdict([1.0, 2, 3, 4, 5, np.inf, np.inf, np.inf], scale="rank") == "holds"


def test_holm_adjusts_over_the_claims_of_a_page():
    rng = np.random.default_rng(4)
    results = sweep(1 + 0.5 * rng.normal(size=(8, 3)))
    alone, *_ = decide_all([claim()], results, strict=True)
    beside = decide_all([claim(), claim(rule=above(0.2)), claim(of_one_unit=none_of_it)], results, strict=True)
    assert beside[0].p_holm == pytest.approx(min(1, 2 * alone.p)) and np.isnan(beside[2].p_holm)


def none_of_it(runs):
    """Nothing."""
    raise NotTested("anything")


def test_power_is_the_effect_that_so_many_seeds_decide():
    """Simulated: an effect of the size that the note says is decided in about four of five studies."""
    rng = np.random.default_rng(5)
    units = rng.normal(size=8)
    units = (units - units.mean()) / units.std(ddof=1)
    effect = (2.365 + 0.896) / np.sqrt(8)  # the t quantiles of 97.5 % and 80 % at 7 degrees of freedom
    note = decide(claim(), sweep(units[:, None])).power
    assert note == f"8 seeds scattered like these decide {effect:.2g} from 0 in four of five studies."
    decided = np.mean([verdict(effect + rng.normal(size=8)) == "holds" for _ in range(400)])
    assert 0.7 < decided < 0.9
    assert decide(claim(positive, mostly(), scale="share"), sweep(np.ones((8, 1)))).power == (
        "8 of 8 seeds must agree to decide."
    )
    rarely = decide(claim(positive, below(0.16), scale="share"), sweep(-np.ones((64, 1)))).power
    assert rarely == "60 of 64 seeds must agree to decide."  # 4 of 64 are below 15.3 %, 5 below 17.4 %


def test_words_follow_the_rule():
    assert claim(rule=below(0.9), scale="log").ruled == (
        "Holds if the 95 % interval (Student's t of the logarithms) of the geometric mean over seeds lies below 0.9, "
        "fails if it lies wholly outside; fewer than 5 seeds decide nothing."
    )
    assert claim().quantity == "effect, the mean over one seed's runs"
    assert [str(rule) for rule in (above(1), within(1, 2), agrees(3, 1))] == [
        "above 1",
        "between 1 and 2",
        "between 2 and 4",
    ]


def test_a_partial_says_its_own_words():
    def moved(runs, name):
        """Movement of {name}, a mean."""
        return float(runs[name].mean())

    assert claim(functools.partial(moved, name="effect")).quantity == "movement of effect, a mean"


@pytest.mark.parametrize(
    "options, message",
    [({"least": 3}, "least: 3 units"), ({"of_one_unit": lambda runs: 0.0}, "no docstring")],
)
def test_a_claim_is_checked_when_it_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        claim(**options)


def test_a_rule_that_cannot_fail_is_refused():
    with pytest.raises(ValueError, match="can miss"):
        Rule()
    with pytest.raises(ValueError, match="can miss"):
        within(2, 1)


THRESHOLD = 0.5


def above_threshold(runs):
    """Share of runs beyond a threshold."""
    return _share(runs)


def _share(runs):
    return float((runs["effect"] > THRESHOLD).mean())


def test_the_fingerprint_changes_with_what_decides_and_with_nothing_else(monkeypatch):
    before = claim(above_threshold).fingerprint({"seed": "0:8"})
    assert before == claim(above_threshold, published="3", figure="x").fingerprint({"seed": "0:8"})
    assert before != claim(above_threshold, rule=above(0.1)).fingerprint({"seed": "0:8"})
    assert before != claim(above_threshold).fingerprint({"seed": "0:9"})
    assert before != claim(mean_effect).fingerprint({"seed": "0:8"})
    monkeypatch.setattr("test_lift.THRESHOLD", 0.6)  # a constant that a helper of the statistic names
    assert before != claim(above_threshold).fingerprint({"seed": "0:8"})
