"""The claims about silent alignment, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr

from experiments.silent_alignment.cells import (
    FEWEST,
    SETTING,
    at_turning,
    chosen,
    decision,
    extreme,
    extreme_of,
    mean,
    seeds,
    together,
    whitened,
    within,
)
from phenom_jax.laws.bootstrap import Interval, bootstrap
from phenom_jax.laws.power_law import fit_power_law
from phenom_jax.report.tables import final_values
from phenom_jax.results.claims import Claim, Decision, Verdict
from phenom_jax.store.axes import groups
from phenom_jax.theory.deep_linear import half_loss_time, mode_time, most_alignment, plateau

SILENT = 0.95  # of the largest alignment, or cosine with the final kernel: what is left to turn is little
CLOSE = 0.05  # of a predicted time
SMALL, LARGE = 0.1, 0.3  # init scales


def aligns_silently(results: xr.Dataset) -> Decision:
    """Compares the alignment when 10 % of the loss is gone with the largest possible, at the smallest init scale."""
    return _share_of_largest(
        extreme(whitened(results), min, at_most=SMALL), f"init scale of at most {SMALL}", above=True
    )


def large_is_not_silent(results: xr.Dataset) -> Decision:
    """Compares the same at the largest init scale."""
    return _share_of_largest(
        extreme(whitened(results), max, at_least=LARGE), f"init scale of at least {LARGE}", above=False
    )


def times_part(results: xr.Dataset) -> Decision:
    """Fits alignment time and half time of two layers as lines over the logarithm of the init scale."""
    runs = whitened(results)
    runs = chosen(runs, (runs["depth"] == 2) & (runs["init_scale"] <= SMALL) & runs["half_time"].notnull())
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for label, group in groups(runs, SETTING):
        scales = group["init_scale"].values
        if len(np.unique(scales)) < FEWEST or scales.max() < 9.99 * scales.min() or seeds(group) < FEWEST:
            continue
        decade = np.log(10) / float(group["strength"].values[0])
        aligning, learning = (_per_decade(group, name) for name in ("alignment_time", "half_time"))
        same = within(aligning, -CLOSE * decade, CLOSE * decade)
        grows = within(learning, (1 - CLOSE) * decade, (1 + CLOSE) * decade)
        verdicts.append(together([same, grows]))
        said.append(
            f"{label}: per decade of the init scale, half of the loss is gone {learning} later (ln 10 / s = "
            f"{decade:.3g}), the kernel has aligned {aligning} later; {_times(group)}"
        )
        numbers |= {f"half time per decade {label}": learning.estimate, f"alignment time {label}": aligning.estimate}
    return decision(verdicts, said, numbers, "depth 2 has 3 init scales up to 0.1 over a decade")


def deep_times_scale(results: xr.Dataset) -> Decision:
    """Fits the half time of three layers and more as a power of the init scale."""
    runs = whitened(results)
    runs = chosen(runs, (runs["depth"] > 2) & (runs["init_scale"] <= SMALL) & runs["half_time"].notnull())
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for _, group in groups(runs, SETTING):
        scales, depth = group["init_scale"].values, int(group["depth"].values[0])
        if len(np.unique(scales)) < FEWEST or scales.max() < 3 * scales.min() or seeds(group) < FEWEST:
            continue
        law = fit_power_law(scales, group["half_time"].values, group["seed"].values)
        exponent = 2 - depth
        verdicts.append(within(law.exponent, 1.1 * exponent, 0.9 * exponent))
        factor = float(np.median(group["half_time"].values / scales**exponent))
        said.append(f"depth {depth}: half time ∝ σ^k with k = {law.exponent}, {factor:.3g} σ^{exponent} (median)")
        numbers |= {f"exponent depth {depth}": law.exponent.estimate, f"prefactor depth {depth}": factor}
    return decision(verdicts, said, numbers, "depth of 3 or more has 3 init scales up to 0.1 over a factor of 3")


def balanced_times(results: xr.Dataset) -> Decision:
    """Compares half times from balanced weights with the exact ones of gradient flow."""
    runs = whitened(results, start="balanced")
    below = runs["init_scale"] ** runs["depth"] < 0.1 * runs["strength"]  # so that there is something to learn
    runs = chosen(runs, below & runs["half_time"].notnull())
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for _, group in groups(runs, (*SETTING, "init_scale")):
        scale, strength, depth = (group[name].values[0].item() for name in ("init_scale", "strength", "depth"))
        exact = half_loss_time(strength, scale**depth, depth)
        ratio = float(np.max(np.abs(group["half_time"].values / exact - 1)))
        verdicts.append("holds" if ratio <= CLOSE else "fails")
        text = f"depth {depth}, init scale {scale:g}: {group['half_time'].values.mean():.4g} against {exact:.4g}"
        said.append(text + (f", to leading order {plateau(scale, strength, depth):.4g}" if depth > 2 else ""))
        numbers[f"off by depth {depth} init scale {scale:g}"] = ratio
    return decision(verdicts, said, numbers, "run starts from balanced weights")


def balance_is_kept(results: xr.Dataset) -> Decision:
    """Compares the change of the balance with what steps of finite size allow."""
    runs = chosen(results, (results["model"] == "linear") & results["turning_time"].notnull())
    if not runs.sizes["run"]:
        return Decision("undecided", "no linear network learnt")
    if runs["loss"].dtype != np.float64:
        return Decision("undecided", "in float32 rounding changes the balance more than steps do")
    gone = runs["loss"].isel(step=0) - runs["loss"]
    allowed = (runs["learning_rate"] * gone).values
    share = np.divide(runs["balance_change"].values, allowed, out=np.full(allowed.shape, np.nan), where=allowed > 0)
    share = np.where(gone.values > 1e-6 * runs["loss"].values[:, :1], share, np.nan)  # below, rounding is all there is
    most = np.nanmax(share, axis=1)
    change = float(np.nanmax(runs["balance_change"].values))
    return Decision(
        "holds" if most.max() <= 1.1 else "fails",
        f"at most {most.max():.3g} times (step size x loss gone) in {len(most)} runs, {np.median(most):.2g} in the "
        f"median run; the largest change is {change:.2g}",
        {"largest": float(most.max()), "median": float(np.median(most)), "change": change, "runs": len(most)},
    )


def modes_follow_saxe(results: xr.Dataset) -> Decision:
    """Compares when each mode of two layers is half learnt with Saxe's curve from what grows of it at the start."""
    runs = chosen(results, (results["model"] == "linear") & (results["spectrum"] == 0) & (results["depth"] == 2))
    runs = chosen(runs, (runs["modes"] > 1) & (runs["init_scale"] <= SMALL))
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for label, group in groups(runs, (*SETTING, "start", "modes", "ratio", "init_scale")):
        if seeds(group) < FEWEST:
            continue
        times = group["mode_times"].values[:, : int(group["modes"].values[0])]
        strengths = group["strength"].values[0] * group["ratio"].values[0] ** np.arange(times.shape[1])
        starts = group["growing_strengths"].isel(step=0).values
        exact = np.array([[mode_time(s / 2, s, u, 2) for s, u in zip(strengths, run)] for run in starts])
        off = [mean((measured / predicted) - 1) for measured, predicted in zip(times.T, exact.T)]
        verdicts.append(together([within(change, -CLOSE, CLOSE) for change in off]))
        ordered = int((np.diff(times, axis=1) > 0).all(1).sum())
        listed = ", ".join(
            f"{strength:.3g} at {measured.mean():.3g} (Saxe {predicted.mean():.3g}, off by "
            f"{100 * change.estimate:+.1f} [{100 * change.low:.1f}, {100 * change.high:.1f}] %)"
            for strength, measured, predicted, change in zip(strengths, times.T, exact.T, off)
        )
        said.append(f"{label}: strength {listed}; in order in {ordered} of {len(times)} runs")
        numbers |= {f"off {label} mode {1 + k}": change.estimate for k, change in enumerate(off)}
    return decision(verdicts, said, numbers, "network of two layers has several modes, whitened inputs and 3 seeds")


