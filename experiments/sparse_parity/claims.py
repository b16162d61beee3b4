"""The claims about sparse parity: each a number of one seed, or of a block of seeds that are compared, and its rule."""

import functools
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import xarray as xr

from experiments.sparse_parity.science import CHANCE
from phenom_jax.claims import Claim, Source, above, agrees, below, first, mostly, need
from phenom_jax.claims.runs import at, curvature, exponent, last, ratio, times
from phenom_jax.store.axes import settings

BARAK = Source("Barak et al. 2022", "https://arxiv.org/abs/2207.08799")
MERRILL = Source("Merrill et al. 2023", "https://arxiv.org/abs/2303.11873")
SCALED = ("", "paper", "polynet")  # presets with three n or more at several degrees


def drifts(runs: xr.Dataset) -> dict[str, float]:
    """Change of the local exponent of the steps to 99 % from the smallest n to the largest, of each degree."""

    def drift(setting: xr.Dataset) -> float:
        return curvature(setting, "inputs", "solved_step") * np.ptp(np.log(setting["inputs"].values))

    return _of_degrees(runs, drift)


def exponents_beyond_gradient(runs: xr.Dataset) -> dict[str, float]:
    """Exponent in n of the steps to 99 % less that of 1 / |ξ|, ξ a deciding input's first gradient, of each degree."""
    need((runs["model"] == "mlp").all(), "perceptrons")
    beyond = runs.assign(beyond=runs["solved_step"] * abs(runs["exact_gradient"]))
    return _of_degrees(beyond, lambda setting: exponent(setting, "inputs", setting["beyond"].values))


def exponent_per_degree(runs: xr.Dataset) -> float:
    """Slope of the exponent in n over the degree k, by least squares."""
    exponents = _of_degrees(runs, lambda setting: exponent(setting, "inputs", "solved_step"))
    need(len(exponents) > 1, "two degrees with 3 values of inputs or more, solved at all of them")
    return float(np.polyfit([int(label.split()[1]) for label in exponents], list(exponents.values()), 1)[0])


def slowdown_by_degree(runs: xr.Dataset) -> float:
    """Least factor in steps to 99 % from one degree to the next, each the median over settings otherwise alike."""
    factors = defaultdict(list)
    for _, setting in settings(runs, "degree"):
        ordered = setting.sortby("degree")
        steps = times(ordered, "solved_step")
        for degree, low, high in zip(ordered["degree"].values[1:], steps, steps[1:], strict=False):
            if np.isfinite(min(low, high)):  # where neither is solved nothing is compared
                factors[int(degree)].append(high / low)
    need(factors, "two degrees in one setting, one of them solved")
    return float(min(np.median(of_degree) for of_degree in factors.values()))


def rise_over_lead(runs: xr.Dataset) -> float:
    """Steps until test accuracy leaves chance over those until a deciding input's weight leads, the median of runs."""
    return float(np.median(times(runs, "rise_step") / times(runs, "lead_step")))


def foresight(runs: xr.Dataset, moved: str, weight: str) -> float:
    """Correlation of how far {weight} has moved, halfway to leaving chance, with the steps that remain, in logarithms.

    Both over the means of their setting's runs in the block of seeds.
    """
    logs = np.log([runs[moved].values, runs["remained"].values])
    need((np.ptp(logs, axis=1) > 0).all(), "movement or times that differ between seeds")
    return float(np.corrcoef(logs)[0, 1])


def gap_over_exact(runs: xr.Dataset) -> dict[str, float]:
    """Measured Fourier gap over its closed form, the least-squares factor over the n of each degree."""
    return {
        f"degree {degree}": float((cell["gap"] * cell["exact_gap"]).sum() / (cell["exact_gap"] ** 2).sum())
        for degree, cell in runs.groupby("degree")
    }


def generalises(runs: xr.Dataset) -> bool:
    """Whether more than half of its runs reach 99 % test accuracy."""
    return bool(runs["solved_step"].notnull().mean() > 0.5)


def delay(runs: xr.Dataset) -> float:
    """Steps to 99 % of the test over those of the train examples, the geometric mean of the runs that get there."""
    return ratio(runs["solved_step"].values, runs["memorised_step"].values)


def last_accuracy(runs: xr.Dataset) -> float:
    """Test accuracy at the end, the mean of runs."""
    return float(last(runs, "test_accuracy").mean())


def neurons_kept(runs: xr.Dataset) -> float:
    """Active units when test examples are solved over those when train examples are, the geometric mean of runs."""
    return ratio(at(runs, "active_neurons", "solved"), at(runs, "active_neurons", "memorised"))


def left_chance(results: xr.Dataset) -> xr.DataArray:
    """Runs whose test accuracy leaves chance."""
    return results["rise_step"].notnull()


