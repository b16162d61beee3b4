"""The claims about local learning coefficients: whether the chains can be trusted, and what they say of a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from experiments.llc.trust import DRAWS_PER_CHAIN, R_HAT, Group, groups
from phenom_jax.laws.bootstrap import bootstrap
from phenom_jax.measures.llc import STEP_RULE
from phenom_jax.report.tables import final_values
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import swept_axes, words

MARGIN = 0.05  # of the exact value: what STEP_RULE lets SGLD be off
MEMORISED, GENERALISED, HALF = 0.99, 0.95, 0.5  # train accuracy, test accuracy, either
FEWEST = 3  # source runs
SAID = 2  # groups of chains that are named for each complaint


class Complaint(NamedTuple):
    """What may be wrong with a group of chains, whether it is, and what to do about it."""

    name: str
    holds: Callable[[Group], bool]
    detail: Callable[[Group], str]
    remedy: str


COMPLAINTS = (
    Complaint("chains that diverged", lambda g: g.diverged > 0, lambda g: f"{g.diverged}", "lower step_size"),
    Complaint(
        f"steps beyond {STEP_RULE} of the stiffest direction",
        lambda g: g.stiff_step > STEP_RULE,
        lambda g: f"{g.stiff_step:.2g}, step size {g.longest_step:.2g} would reach {STEP_RULE}",
        "lower step_size",
    ),
    Complaint(
        "chains that left the neighbourhood",
        lambda g: g.left > 0,
        lambda g: f"{g.left}",
        "raise localisation, or lower n_beta",
    ),
    Complaint(
        "negative coefficients",
        lambda g: len(g.llc) > 0 and bool(g.llc.mean() < -2 * g.error),
        lambda g: f"{g.llc.mean():.3g}",
        "the weights are no minimum: raise localisation, or take loss=behaviour",
    ),
    Complaint(
        f"split-R-hat above {R_HAT}",
        lambda g: g.r_hat > R_HAT,
        lambda g: f"{g.r_hat:.3g}",
        "raise burn_in and steps",
    ),
    Complaint(
        f"fewer than {DRAWS_PER_CHAIN} effective draws per chain",
        lambda g: len(g.llc) > 0 and not g.effective_draws >= DRAWS_PER_CHAIN * len(g.llc),
        lambda g: f"{g.effective_draws:.0f}",
        "raise steps",
    ),
)


def trusted(results: xr.Dataset) -> Decision:
    """Looks for everything that makes chains untrustworthy, and says where and what to do."""
    found = groups(results)
    if not found:
        return Decision("undecided", "no chain is over")
    said, numbers = [], {"kept states or settings": float(len(found))}
    for complaint in COMPLAINTS:
        bad = [group for group in found if complaint.holds(group)]
        numbers[complaint.name] = float(len(bad))
        if bad:
            where = "; ".join(f"{group.label}: {complaint.detail(group)}" for group in bad[:SAID])
            more = f" and {len(bad) - SAID} more" if len(bad) > SAID else ""
            said.append(f"{complaint.name} at {len(bad)} of {len(found)} ({where}{more}): {complaint.remedy}")
    acceptance = [group.acceptance for group in found if np.isfinite(group.acceptance)]
    lowest = f"; mean acceptance at least {min(acceptance):.3g}" if acceptance else ""
    if said:
        return Decision("fails", "; ".join(said) + lowest, numbers)
    if len(found[0].llc) < 2:
        return Decision("undecided", "one chain says nothing of whether chains agree, at least 2 are needed", numbers)
    worst, fewest = max(group.r_hat for group in found), min(group.effective_draws for group in found)
    stiffest = max(group.stiff_step for group in found)
    steps = f", steps at most {stiffest:.2g} of the stiffest direction" if stiffest else ""
    return Decision(
        "holds",
        f"{len(found)} kept states or settings: split-R-hat at most {worst:.3f}, at least {fewest:.0f} effective draws"
        f"{steps}{lowest}",
        numbers,
    )


def climbs_with_rank(results: xr.Dataset) -> Decision:
    """Compares the coefficients at the most settled kept state of every rank."""
    if "source_learning_coefficient" not in results:
        return Decision("undecided", "the source is no deep linear network")
    stages = _by_rank(results)
    if isinstance(stages, str):
        return Decision("undecided", stages)
    ranks, values_NxR, exact_R, labels = stages
    rises = [
        bootstrap(lambda rows, r=r: float((values_NxR[rows, r + 1] - values_NxR[rows, r]).mean()), labels)
        for r in range(len(ranks) - 1)
    ]
    means = ", ".join(
        f"{values_NxR[:, r].mean():.2f} at rank {rank:g} (exact {exact_R[r]:.3g})" for r, rank in enumerate(ranks)
    )
    said = ", ".join(str(rise) for rise in rises)
    return Decision(
        _all_above([(rise.low, rise.high) for rise in rises]),
        f"{means}; rises {said}; {_of(labels)}",
        {f"rank {rank:g}": float(values_NxR[:, r].mean()) for r, rank in enumerate(ranks)}
        | {f"rise {r}": rise.estimate for r, rise in enumerate(rises)},
    )


def ends_at_exact(results: xr.Dataset) -> Decision:
    """Compares the coefficient at the last kept state with half the rank of the Jacobian, as theory gives it."""
    if "source_learning_coefficient" not in results:
        return Decision("undecided", "the source is no deep linear network")
    if problem := _several_settings(results):
        return Decision("undecided", problem)
    final = _finished(results)
    last = final["source_step"].groupby(final["source"]).max()
    final = final.isel(run=(final["source_step"].values == last.sel(source=final["source"].values).values))
    if not final.sizes["run"]:
        return Decision("undecided", "no chain around a last kept state is over")
    exact = final["source_learning_coefficient"].values
    share = final["llc"].values / exact - 1
    labels = _labels(final)
    off = bootstrap(lambda rows: float(share[rows].mean()), labels)
    inside, outside = max(abs(off.low), abs(off.high)) <= MARGIN, off.low > MARGIN or off.high < -MARGIN
    return Decision(
        "holds" if inside else "fails" if outside else "undecided",
        f"mean {final['llc'].values.mean():.3f} against {exact.mean():.3g}: {100 * off.estimate:+.1f} % "
        f"[{100 * off.low:+.1f}, {100 * off.high:+.1f}]; {_of(labels)}",
        {"coefficient": float(final["llc"].values.mean()), "exact": float(exact.mean()), "off": off.estimate},
    )


def peaks_before_generalisation(results: xr.Dataset) -> Decision:
    """Compares the coefficient of every source run before it memorises, once it has, and at the end."""
    runs = _classifiers(results)
    if isinstance(runs, str):
        return Decision("undecided", runs)
    found, early = [], []
    for train, test, llc in runs:
        between = (train >= MEMORISED) & (test < GENERALISED)
        before = (train < HALF) & (test < HALF)
        if test[-1] >= GENERALISED and between.any() and before.any():
            found.append((llc[before].max(), llc[between].max(), llc[-1]))
            early.append((llc[between].max() - llc[test < HALF][-1]) / (llc[between].max() - llc[-1]))
    if len(found) < FEWEST:
        return Decision(
            "undecided",
            f"{len(found)} source runs generalise and have kept states before and after memorisation, {FEWEST} are "
            "needed",
        )
    before, peak, end = np.array(found).T
    each = np.arange(len(found))
    rise = bootstrap(lambda rows: float((peak - before)[rows].mean()), each)
    fall = bootstrap(lambda rows: float((peak - end)[rows].mean()), each)
    return Decision(
        _all_above([(rise.low, rise.high), (fall.low, fall.high)]),
        f"{before.mean():.3g} before memorisation, {peak.mean():.3g} at most between it and generalisation, "
        f"{end.mean():.3g} at the end: rise {rise}, fall {fall} over {len(found)} source runs; {np.mean(early):.0%} of "
        "the fall comes before half of the test examples are right",
        {"before": before.mean(), "peak": peak.mean(), "end": end.mean(), "fallen early": float(np.mean(early))},
    )


def stays_without_generalisation(results: xr.Dataset) -> Decision:
    """Looks at how far the coefficient falls in source runs that memorise and do not generalise."""
    runs = _classifiers(results)
    if isinstance(runs, str):
        return Decision("undecided", runs)
    left, peaks = [], []
    for train, test, llc in runs:
        peak = int(llc.argmax())
        if (train >= MEMORISED).any() and (test < HALF).all() and peak + 1 < len(llc):
            left.append(llc[peak:].min() / llc[peak])
            peaks.append(llc[peak])
    if len(left) < FEWEST:
        return Decision(
            "undecided",
            f"{len(left)} source runs memorise and stay below half of the test examples, {FEWEST} are needed",
        )
    kept = bootstrap(lambda rows: float(np.array(left)[rows].mean()), np.arange(len(left)))
    return Decision(
        "holds" if kept.low > HALF else "fails" if kept.high < HALF else "undecided",
        f"the lowest coefficient after the peak is {kept} of the peak ({np.mean(peaks):.3g}) in {len(left)} source "
        "runs that memorise and do not generalise",
        {"kept": kept.estimate, "peak": float(np.mean(peaks)), "runs": len(left)},
    )


def _classifiers(results: xr.Dataset) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]] | str:
    """Returns train and test accuracy and mean coefficient along the kept states of every run; or what is lacking."""
    names = ("source_train_accuracy", "source_test_accuracy")
    if not all(name in results for name in names):
        return "the source measures no train and test accuracy"
    if problem := _several_settings(results):
        return problem
    final = _finished(results)
    found = []
    for source in np.unique(final["source"].values):
        curve = final.isel(run=(final["source"].values == source)).groupby("checkpoint").mean()
        train, test, llc = (curve[name].values for name in (*names, "llc"))
        found.append((train, test, llc))
    return found


def _by_rank(results: xr.Dataset) -> tuple[list[float], np.ndarray, np.ndarray, np.ndarray] | str:
    """Returns ranks, coefficients float[N, ranks], exact values and what groups the N rows; or what is lacking.

    A row is a chain's seed around the kept states of one source run; of those of one rank the one with the smallest
    gradient of the training is taken.
    """
    if problem := _several_settings(results):
        return problem
    if (results["loss"] != "behaviour").any():
        return "with loss=train the stages are saddles; loss=behaviour has a minimum at each"
    final = _finished(results)
    ranks = [rank for rank in np.unique(final["source_rank"].values) if np.isfinite(rank)]
    rows, exact = [], []
    for source in np.unique(final["source"].values):
        runs = final.isel(run=(final["source"].values == source))
        chosen = []
        for rank in ranks:
            there = runs.isel(run=(runs["source_rank"].values == rank))
            if there.sizes["run"]:
                settled = there["checkpoint"].values[there["source_gradient_norm"].fillna(np.inf).values.argmin()]
                chosen.append(there.isel(run=(there["checkpoint"].values == settled)).sortby("seed"))
        if len(chosen) == len(ranks) and len({tuple(stage["seed"].values) for stage in chosen}) == 1:
            rows.append(np.stack([stage["llc"].values for stage in chosen], 1))
            exact.append([stage["source_learning_coefficient"].values[0] for stage in chosen])
    if len(ranks) < 2 or not rows:
        return f"kept states with chains that are over have {len(ranks)} ranks, at least 2 in one source run are needed"
    labels = [np.full(len(row), place) if len(rows) > 1 else np.arange(len(row)) for place, row in enumerate(rows)]
    return ranks, np.concatenate(rows), np.mean(exact, 0), np.concatenate(labels)


def _finished(results: xr.Dataset) -> xr.Dataset:
    return final_values(results.isel(run=(results["status"] == "finished").values))


def _several_settings(results: xr.Dataset) -> str:
    """Returns which settings of the sampler vary, in words: only values of one setting can be compared."""
    names = [name for together in swept_axes(results).values() for name in together]
    varying = [words(name) for name in names if name not in ("seed", "source", "checkpoint")]
    return f"only coefficients of one setting can be compared, here {', '.join(varying)} vary" if varying else ""


def _labels(final: xr.Dataset) -> np.ndarray:
    """Returns what groups the runs: the source run where there are several, else the chain's seed."""
    several = len(np.unique(final["source"].values)) > 1
    return final["source" if several else "seed"].values