def unwhitened_kernel_turns(results: xr.Dataset) -> Decision:
    """Compares the final kernel with that at which learning began, whitened and with the steepest spectrum."""
    return _unwhitened(results, lambda cell: final_values(cell)["kernel_similarity"].values, "cosine of the kernels")


def unwhitened_outputs_turn(results: xr.Dataset) -> Decision:
    """Compares outputs and labels when learning began, whitened and with the steepest spectrum."""
    return _unwhitened(results, lambda cell: at_turning(cell, "label_cosine"), "cosine of outputs and labels")


def final_kernel_predicts(results: xr.Dataset) -> Decision:
    """Compares the test outputs of ReLU networks with kernel regression, at the smallest init scale."""
    runs = chosen(results, (results["model"] == "relu") & results["half_time"].notnull())
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for label, group in groups(runs, (*SETTING, "digits")):
        for order, pick in enumerate((min, max)):
            cell = final_values(extreme_of(group, "init_scale", pick))
            if seeds(cell) < FEWEST or (order and len(np.unique(group["init_scale"].values)) < 2):
                continue
            final, initial = cell["kernel_error"].values, cell["initial_kernel_error"].values
            error, other, change = mean(final), mean(initial), mean(final - initial)
            if not order:
                verdicts.append(together([within(error, 0.0, 0.1), within(change, -np.inf, 0.0)]))
            scale = float(cell["init_scale"].values[0])
            correlations = (cell[name].values.mean() for name in ("kernel_correlation", "initial_kernel_correlation"))
            said.append(
                f"{label}, init scale {scale:g}: off by {error} with the final kernel and {other} with the initial one "
                "(correlations {:.4g} and {:.4g})".format(*correlations)
            )
            numbers |= {f"final {label} {scale:g}": error.estimate, f"initial {label} {scale:g}": other.estimate}
    return decision(verdicts, said, numbers, "ReLU network learnt its digits with 3 seeds")


