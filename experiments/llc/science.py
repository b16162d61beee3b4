"""Llc: the local learning coefficient along a training, by sampling around kept weights (Lau et al. 2023).

A flat valley of the loss has a small coefficient: lambda = n beta (E[L(w)] - L(w*)) over chains w around w*. A run here
is one chain around one kept state of another sweep, the source. Chains around one network are not independent: claims
are over the seeds of the source.

python -m launch.llc --run=DIR                around the kept states of a finished (or still training) sweep
python -m launch.llc --preset=deep_linear     trains a small sweep first, into --out, and samples into --out/llc

--run=DIR           the --out of the source; results go to DIR/llc unless --out says otherwise. A preset that is named
                    like its experiment holds for it: it is taken where no other is asked for, and lies under the others
--source_seeds      the seeds of a source that a preset trains, 0:8 if not given
--source, --checkpoint   which runs and which of their kept states (-1 is the last); if not given all kept states, of at
                    most 36 runs spread over the sweep

About a minute for deep_linear, two for grokking, on two cores. The coefficient rises with the stages of a deep linear
network. In grokking it rises until the train pairs are fitted, and falls long before the test pairs are answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments.llc.loss import Data, Loss, active, batch_loss, count, data, loss, weight_count
from phenom_jax.experiment import Quantity
from phenom_jax.hparams import InvalidValue, hparams, static, swept
from phenom_jax.measures.curvature import hessian_trace, top_curvature
from phenom_jax.measures.draws import (
    Batches,
    Draws,
    add,
    effective_sample_size,
    local_learning_coefficient,
    mean_loss,
    no_draws,
    split_r_hat,
    standard_error,
)
from phenom_jax.measures.effective_rank import effective_rank
from phenom_jax.measures.llc import STEP_RULE, Chain, advance_chain, start_chain, stiffness
from phenom_jax.report.tables import final_values
from phenom_jax.source import FromSource
from phenom_jax.store.axes import hyperparameters

PROBES = 4  # Hutchinson's, in every chain
ITERATIONS = 12  # of power iteration, in every chain
R_HAT, DRAWS = 1.1, 10  # Gelman et al. 2013, section 11.5
ERRORS = 2  # standard errors that a coefficient may be below zero
SIGMAS = 6  # standard deviations that a chain may be further out than localisation alone lets it be
BATCH, CURVATURE, TRACE = 0xBA7C, 0xC0BE, 0x72ACE  # streams


@hparams
class LLC(FromSource):
    seed: int = swept(0, "the chain: its noise and its minibatches")
    steps: int = swept(2000, "moves of the chain, burn-in among them", at_least=1)
    burn_in: float = swept(0.25, "share of the moves, those at the start, that are no draws", at_least=0, below=1)
    step_size: float = swept(1e-4, "epsilon of a move", above=0)
    n_beta: float = swept(0.0, "n beta, examples times inverse temperature; 0: n / log n", at_least=0)
    localisation: float = swept(1.0, "gamma, the strength of the pull back to the kept weights", at_least=0)
    sampler: Literal["sgld", "rmsprop_sgld", "mala"] = static(
        "sgld", "Langevin moves, those with RMSprop's step sizes, or Metropolis-corrected ones; mala needs batch=0"
    )
    loss: Loss = static(
        "train",
        "the train loss, or half the squared distance of the outputs from those of the kept weights (behaviour)",
    )
    batch: int = static(0, "train examples of a move, drawn with replacement; 0: all of them", at_least=0)

    def check(self) -> None:
        """Raises InvalidValue for a loss that changes under the Metropolis correction, or a batch that is too large."""
        if self.sampler == "mala" and self.batch:
            raise InvalidValue(f"batch: {self.batch} with sampler=mala, which needs one loss for all moves: batch=0")
        if self.start is not None and self.start.landscape is None:
            raise InvalidValue(f"run: a sweep of {type(self.start.hp).__name__}, which has no loss function for LLC")
        if self.start is not None and self.batch > (examples := int(count(self.start).active)):
            raise InvalidValue(f"batch: {self.batch} is more than the {examples} train examples of a source run")


class State(NamedTuple):
    chain: Chain
    draws: Draws
    data: Data
    anchor_loss: jax.Array
    moves: jax.Array


class StepMetrics(NamedTuple):
    draw_loss: Annotated[jax.Array, Quantity("loss at the draw")]


class Measures(NamedTuple):
    llc: Annotated[jax.Array, Quantity("local learning coefficient, from the draws so far")]
    excess_loss: Annotated[jax.Array, Quantity("mean loss of the draws above that of the kept weights")]
    lowest_excess_loss: Annotated[jax.Array, Quantity("lowest loss of a draw above that of the kept weights")]
    acceptance: Annotated[jax.Array, Quantity("mean probability of acceptance")]
    furthest: Annotated[jax.Array, Quantity("largest distance from the kept weights")]


class Ending(NamedTuple):
    """What is looked at once, at the end of a chain."""

    inverse_temperature: Annotated[jax.Array, Quantity("n beta")]
    weight_count: Annotated[jax.Array, Quantity("number of weights")]
    anchor_loss: Annotated[jax.Array, Quantity("sampled loss at the kept weights")]
    gradient_norm: Annotated[jax.Array, Quantity("norm of the sampled loss's gradient at the kept weights")]
    top_curvature: Annotated[jax.Array, Quantity("largest curvature of the sampled loss")]
    stiff_step: Annotated[jax.Array, Quantity("step size times (n beta largest curvature + localisation)")]
    hessian_trace: Annotated[jax.Array, Quantity("trace of the sampled loss's Hessian")]
    effective_rank: Annotated[jax.Array, Quantity("effective rank of the outputs on the train examples")]
    batch_counts: Annotated[jax.Array, Quantity("draws in each stretch of the chain", dims=("stretch",))]
    batch_means: Annotated[jax.Array, Quantity("mean loss of each stretch", dims=("stretch",))]
    batch_squares: Annotated[jax.Array, Quantity("squared differences from it", dims=("stretch",))]


def init(hp: LLC) -> State:
    """Returns the chain at the kept weights."""
    examples = data(hp.start)
    chain = start_chain(hp.sampler, loss(hp.loss, hp.start, examples), hp.start.kept, active(hp.start))
    return State(chain, no_draws(), examples, chain.loss, jnp.int32(0))


def step(state: State, hp: LLC, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one move."""
    for place in (hp.source, hp.checkpoint):  # chains of one seed around other weights are other chains
        key = jax.random.fold_in(key, place)
    sampled = loss(hp.loss, hp.start, state.data)
    if hp.batch:
        sampled = batch_loss(hp.loss, hp.start, state.data, jax.random.fold_in(key, BATCH), hp.batch)
    chain = advance_chain(
        hp.sampler,
        sampled,
        state.chain,
        hp.start.kept,
        key,
        step_size=hp.step_size,
        n_beta=_n_beta(hp),
        localisation=hp.localisation,
        active=active(hp.start),
    )
    burn_in = _burn_in(hp)
    draws = add(state.draws, chain, state.moves - burn_in, hp.steps - burn_in)
    return state._replace(chain=chain, draws=draws, moves=state.moves + 1), StepMetrics(chain.loss)


