"""The claims about grokking: a number of one seed's runs and a rule each."""

import itertools
from collections import defaultdict

import numpy as np
import xarray as xr

from phenom_jax.claims import Claim, Source, above, agrees, below, first, need
from phenom_jax.claims.runs import at, curvature, exponent, first_crossing, last, ratio, times
from phenom_jax.store.axes import settings, strata

POWER = Source("Power et al. 2022", "https://arxiv.org/abs/2201.02177")
NANDA = Source("Nanda et al. 2023", "https://arxiv.org/abs/2301.05217")
LIU = Source("Liu et al. 2023 (Omnigrok)", "https://arxiv.org/abs/2210.01117")
LAW = Source("T_grok - T_memorise ~ log(V_mem / V*) / (2 κ lr wd), V the squared norm")


def without_decay(results: xr.Dataset) -> xr.DataArray:
    """Runs without weight decay."""
    return results["weight_decay"] == 0


def with_decay(results: xr.Dataset) -> xr.DataArray:
    """Runs with weight decay."""
    return results["weight_decay"] > 0


def generalised(results: xr.Dataset) -> xr.DataArray:
    """Runs that generalise after they memorised."""
    return results["generalisation_delay"] > 0


def generalised_in_every_seed(results: xr.Dataset) -> xr.DataArray:
    """Runs of settings in which the runs of all seeds generalise after they memorised."""
    setting, delayed = strata(results), generalised(results) & with_decay(results)
    return delayed & ~np.isin(setting, setting[~delayed.values])


def train_accuracy(runs: xr.Dataset) -> float:
    """Train accuracy at the end, the lowest of its runs."""
    return float(last(runs, "train_accuracy").min())


def test_accuracy(runs: xr.Dataset) -> float:
    """Test accuracy, the highest that any of its runs reaches."""
    return float(runs["test_accuracy"].max())


def delay_factor(runs: xr.Dataset) -> float:
    """Steps to generalise over steps to memorise, the geometric mean over its runs."""
    return ratio(times(runs, "generalisation_step"), times(runs, "memorisation_step"))


def neighbouring_decays(runs: xr.Dataset) -> dict[str, float]:
    """Steps to generalise at the larger of neighbouring decays over those at the smaller; never is the steps it had."""
    factors = defaultdict(list)
    for _, setting in settings(runs, "weight_decay"):
        ordered = setting.sortby("weight_decay")
        waited = np.minimum(times(ordered, "generalisation_step"), ordered["steps"].values)
        for (smaller, before), (larger, after) in itertools.pairwise(zip(ordered["weight_decay"].values, waited)):
            factors[f"{smaller:g} to {larger:g}"].append(after / before)
    need(factors, "two weight decays above 0")
    return {pair: ratio(np.array(found), np.ones(len(found))) for pair, found in factors.items()}


def decay_exponent(runs: xr.Dataset) -> float:
    """Exponent of the delay in weight decay, a prefactor for each setting."""
    _need_decade(runs, "weight_decay")
    return exponent(runs, "weight_decay", "generalisation_delay")


def decay_curvature(runs: xr.Dataset) -> float:
    """Change of the delay's local exponent in weight decay per e-fold of it."""
    _need_decade(runs, "weight_decay")
    return curvature(runs, "weight_decay", "generalisation_delay")


def rate_exponent(runs: xr.Dataset) -> float:
    """Exponent of the delay in the step size, a prefactor for each setting."""
    _need_decade(runs, "learning_rate")
    return exponent(runs, "learning_rate", "generalisation_delay")


def norm_ratio(runs: xr.Dataset) -> float:
    """Weight norm at generalisation over that at memorisation, the geometric mean over its runs."""
    return ratio(at(runs, "weight_norm", "generalisation"), at(runs, "weight_norm", "memorisation"))


