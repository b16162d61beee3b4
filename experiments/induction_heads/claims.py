"""The claims about induction heads, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from experiments.induction_heads.summary import MATCHING, head_score
from phenom_jax.laws.bootstrap import Interval, bootstrap
from phenom_jax.report.tables import final_values
from phenom_jax.results.claims import Claim, Decision, Verdict

NEAR = 1.25  # times as many steps
MOST, HALF, FEW = 0.75, 0.5, 3  # shares of runs, and the runs from which on anything is decided


def together(results: xr.Dataset) -> Decision:
    """Compares the steps of score crossing and gradient peak with that of the steepest fall, in recall."""
    runs = _over(
        results, (results["task"] == "recall") & results["fall_step"].notnull() & results["match_step"].notnull()
    )
    if runs.sizes["run"] < FEW:
        return _too_few(runs, "form a head as the loss falls")
    ratios = {name: _ratio(runs, f"{name}_step") for name in ("match", "peak")}
    apart = {name: _median(np.abs((runs[f"{name}_step"] - runs["fall_step"]).values), runs) for name in ratios}
    grid = float(np.nanmedian((runs["fall_step"] - runs["fall_after"]).values))
    verdicts = [_below(_median(np.exp(np.abs(np.log(ratio))), runs), NEAR) for ratio in ratios.values()]
    middle = {name: _median(ratio, runs) for name, ratio in ratios.items()}
    return Decision(
        "fails" if "fails" in verdicts else "undecided" if "undecided" in verdicts else "holds",
        f"relative to the steepest fall, at step {_median(runs['fall_step'].values, runs)}, prefix matching passes "
        f"{MATCHING} at {middle['match']} and the gradient norm peaks at {middle['peak']} times as many steps, "
        f"{apart['match']} and {apart['peak']} steps apart (medians of "
        f"{runs.sizes['run']} runs; measured steps are {grid:.0f} apart)",
        {f"{name}_ratio": interval.estimate for name, interval in middle.items()}
        | {f"{name}_apart": interval.estimate for name, interval in apart.items()}
        | {"runs": runs.sizes["run"], "grid": grid},
    )


def abrupt(results: xr.Dataset) -> Decision:
    """Compares the time the loss takes from 80 % to 25 % of guessing with the time to get there."""
    runs = _over(results, (results["task"] == "recall") & results["solve_step"].notnull() & (results["layers"] > 1))
    if runs.sizes["run"] < FEW:
        return _too_few(runs, "solve recall with two layers or more")
    found = _median(((runs["solve_step"] - runs["leave_step"]) / runs["solve_step"]).values, runs)
    lasts = _median((runs["solve_step"] - runs["leave_step"]).values, runs)
    return Decision(
        _below(found, HALF),
        f"the fall from 80 % to 25 % takes {lasts} steps, {found} of all steps up to its end (medians of "
        f"{runs.sizes['run']} runs)",
        {"share": found.estimate, "low": found.low, "high": found.high, "steps": lasts.estimate},
    )


def two_layers(results: xr.Dataset) -> Decision:
    """Counts the runs that form a head with one layer and with more, keys not smeared."""
    plain = ~results["smeared"].astype(bool)
    one, more = (_over(results, plain & deep) for deep in (results["layers"] == 1, results["layers"] > 1))
    one, more = (runs.isel(run=_needs_matching(runs)) for runs in (one, more))
    if min(one.sizes["run"], more.sizes["run"]) < FEW:
        return _too_few(one if one.sizes["run"] < FEW else more, "have one layer (and as many more), keys not smeared")
    shallow, deep = (int(runs["match_step"].notnull().sum()) for runs in (one, more))
    shares = shallow / one.sizes["run"], deep / more.sizes["run"]
    verdict: Verdict = "undecided"
    if shallow == 0 and shares[1] >= MOST:
        verdict = "holds"
    elif shares[0] >= HALF or shares[1] < HALF:
        verdict = "fails"
    losses = [float(np.median(final_values(runs)["loss"].values)) for runs in (one, more)]
    return Decision(
        verdict,
        f"{_share(shallow, one.sizes['run'])} with one layer form a head, {_share(deep, more.sizes['run'])} with more; "
        f"their loss ends at {losses[0]:.2g} and {losses[1]:.2g} (medians)",
        {"one": shallow, "of_one": one.sizes["run"], "more": deep, "of_more": more.sizes["run"]},
    )


def smeared(results: xr.Dataset) -> Decision:
    """Counts the one-layer runs with smeared keys that form a head and that solve the task."""
    runs = _over(results, results["smeared"].astype(bool) & (results["layers"] == 1))
    runs = runs.isel(run=_needs_matching(runs))
    total = runs.sizes["run"]
    if total < FEW:
        return _too_few(runs, "have one layer with smeared keys")
    matched, solved = (int(runs[f"{name}_step"].notnull().sum()) for name in ("match", "solve"))
    final = _median(head_score(final_values(runs)).values, runs)
    return Decision(
        _counted(min(matched, solved), total),
        f"{_share(solved, total)} solve it, in {_share(matched, total)} a head's prefix matching passes {MATCHING}; it "
        f"ends at {final}",
        {"runs": total, "solved": solved, "matched": matched, "score": final.estimate},
    )


def composition(results: xr.Dataset) -> Decision:
    """Looks for the parts of an induction head in the runs of two layers or more that form one."""
    chosen = (results["layers"] > 1) & ~results["smeared"].astype(bool) & results["match_step"].notnull()
    runs = _over(results, chosen & results["solve_step"].notnull())
    total = runs.sizes["run"]
    if total < FEW:
        return _too_few(runs, "form a head in two layers or more")
    scores, before, copies = (_final(runs, f"head_{name}") for name in ("prefix_matching", "previous_token", "copying"))
    previous, copying = np.empty((2, total))
    layer = np.empty(total, int)
    for row in range(total):
        layer[row], head = np.unravel_index(np.nanargmax(scores[row]), scores[row].shape)
        copying[row] = copies[row, layer[row], head]
        previous[row] = np.nanmax(before[row, : layer[row]]) if layer[row] else np.nan
    parts = (layer > 0) & (previous > MATCHING) & (copying > MATCHING)
    return Decision(
        _counted(int(parts.sum()), total),
        f"all three in {_share(int(parts.sum()), total)}: the head is in a later layer in {int((layer > 0).sum())}, "
        f"its copying is {_median(copying, runs)}, previous-token attention below it {_median(previous, runs)}",
        {"runs": total, "all": int(parts.sum()), "later": int((layer > 0).sum())},
    )


def without_head(results: xr.Dataset) -> Decision:
    """Counts the runs on repeated blocks of one length that solve it and have no head that matches on the probe."""
    chosen = (results["task"] == "repeated") & ~results["varied"].astype(bool)
    return _no_head(results, chosen, "repeated blocks of one length")


def learned_positions(results: xr.Dataset) -> Decision:
    """Counts the runs of recall with learned positions that solve it without a head that matches prefixes."""
    chosen = (results["task"] == "recall") & (results["positions"] == "learned")
    return _no_head(results, chosen, "recall with learned positions")


def _no_head(results: xr.Dataset, chosen: xr.DataArray, what: str) -> Decision:
    runs = _over(results, chosen & results["solve_step"].notnull())
    total = runs.sizes["run"]
    if total < FEW:
        return _too_few(runs, f"solve {what}")
    without = int(runs["match_step"].isnull().sum())
    final = _median(head_score(final_values(runs)).values, runs)
    return Decision(
        _counted(without, total),
        f"{_share(without, total)} that solve it have no head that matches prefixes by {MATCHING}; the best head "
        f"ends at {final}",
        {"runs": total, "without": without, "score": final.estimate},
    )


def context(results: xr.Dataset) -> Decision:
    """Compares when the in-context score is half-way down with when a head matches prefixes, in repeated tokens."""
    runs = _over(results, results["varied"].astype(bool) & (results["context_step"] + results["match_step"]).notnull())
    if runs.sizes["run"] < FEW:
        return _too_few(runs, "form a head on repeated blocks of varied length")
    ratio = (runs["context_step"] / runs["match_step"]).values
    middle, off = _median(ratio, runs), _median(np.exp(np.abs(np.log(ratio))), runs)
    final = _median(final_values(runs)["in_context"].values, runs)
    return Decision(
        _below(off, NEAR),
        f"the in-context score is half-way down at {middle} times the steps at which prefix matching passes "
        f"{MATCHING} (median of {runs.sizes['run']} runs); it ends at {final} nat",
        {"ratio": middle.estimate, "low": middle.low, "high": middle.high, "runs": runs.sizes["run"]},
    )


def unigram_first(results: xr.Dataset) -> Decision:
    """Looks in each run on Markov chains for a time near the unigram predictor, before the bigram one is nearer."""
    runs = _over(results, (results["task"] == "markov") & (results["layers"] > 1))
    total = runs.sizes["run"]
    if total < FEW:
        return _too_few(runs, "learn Markov chains with two layers or more")
    steps, rows = runs["step"].values, np.arange(total)
    both = runs["unigram_step"].notnull().values & runs["bigram_step"].notnull().values
    place = np.searchsorted(steps, np.where(both, runs["unigram_step"].values, 0))
    unigram, bigram = (runs[f"{name}_divergence"].values[rows, place] for name in ("unigram", "bigram"))
    phases = both & (unigram < bigram / 2)
    final = final_values(runs)
    near, far, end = (_median(values, runs) for values in (unigram, bigram, final["bigram_divergence"].values))
    lowest, nearer = (
        _median(np.where(both, runs[f"{name}_step"].values, np.inf), runs) for name in ("unigram", "bigram")
    )
    return Decision(
        _counted(int(phases.sum()), total),
        f"both phases in {_share(int(phases.sum()), total)}: at step {lowest} the model is {near} nat from the unigram "
        f"and {far} from the bigram predictor, from step {nearer} on the latter is nearer, at the end {end} away",
        {
            "runs": total,
            "both": int(phases.sum()),
            "unigram": near.estimate,
            "bigram": far.estimate,
            "end": end.estimate,
        },
    )


def _over(results: xr.Dataset, chosen: xr.DataArray) -> xr.Dataset:
    """Returns the chosen runs that came to their end."""
    return results.isel(run=(chosen & results["status"].isin(["finished", "done"])).values)


def _needs_matching(runs: xr.Dataset) -> np.ndarray:
    """Returns bool[run]: recall, or repeated blocks whose length is not known beforehand."""
    return ((runs["task"] == "recall") | runs["varied"].astype(bool)).values


def _too_few(runs: xr.Dataset, what: str) -> Decision:
    return Decision("undecided", f"{runs.sizes['run']} runs {what}, at least {FEW} are needed")


def _ratio(runs: xr.Dataset, name: str) -> np.ndarray:
    return (runs[name] / runs["fall_step"]).values


def _median(values: np.ndarray, runs: xr.Dataset) -> Interval:
    """Returns the median of the values that are not NaN with its interval over seeds."""
    kept = ~np.isnan(values)
    if not kept.any():
        return Interval(np.nan, np.nan, np.nan)
    held = values[kept]
    return bootstrap(lambda rows: float(np.median(held[rows])), runs["seed"].values[kept])


def _final(runs: xr.Dataset, name: str) -> np.ndarray:
    """Returns float[run, layer, head], each run's last measured values."""
    values = runs[name].values
    measured = np.any(np.isfinite(values), axis=(2, 3))
    last = values.shape[1] - 1 - measured[:, ::-1].argmax(1)
    return values[np.arange(len(values)), last]