def compared(results: xr.Dataset) -> xr.DataArray:
    """Solved runs that have another of their setting in their block of four seeds."""
    return results["remained"].notnull()


def fitted(results: xr.Dataset, decay: bool, which: str) -> xr.DataArray:
    """Runs {which} weight decay that fit finite samples."""
    decays = (results["weight_decay"] > 0) == decay
    return (results["data"] == "finite") & decays & results["memorised_step"].notnull()


def _of_degrees(runs: xr.Dataset, of_setting: Callable[[xr.Dataset], float]) -> dict[str, float]:
    """Returns a number of each degree, the mean over its settings of three n or more that are solved at all of them."""
    found = defaultdict(list)
    for _, setting in settings(runs, "inputs"):
        if len(np.unique(setting["inputs"])) > 2 and setting["solved_step"].notnull().all():
            found[f"degree {int(setting['degree'][0])}"].append(of_setting(setting))
    need(found, "a setting with 3 values of inputs or more, solved at all of them")
    return {degree: float(np.mean(of_degree)) for degree, of_degree in sorted(found.items())}


DECAYED = functools.partial(fitted, decay=True, which="with")
UNDECAYED = functools.partial(fitted, decay=False, which="without")

CLAIMS = (
    Claim(
        "Steps to 99 % accuracy grow as a power of the number of inputs: the local exponent does not drift.",
        BARAK["section 3"],
        drifts,
        agrees(0, 0.5),  # half of the power of n that one degree more may cost
        published="n^Ω(k)",
        figure="power_law",
        presets=SCALED,
    ),
    Claim(
        "Steps to 99 % accuracy grow with the number of inputs as the inverse of the first gradient.",
        BARAK["section 4.1"],
        exponents_beyond_gradient,
        agrees(0, 0.25),  # |ξ| is n^(-(k - 1) / 2) at even k: half of what one degree more changes its exponent by
        figure="inputs",
        presets=("", "paper"),
    ),
    Claim(
        "The exponent in the number of inputs grows with the degree.",
        BARAK["section 3"],
        exponent_per_degree,
        above(0.25),  # half of what n^(k / 2) has
        published="n^Ω(k)",
        figure="power_law",
        presets=SCALED,
    ),
    Claim(
        "Parities of more inputs take more steps.",
        BARAK["figure 1"],
        slowdown_by_degree,
        above(1.1),  # a tenth more
        scale="rank",
        figure="degree",
        presets=(*SCALED, "course"),
    ),
    Claim(
        "Weights of the deciding inputs move ahead before accuracy leaves chance.",
        BARAK["section 5"],
        rise_over_lead,
        first(),
        about=left_chance,
        scale="rank",
        figure="hidden_progress",
        presets=(*SCALED, "losses", "widths"),
    ),
    *(
        Claim(
            f"Halfway to leaving chance, how far {weight} has moved tells the remaining time.",
            BARAK["section 5"],
            functools.partial(foresight, moved=moved, weight=weight),
            below(-0.3),  # a tenth of the variance
            about=compared,
            unit="seed_block",
            published="|w_t − w_0|_∞ as a progress measure",
            figure="prediction",
            presets=("", "polynet", "losses"),
        )
        for moved, weight in (
            ("moved", "the farthest weight"),
            ("relevant_moved", "the farthest weight of a deciding input"),
        )
    ),
    Claim(
        "The first gradient of a neuron with weights 1 has the Fourier gap of its threshold function.",
        BARAK["section 4.1"],
        gap_over_exact,
        agrees(1, 0.05),
        published="1",
        figure="gap",
    ),
    Claim(
        "With weight decay, networks that fit finite samples generalise.",
        MERRILL["figure 1"],
        generalises,
        mostly(),
        about=DECAYED,
        scale="share",
        figure="active_neurons",
        presets=("grokking",),
    ),
    Claim(
        "They generalise much later than they fit their samples.",
        MERRILL["figure 1"],
        delay,
        above(2),
        about=DECAYED,
        scale="log",
        published="5.9 to 7.1 (epochs 20, 117 to 141)",
        figure="active_neurons",
        presets=("grokking", "samples"),
    ),
    Claim(
        "Without weight decay they stay at chance.",
        Source("Control of the claims on weight decay"),
        last_accuracy,
        below(CHANCE),
        about=UNDECAYED,
        figure="active_neurons",
        presets=("grokking",),
    ),
    Claim(
        "Meanwhile the number of active neurons falls to less than half.",
        MERRILL["section 4"],
        neurons_kept,
        below(0.5),
        about=DECAYED,
        scale="log",
        published="a sparse subnetwork takes over",
        figure="active_neurons",
        presets=("grokking", "samples"),
    ),
)