def _share_of_largest(cells: Iterator[tuple[str, xr.Dataset]], lacking: str, above: bool) -> Decision:
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for label, cell in cells:
        most = most_alignment(int(cell["depth"].values[0]), int(cell["inputs"].values[0]))
        share = mean(cell["silent_alignment"].values / most)
        verdicts.append(within(share, SILENT, np.inf) if above else within(share, -np.inf, SILENT))
        said.append(f"{label}: {share.estimate * most:.3f} of {most:.3f}, a share of {share}")
        numbers[label] = share.estimate
    return decision(verdicts, said, numbers, f"run learnt from an {lacking} with 3 seeds")


def _unwhitened(results: xr.Dataset, cosine_of: Callable[[xr.Dataset], np.ndarray], named: str) -> Decision:
    """Decides whether a cosine is above `SILENT` whitened and below it with the steepest spectrum."""
    runs = chosen(results, (results["model"] == "linear") & (results["start"] == "gaussian") & (results["modes"] == 1))
    runs = chosen(runs, (runs["init_scale"] <= SMALL) & (runs["half_time"].notnull()))
    verdicts: list[Verdict] = []
    said, numbers = [], {}
    for label, group in groups(runs, SETTING):
        white, steep = (extreme_of(extreme_of(group, "spectrum", pick), "init_scale", min) for pick in (min, max))
        spectrum = float(steep["spectrum"].values[0])
        if white["spectrum"].values[0] != 0 or spectrum == 0 or min(map(seeds, (white, steep))) < FEWEST:
            continue
        before, after = (mean(cosine_of(cell)) for cell in (white, steep))
        verdicts.append(together([within(before, SILENT, np.inf), within(after, -np.inf, SILENT)]))
        said.append(f"{label}: {named} {before} whitened, {after} at spectrum {spectrum:g}")
        numbers |= {f"whitened {label}": before.estimate, f"unwhitened {label}": after.estimate}
    return decision(verdicts, said, numbers, "network was trained whitened and not, from an init scale up to 0.1")


def _per_decade(runs: xr.Dataset, name: str) -> Interval:
    """Returns the slope of a time over -log10 of the init scale, with its bootstrap interval."""
    decades, times = -np.log10(runs["init_scale"].values), runs[name].values

    def slope(rows: np.ndarray) -> float:
        return float(np.polyfit(decades[rows], times[rows], 1)[0])

    return bootstrap(slope, runs["seed"].values)


def _times(runs: xr.Dataset) -> str:
    """Returns the mean half times by init scale, in words."""
    scales = np.unique(runs["init_scale"].values)[::-1]
    means = [(runs["half_time"].values[runs["init_scale"].values == scale].mean(), scale) for scale in scales]
    return "half times " + ", ".join(f"{mean:.3g} at {scale:g}" for mean, scale in means)