def measure(state: State, hp: LLC) -> Measures:
    """Returns what the draws so far say, NaN during burn-in."""
    draws, begun = state.draws, state.moves > _burn_in(hp)
    mean = jnp.asarray(mean_loss(draws.batches))
    return Measures(
        llc=jnp.asarray(local_learning_coefficient(mean, state.anchor_loss, _n_beta(hp))),
        excess_loss=mean - state.anchor_loss,
        lowest_excess_loss=jnp.where(begun, draws.lowest - state.anchor_loss, jnp.nan),
        acceptance=jnp.where(begun, draws.acceptance, jnp.nan),
        furthest=jnp.where(begun, draws.furthest, jnp.nan),
    )


def ending(state: State, hp: LLC) -> Ending:
    """Returns what the loss is like at the kept weights, and the stretches of the chain."""
    anchor, mask, key = hp.start.kept, active(hp.start), jax.random.key(hp.seed)
    sampled, n_beta = loss(hp.loss, hp.start, state.data), _n_beta(hp)
    gradient = start_chain("sgld", sampled, anchor, mask).gradient
    curvature = top_curvature(sampled, anchor, jax.random.fold_in(key, CURVATURE), mask, ITERATIONS)
    trace = hessian_trace(sampled, anchor, jax.random.fold_in(key, TRACE), mask, PROBES)
    outputs, batches = state.data.anchor_outputs, state.draws.batches
    return Ending(
        inverse_temperature=n_beta,
        weight_count=weight_count(hp.start),
        anchor_loss=state.anchor_loss,
        gradient_norm=jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient))),
        top_curvature=curvature,
        stiff_step=jnp.asarray(hp.step_size * stiffness(n_beta, jnp.abs(curvature), hp.localisation)),
        hessian_trace=trace.mean,
        effective_rank=effective_rank(outputs.reshape(len(outputs), -1), count(hp.start)),
        batch_counts=jnp.asarray(batches.counts),
        batch_means=jnp.asarray(batches.means),
        batch_squares=jnp.asarray(batches.squares),
    )


def _n_beta(hp: LLC) -> jax.Array:
    examples = jnp.asarray(count(hp.start).active, jnp.result_type(float))
    return jnp.where(hp.n_beta > 0, hp.n_beta, examples / jnp.log(jnp.maximum(examples, 2)))


def _burn_in(hp: LLC) -> jax.Array:
    """Returns how many moves are no draws; the last one always is."""
    return jnp.minimum(jnp.floor(hp.burn_in * hp.steps).astype(int), hp.steps - 1)


