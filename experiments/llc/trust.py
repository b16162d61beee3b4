"""How far the chains around one kept state can be trusted together: what every group of chains agrees on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from phenom_jax.measures.draws import Batches, effective_sample_size, split_r_hat, standard_error
from phenom_jax.measures.llc import STEP_RULE
from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import cell_codes, show, swept_axes, words

R_HAT, DRAWS_PER_CHAIN = 1.1, 10  # Gelman et al. 2013, section 11.5
ENDED = ("finished", "diverged")
BOOKKEEPING = ["anchor", "network"]  # hyperparameters that follow from source and checkpoint
TRAINED_WITH = "trained_with_"  # before the name of a hyperparameter of the source


class Group(NamedTuple):
    """Chains that differ in their seed alone.

    Attributes:
      label: where they are and how they move, in words.
      rows: of the results.
      llc: float[chains], those that did not diverge.
      error: Monte-Carlo standard error of their mean.
      r_hat, effective_draws: of the loss.
      diverged: how many chains did.
      left: how many went further from the kept weights than their localisation lets a loss without downhill.
      stiff_step: step size times the largest curvature of what is sampled; 0 where moves are corrected for it (mala).
      longest_step: the step size at which that would reach STEP_RULE.
      acceptance: mean over chains.
    """

    label: str
    rows: np.ndarray
    llc: np.ndarray
    error: float
    r_hat: float
    effective_draws: float
    diverged: int
    left: int
    stiff_step: float
    longest_step: float
    acceptance: float


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what the chains around every kept state say together, and without bookkeeping.

    Added per run, alike in all chains of a group: `source_step`, `split_r_hat`, `effective_draws`, `llc_error` (the
    Monte-Carlo standard error of the group's mean) and `reach` (the largest distance from the kept weights over that
    which the localisation allows).
    """
    if "batch_counts" not in results or not results.sizes["run"]:
        return results.drop_vars([name for name in BOOKKEEPING if name in results.coords])
    final = final_values(results)
    results = results.drop_vars(["anchor"] if _networks_differ(final) else BOOKKEEPING, errors="ignore")
    added = {
        name: xr.DataArray(np.full(results.sizes["run"], np.nan), dims="run", attrs={"long_name": said, "units": units})
        for name, said, units in (
            ("source_step", "training step of the kept weights", "steps"),
            ("split_r_hat", "split-R-hat of the loss over the chains", "1"),
            ("effective_draws", "effective sample size of all chains", "1"),
            ("llc_error", "Monte-Carlo standard error of the chains' mean coefficient", "1"),
            ("reach", "largest distance over that which the localisation allows", "1"),
        )
    }
    if "source_step" in results:
        added["source_step"].values[:] = final["source_step"].values
    added["reach"].values[:] = reach(final)
    for rows in _chains(results):
        healthy = rows[results["status"].values[rows] == "finished"]
        if len(healthy):
            batches = batches_of(results, healthy)
            n_beta = float(final["inverse_temperature"].values[healthy[0]])
            added["split_r_hat"].values[rows] = split_r_hat(batches)
            added["effective_draws"].values[rows] = effective_sample_size(batches)
            added["llc_error"].values[rows] = n_beta * standard_error(batches)
    return results.drop_vars("source_step", errors="ignore").assign(added)


def groups(results: xr.Dataset) -> list[Group]:
    """Returns the groups of chains that are over, in the order of the axes' values; of summarised results."""
    final = final_values(results)
    found = []
    for rows in _chains(results):
        over = rows[np.isin(results["status"].values[rows], ENDED)]
        if not len(over):
            continue
        status = results["status"].values[over]
        healthy = over[status == "finished"]
        first = over[0]
        stiff_step = float(np.nanmax(final["stiff_step"].values[over], initial=0))
        corrected = results["sampler"].values[first] == "mala"
        found.append(
            Group(
                label=_label(results, first),
                rows=over,
                llc=final["llc"].values[healthy],
                error=float(final["llc_error"].values[first]),
                r_hat=float(final["split_r_hat"].values[first]),
                effective_draws=float(final["effective_draws"].values[first]),
                diverged=int((status == "diverged").sum()),
                left=int((final["reach"].values[healthy] > 1).sum()),
                stiff_step=0.0 if corrected else stiff_step,
                longest_step=float(results["step_size"].values[first]) * STEP_RULE / stiff_step
                if stiff_step
                else np.inf,
                acceptance=float(final["acceptance"].values[healthy].mean()) if len(healthy) else np.nan,
            )
        )
    return found


def reach(final: xr.Dataset) -> np.ndarray:
    """Returns, per run, the chain's largest distance from the kept weights over what localisation allows, float[run].

    Where no step leads below the loss at the kept weights, |w - w*|² has at most the distribution of d normal variables
    of variance v: a norm of about sqrt(d v), with a standard deviation of sqrt(v / 2). A chain six of those further out
    went downhill. With localisation gamma alone, moves of size epsilon have v = 1 / (gamma (1 - epsilon gamma / 4)).
    NaN where the chain diverged, 0 without localisation.
    """
    localisation = final["localisation"].values
    shorter = np.maximum(1 - final["step_size"].values * localisation / 4, 0)
    return (
        final["furthest"].values
        * np.sqrt(localisation * shorter)
        / (np.sqrt(final["weight_count"].values) + 6 / np.sqrt(2))
    )


def _networks_differ(final: xr.Dataset) -> bool:
    """Whether networks differ in more than the numbers they were trained with: in a hyperparameter that is a word."""
    if "network" not in final.coords:
        return False
    numbers = [
        array.values.astype(str) for name, array in final.data_vars.items() if str(name).startswith(TRAINED_WITH)
    ]
    pairs = set(zip(final["network"].values.tolist(), *(column.tolist() for column in numbers)))
    return len(pairs) > len({pair[1:] for pair in pairs})


def _chains(results: xr.Dataset) -> Iterator[np.ndarray]:
    codes = cell_codes(results)
    for code in range(codes.max(initial=-1) + 1):
        yield np.flatnonzero(codes == code)


def batches_of(results: xr.Dataset, rows: np.ndarray) -> Batches:
    """Returns the stretches of these chains, [chains, stretches]; recorded where a chain ended."""

    def last(name: str) -> np.ndarray:
        values: np.ndarray = results[name].values[rows]
        measured = np.asarray(np.isfinite(values).all(-1))
        place = measured.shape[1] - 1 - measured[:, ::-1].argmax(1)
        return values[np.arange(len(rows)), place]

    return Batches(last("batch_counts"), last("batch_means"), last("batch_squares"))


def _label(results: xr.Dataset, row: int) -> str:
    """Returns where a chain starts and the settings in which chains of these results differ, in words."""
    varying = (name for names in swept_axes(results).values() for name in names)
    names = dict.fromkeys(["source", "checkpoint", *(name for name in varying if name != "seed")])
    return ", ".join(f"{words(name)} {show(results[name].values[row].item())}" for name in names)