def _below(found: Interval, limit: float) -> Verdict:
    return "holds" if found.high < limit else "fails" if found.low > limit else "undecided"


def _counted(count: int, total: int) -> Verdict:
    return "holds" if count >= MOST * total else "fails" if count < HALF * total else "undecided"


def _share(count: int, total: int) -> str:
    interval = stats.binomtest(count, total).proportion_ci(method="wilson")
    return f"{count} of {total} ({100 * interval.low:.0f}–{100 * interval.high:.0f} %)"


_COUNT = "Holds if at least 75 % of these runs do, fails if fewer than half."
CLAIMS = (
    Claim(
        "together",
        "The loss falls, a head comes to match prefixes and the gradient norm peaks at the same time.",
        "Olsson et al. 2022, arguments 1 and 2; known from one setting near step 400",
        together,
        rule="In recall, of runs that do all three. Holds if the median factors between the steps of the steepest fall "
        "and those where prefix matching passes 0.5, and where the gradient norm peaks, are below 1.25 with their "
        "whole 95 % bootstrap intervals over seeds; fails if one is above.",
    ),
    Claim(
        "abrupt",
        "The loss falls abruptly after a plateau.",
        "Olsson et al. 2022, argument 1; known: from 2 to 0.5 nat within about 80 steps near step 400",
        abrupt,
        rule="In recall with two layers or more. Holds if the fall from 80 % to 25 % of the loss of guessing takes "
        "less than half of all steps up to its end, in the median with its whole 95 % bootstrap interval over "
        "seeds; fails if more.",
    ),
    Claim(
        "two_layers",
        "One layer forms no induction head, two do.",
        "Olsson et al. 2022, argument 2; Elhage et al. 2021",
        two_layers,
        rule="Where matching is needed (recall, varied blocks) and keys are not smeared. Holds if in no run of one "
        "layer and in at least 75 % of those of more a head's prefix matching passes 0.5; fails if it does in half of "
        "the former or not in half of the latter.",
    ),
    Claim(
        "smeared",
        "With smeared keys one layer forms an induction head.",
        "Olsson et al. 2022, argument 2",
        smeared,
        rule="Holds if at least 75 % of the runs solve the task (25 % of the loss of guessing) and in as many a head's "
        "prefix matching passes 0.5; fails if either is below half.",
    ),
    Claim(
        "composition",
        "The head that matches prefixes copies, and a head below it attends to the previous token.",
        "Elhage et al. 2021; Olsson et al. 2022, argument 4",
        composition,
        rule="Of runs that form a head and solve the task: it lies in a later layer, its copying score is above 0.5, "
        "and a head of an earlier layer attends to the previous token by more than 0.5 where that is of use. " + _COUNT,
    ),
    Claim(
        "without_head",
        "Blocks that always repeat at the same distance are learnt without an induction head.",
        "another circuit: attention to that distance",
        without_head,
        rule="Of runs that solve it: no head's prefix matching passes 0.5 on random tokens with other blocks. "
        + _COUNT,
    ),
    Claim(
        "learned_positions",
        "With learned absolute positions at length 32 recall is solved without a head that matches prefixes.",
        "known from one implementation of this setting",
        learned_positions,
        rule="Of runs that solve it: no head's prefix matching passes 0.5 on the task's sequences. " + _COUNT,
    ),
    Claim(
        "in_context",
        "The in-context score falls when the head forms.",
        "Olsson et al. 2022, argument 1",
        context,
        rule="On repeated blocks of varied length. Holds if the median factor between the steps where the in-context "
        "score is half-way down and where prefix matching passes 0.5 is below 1.25 with its whole 95 % "
        "bootstrap interval over seeds; fails if above.",
    ),
    Claim(
        "unigram_first",
        "A model of Markov chains first counts states, then transitions.",
        "Edelman et al. 2024, section 3",
        unigram_first,
        rule="Both phases: at its lowest before the bigram predictor is nearer, the divergence from the unigram "
        "predictor is below half of that from the bigram predictor, and later the bigram predictor is nearer. "
        + _COUNT,
    ),
)