TOGETHER = {
    "chains": "chains that ended",
    "llc_error": "Monte-Carlo standard error of the chains' mean coefficient",
    "split_r_hat": "split-R-hat of the loss over the chains",
    "effective_draws": "effective sample size of a chain, the mean",
}
CHECKS = {  # with what helps
    "diverging": "chains diverge: lower step size",
    "stiffness": "steps too long: lower step size",
    "reach": "chains leave: raise localisation",
    "negativity": "negative: raise localisation",
    "disagreement": "chains disagree: raise burn-in, steps",
    "scarcity": "too few draws: raise steps",
}


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with what the chains around every kept state say together, and without its checksum.

    What is known of the kept states, `source_step` and the like, comes as variables per run.

    Added per run, alike in all chains that differ in their seed alone, are the variables of TOGETHER, and those of
    CHECKS: how much of what a check allows is taken, 0 at best and 1 at the limit. The length of steps counts times the
    largest curvature, up to STEP_RULE; the distance from the kept weights up to SIGMAS standard deviations beyond the
    usual one; a negative mean coefficient up to ERRORS standard errors; split-R-hat up to R_HAT; effective draws of a
    chain down to DRAWS. No chain of the sweep may diverge.
    """
    results = results.drop_vars("anchor", errors="ignore")
    results = results.reset_coords([name for name, known in results.coords.items() if _is_fact(known)])
    if "batch_counts" not in results or not results.sizes["run"]:
        return results
    final, status = final_values(results), results["status"].values
    added = {name: np.full(len(status), np.nan) for name in (*TOGETHER, *CHECKS)}
    for rows in _alike(results):
        ended = rows[status[rows] == "finished"]
        if len(ended):
            for name, value in _together(final.isel(run=ended), batches_of(results, ended)).items():
                added[name][rows] = value
    added["diverging"][:] = np.inf if "diverged" in status else 0
    said = {"units": "1"}
    per_run = {name: ("run", added[name], said | {"long_name": words}) for name, words in (TOGETHER | CHECKS).items()}
    return results.assign(per_run)


def _is_fact(known: xr.DataArray) -> bool:
    return known.dims == ("run",) and known.dtype.kind == "f" and "hyperparameter" not in known.attrs


def _alike(results: xr.Dataset) -> Iterable[np.ndarray]:
    """Returns the rows of chains that differ in their seed alone."""
    names = [name for name in hyperparameters(results) if name != "seed"]
    return results.coords.to_dataset()[names].to_dataframe().groupby(names).indices.values()


def _together(final: xr.Dataset, batches: Batches) -> dict[str, float]:
    """Returns what chains that ended say together, by name."""
    chains, r_hat = final.sizes["run"], float(split_r_hat(batches))
    error = float(final["inverse_temperature"][0] * standard_error(batches))
    draws = float(effective_sample_size(batches)) / chains
    corrected = final["sampler"].values[0] == "mala"
    return {
        "chains": chains,
        "llc_error": error,
        "split_r_hat": r_hat,
        "effective_draws": draws,
        "stiffness": 0 if corrected else float(final["stiff_step"].max()) / STEP_RULE,
        "reach": max(0, float(reach(final).max())),
        "negativity": max(0, float(np.divide(-final["llc"].mean(), ERRORS * error))),
        "disagreement": max(0, r_hat - 1) / (R_HAT - 1),
        "scarcity": DRAWS / draws if draws > 0 else np.inf,
    }


def batches_of(results: xr.Dataset, rows: np.ndarray) -> Batches:
    """Returns the stretches of these chains, [chains, stretches]; recorded where a chain ended."""

    def recorded(name: str) -> np.ndarray:
        values: np.ndarray = results[name].values[rows]
        measured = np.asarray(np.isfinite(values).all(-1))
        place = measured.shape[1] - 1 - measured[:, ::-1].argmax(1)
        return values[np.arange(len(rows)), place]

    return Batches(recorded("batch_counts"), recorded("batch_means"), recorded("batch_squares"))


def reach(final: xr.Dataset) -> np.ndarray:
    """Returns, per run, how far beyond the usual distance a chain went, 1 at SIGMAS standard deviations, float[run].

    Where no step leads below the loss at the kept weights, |w - w*|² has at most the distribution of d normal variables
    of variance v: a norm of about sqrt(d v), with a standard deviation of sqrt(v / 2). A chain much further out went
    downhill. With localisation gamma alone, moves of size epsilon have v = 1 / (gamma (1 - epsilon gamma / 4)).
    Negative nearer than usual, NaN where the chain diverged.
    """
    localisation = final["localisation"].values
    shorter = np.maximum(1 - final["step_size"].values * localisation / 4, 0)
    norms = final["furthest"].values * np.sqrt(localisation * shorter)
    return (norms - np.sqrt(final["weight_count"].values)) * np.sqrt(2) / SIGMAS