ATANASOV = "Atanasov, Bordelon, Pehlevan 2021"
CLAIMS = (
    Claim(
        "aligns_silently",
        "On whitened inputs, from small weights, the kernel aligns with the labels before the loss falls.",
        f"{ATANASOV}, deep linear networks; the largest alignment is L/√(L² + D - 1)",
        aligns_silently,
        rule="At the smallest init scale of each depth, 0.1 or less. Holds if the alignment when 10 % of the loss is "
        "gone is at least 95 % of the largest with its whole 95 % interval over seeds at every depth; fails if below "
        "in one.",
    ),
    Claim(
        "times_part",
        "Of two layers, the time to align does not depend on the init scale; the time to learn grows by ln 10 / s a "
        "decade.",
        f"{ATANASOV}; Saxe et al. 2013",
        times_part,
        rule="Slopes over log σ at init scales of 0.1 or less. Holds if the 95 % bootstrap interval over seeds of the "
        "time to lose half of the loss is within 5 % of ln 10 / s a decade, and that of the time to 90 % of the "
        "largest alignment within 5 % of ln 10 / s of zero; fails if one lies outside.",
    ),
    Claim(
        "deep_times_scale",
        "Of three layers and more, the time to learn scales as σ^(2 - L).",
        f"{ATANASOV}; gradient flow is homogeneous in small weights",
        deep_times_scale,
        rule="Init scales of 0.1 or less. Holds if the 95 % bootstrap interval over seeds of the exponent is within "
        "10 % of 2 - L at every depth; fails if outside in one.",
    ),
    Claim(
        "balanced_times",
        "From balanced weights the time to learn is that of du/dt = L u^(2 - 2/L) (s - u), σ^(2 - L) / (s (L - 2)) to "
        "leading order for L of 3 and more.",
        f"Saxe et al. 2013; {ATANASOV}, whose equation has no factor L",
        balanced_times,
        rule="Runs that start with less than a tenth of the teacher's strength. Holds if the time to lose half of the "
        "loss is within 5 % of the exact one in every run; fails otherwise.",
    ),
    Claim(
        "balance_is_kept",
        "Learning conserves W_l W_l' - W_{l+1}' W_{l+1}.",
        "Arora et al. 2018; Du et al. 2018, of gradient flow",
        balance_is_kept,
        rule="A step of size η changes it by η² (G G' - G' G), and loses at least about η |G|² of the loss. Holds if "
        "in every run and at every step the change is at most 1.1 η times the loss that is gone: it vanishes with η.",
    ),
    Claim(
        "modes_follow_saxe",
        "The modes of a teacher are learnt one after the other, each on Saxe's curve.",
        "Saxe et al. 2013: u(t) = s e^{2st} / (e^{2st} - 1 + s/u0)",
        modes_follow_saxe,
        rule="Two layers on whitened inputs, init scales of 0.1 or less; u0 is the part of the initial weights that "
        "grows. Holds if the mean relative difference of the times to half of the strength is within 5 % with its "
        "whole 95 % interval over seeds, for every mode; fails if one lies outside.",
    ),
    Claim(
        "unwhitened_kernel_turns",
        "On inputs that are not whitened the kernel turns while the network learns: the alignment is not silent.",
        f"{ATANASOV}, unwhitened data",
        unwhitened_kernel_turns,
        rule="Cosine between the final kernel and that at which 10 % of the loss was gone. Holds if its mean is above "
        "0.95 whitened and below 0.95 with the steepest spectrum, both with their whole 95 % intervals; fails if one "
        "is not.",
    ),
    Claim(
        "unwhitened_outputs_turn",
        "On inputs that are not whitened the outputs turn to the labels only while the network learns.",
        f"{ATANASOV}, unwhitened data",
        unwhitened_outputs_turn,
        rule="The same of the cosine between outputs and labels when 10 % of the loss is gone, which ends at 1. "
        "Stated after the kernels' cosine had been seen: most of a kernel is its inputs' spectrum, which does not "
        "turn.",
    ),
    Claim(
        "large_is_not_silent",
        "From large weights the loss falls before the kernel has aligned.",
        ATANASOV,
        large_is_not_silent,
        rule="At the largest init scale of each depth, 0.3 or more. Holds if the alignment when 10 % of the loss is "
        "gone is below 95 % of the largest with its whole 95 % interval over seeds; fails if above.",
    ),
    Claim(
        "final_kernel_predicts",
        "A ReLU network from small weights ends as regression with its final kernel, not with its initial one.",
        f"{ATANASOV}, two-layer ReLU networks on whitened 0/1 digits",
        final_kernel_predicts,
        rule="Distance of test outputs, relative to their norm, at the smallest init scale. Holds if the mean with "
        "the final kernel is at most 0.1 and below that with the initial kernel, both with their whole 95 % intervals "
        "over seeds; fails if one is not. The largest init scale stands beside.",
    ),
)