def _of(labels: np.ndarray) -> str:
    groups_counted = len(np.unique(labels))
    return f"{groups_counted} {'chains' if groups_counted == len(labels) else 'source runs'}"


def _all_above(intervals: Sequence[tuple[float, float]]) -> Verdict:
    """Returns whether all intervals lie above zero, one of them below, or neither."""
    if all(low > 0 for low, _ in intervals):
        return "holds"
    return "fails" if any(high < 0 for _, high in intervals) else "undecided"


CLAIMS = (
    Claim(
        "trusted",
        "The chains can be trusted: short steps, agreeing chains, enough draws, near the kept weights.",
        "Gelman et al. 2013, section 11.5 (split-R-hat, effective draws); Lau et al. 2023 (step size, localisation)",
        trusted,
        rule="Holds if around every kept state no chain diverges, step size times the sampled loss's largest "
        f"curvature is at most {STEP_RULE}, every chain stays within what the localisation allows a loss without "
        "downhill, the mean coefficient is not negative by more than 2 standard errors, split-R-hat is at most "
        f"{R_HAT} and there are {DRAWS_PER_CHAIN} effective draws per chain; else fails.",
    ),
    Claim(
        "climbs_with_rank",
        "In a deep linear network the coefficient rises with every rank that is learnt.",
        "Lau et al. 2023; Aoyagi 2024, whose exact values for 3-3-3-3 at rank 0 to 3 are 3, 4, 4.5, 4.5",
        climbs_with_rank,
        rule="At the kept state of every rank with the smallest gradient, with loss=behaviour. Holds if the 95 % "
        "bootstrap interval (over source runs, over chains of a single one) of every rise lies above 0, fails if one "
        "lies below.",
    ),
    Claim(
        "ends_at_exact",
        "A fully trained deep linear network's coefficient is half the rank of its Jacobian.",
        "Aoyagi 2024; rank(Jacobian) / 2 = 4.5 for 3-3-3-3 at full rank",
        ends_at_exact,
        rule="At the last kept state. Holds if the 95 % bootstrap interval of the mean relative difference lies within "
        f"{100 * MARGIN:.0f} % of 0, which is what steps at the rule's limit are off by; fails if it lies outside.",
    ),
    Claim(
        "peaks_before_generalisation",
        "In grokking the coefficient rises with memorisation and falls with generalisation.",
        "Lau et al. 2023 (the estimator); Cullen et al. 2026 (grokking)",
        peaks_before_generalisation,
        rule="Takes the largest mean coefficient at kept states with at least 99 % train and less than 95 % test "
        "accuracy. Holds if its rise from the largest with less than 50 % of either and its fall to the last kept "
        "state are above 0 with their whole 95 % bootstrap intervals over source runs; fails if one lies below.",
    ),
    Claim(
        "stays_without_generalisation",
        "In grokking the coefficient falls only where the network generalises.",
        "what detecting generalisation by the coefficient would need; not published",
        stays_without_generalisation,
        rule="Of source runs that reach 99 % train accuracy and stay below 50 % test accuracy: holds if the lowest "
        "coefficient after the peak, as a share of the peak, is above 0.5 with its whole 95 % bootstrap interval over "
        "source runs, fails if below.",
    ),
)