def restricted_lead(runs: xr.Dataset) -> float:
    """Steps until half of the test pairs are right over those until restricted loss has halved, a median of runs."""
    return _lead(first_crossing(runs, "test_accuracy", 0.5), _halved(runs, "restricted_test_loss"))


def key_lead(runs: xr.Dataset) -> float:
    """Steps until the test loss with all frequencies has halved over those with the key ones, a median of runs."""
    return _lead(_halved(runs, "summed_test_loss"), _halved(runs, "restricted_test_loss"))


def _lead(others: np.ndarray, own: np.ndarray) -> float:
    told = np.isfinite(others) | np.isfinite(own)
    return float(np.median(others[told] / own[told])) if told.any() else np.nan


def _halved(runs: xr.Dataset, name: str) -> np.ndarray:
    initial = runs[name].isel(step=0).values
    need(np.isfinite(initial).all(), f"{name.replace('_', ' ')}, which is of addition in cyclic groups")
    return first_crossing(runs, name, initial / 2, "down")


def _need_decade(runs: xr.Dataset, name: str) -> None:
    values = np.unique(runs[name].values)
    need(
        len(values) > 2 and values[-1] >= 9.99 * values[0],
        f"three values of {name.replace('_', ' ')} over a factor of 10 at which every seed generalises",
    )


CLAIMS = (
    Claim(
        "Without weight decay runs memorise.",
        NANDA["section 5"],
        train_accuracy,
        above(0.99),
        about=without_decay,
        published="train accuracy above 99 % by step 200",
        figure="accuracy",
        presets=("", "transformer"),
    ),
    Claim(
        "Without weight decay test accuracy stays at chance.",
        NANDA["section 5"],
        test_accuracy,
        below(0.05),
        about=without_decay,
        published="2.5 % at most",
        figure="accuracy",
        presets=("", "transformer"),
    ),
    Claim(
        "With weight decay generalisation comes long after memorisation.",
        POWER["figure 1"],
        delay_factor,
        above(10),
        about=generalised,
        scale="log",
        published="1000 times later; 33 times in Nanda et al. 2023",
        figure="accuracy",
        presets=("", "transformer"),
    ),
    Claim(
        "Of two positive weight decays, the larger generalises sooner.",
        LIU["figure 5"],
        neighbouring_decays,
        below(1),
        about=with_decay,
        scale="log",
        figure="phase_diagram",
        presets=("", "delay_law"),
    ),
    Claim(
        "The delay falls as 1 / weight decay.",
        LAW,
        decay_exponent,
        agrees(-1, by=0.2),
        about=generalised_in_every_seed,
        published="-1",
        figure="delay",
        presets=("", "delay_law"),
    ),
    Claim(
        "The delay is a power law of weight decay.",
        LAW,
        decay_curvature,
        agrees(0, by=0.1),
        about=generalised_in_every_seed,
        published="0",
        figure="delay",
        presets=("", "delay_law"),
    ),
    Claim(
        "The delay falls as 1 / step size.",
        LAW,
        rate_exponent,
        agrees(-1, by=0.2),
        about=generalised_in_every_seed,
        published="-1",
        figure="delay",
        presets=("delay_law",),
    ),
    Claim(
        "The weight norm falls between memorisation and generalisation.",
        NANDA["section 5 (cleanup)"],
        norm_ratio,
        below(1),
        about=generalised,
        scale="log",
        figure="weight_norm",
        presets=("", "transformer", "course"),
    ),
    Claim(
        "Restricted loss falls before test accuracy rises.",
        NANDA["section 5 (progress measures)"],
        restricted_lead,
        first(),
        about=generalised,
        scale="rank",
        figure="progress",
        presets=("", "transformer"),
    ),
    Claim(
        "It is the key frequencies that lead: with all frequencies kept the loss falls later.",
        NANDA["section 5 (progress measures)"],
        key_lead,
        first(),
        about=generalised,
        scale="rank",
        published="not shown",
        figure="progress",
        presets=("", "transformer"),
    ),
)
