"""Three factors: what must be learnt together is learnt late and at once (Singh et al. 2024, arXiv:2404.07129).

An induction head needs parts that do nothing one without the others. The toy for it is a product of three vectors, of
which none has a gradient while the other two are small. Clamping some at their targets takes the plateau away.

python -m launch.three_factors            288 runs, less than a minute on two CPU cores
"""

from __future__ import annotations

import functools
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from phenom_jax.claims import Claim, Source, above, below, need, within
from phenom_jax.claims.runs import times
from phenom_jax.experiment import Experiment, Preset, Quantity, Schedule
from phenom_jax.hparams import hparams, size, swept
from phenom_jax.laws.transition import first_crossing
from phenom_jax.report.marks import Curves, Figure, Line, Overlay, Profile, Scale
from phenom_jax.sizes import Size, draw_columns, exactly
from phenom_jax.store.axes import settings

LEARNT, STIRRED = 0.01, 0.9  # of the loss of the zero tensor
FACTORS = 3
SINGH = Source("Singh et al. 2024", "https://arxiv.org/abs/2404.07129")
PUBLISHED = (830, 160, 46)  # steps to 1 % with none, one and two clamped


@hparams
class ThreeFactors:
    seed: int = swept(0, "target and initial factors")
    steps: int = swept(10000, "steps of gradient descent", at_least=0)
    learning_rate: float = swept(1.0, "step size", above=0)
    scale: float = swept(0.1, "standard deviation of the initial factors", at_least=0)
    clamped: int = swept(0, "how many of the three factors are held at their targets", at_least=0, at_most=2)
    dimension: Size = size(20, "entries of a factor")


class State(NamedTuple):
    factors_3xD: jax.Array
    targets_3xD: jax.Array  # each of squared norm D


class StepMetrics(NamedTuple):
    gradient_norm: Annotated[jax.Array, Quantity("norm of the gradient")]


class Measures(NamedTuple):
    loss: Annotated[jax.Array, Quantity("loss / loss of a zero tensor")]
    alignment: Annotated[jax.Array, Quantity("overlap of each factor with its target", dims=("factor",))]


def init(hp: ThreeFactors) -> State:
    """Returns Gaussian targets scaled to squared norm D, and small Gaussian factors, clamped ones at their targets."""
    target_key, factor_key = jax.random.split(jax.random.key(hp.seed))
    drawn_3xD = draw_columns(target_key, exactly(FACTORS), hp.dimension)
    targets_3xD = drawn_3xD * jnp.sqrt(hp.dimension.active / jnp.square(drawn_3xD).sum(1, keepdims=True))
    start_3xD = hp.scale * draw_columns(factor_key, exactly(FACTORS), hp.dimension)
    return State(jnp.where(free(hp), start_3xD, targets_3xD), targets_3xD)


def step(state: State, hp: ThreeFactors, key: jax.Array) -> tuple[State, StepMetrics]:
    """Returns the state after one step of gradient descent on the factors that are not clamped."""
    slopes_3xD = jax.grad(loss)(state.factors_3xD, state.targets_3xD, hp.dimension)
    slopes_3xD = jnp.where(free(hp), slopes_3xD, 0.0)
    factors_3xD = state.factors_3xD - hp.learning_rate * slopes_3xD
    return state._replace(factors_3xD=factors_3xD), StepMetrics(jnp.linalg.norm(slopes_3xD))


def measure(state: State, hp: ThreeFactors) -> Measures:
    """Returns the loss in units of the zero tensor's and how far each factor is there."""
    return Measures(
        # the zero tensor's loss is 1/2: squared norms D of three targets over D³ entries
        loss=2 * loss(*state, hp.dimension),
        alignment=(state.factors_3xD * state.targets_3xD).sum(1) / hp.dimension.active,
    )


def done(metrics: Measures) -> jax.Array:
    """Returns whether the loss is far below what counts as learnt."""
    return metrics.loss < LEARNT / 10


def loss(factors_3xD: jax.Array, targets_3xD: jax.Array, dimension: Size) -> jax.Array:
    """Returns 1/2 mean (a ⊗ b ⊗ c - target)² over the D³ entries, from inner products: no tensor is formed."""
    squares, overlaps, wanted = (
        ((one * other).sum(1) / dimension.active).prod()
        for one, other in ((factors_3xD, factors_3xD), (factors_3xD, targets_3xD), (targets_3xD, targets_3xD))
    )
    return (squares - 2 * overlaps + wanted) / 2


def free(hp: ThreeFactors) -> jax.Array:
    """Returns bool[3, 1]: which factors learn."""
    return (jnp.arange(FACTORS) >= hp.clamped)[:, None]


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the steps at 1 % and 90 % of a zero tensor's loss, between measures, NaN for never.

    `plateau` is the share of the time to 1 % that the loss stays above 90 %.
    """
    loss, steps = results["loss"].values, results["step"].values
    learnt, stirred = (first_crossing(loss, steps, limit, "down").between for limit in (LEARNT, STIRRED))
    found = {"learnt_step": learnt, "stirred_step": stirred, "plateau": stirred / learnt}
    return results.assign({name: ("run", values) for name, values in found.items()})


def closed_form(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    """Returns float[run, step], the loss with two factors clamped; the error of the third decays. NaN for others."""
    decay = (1 - (runs["learning_rate"] / runs["dimension"]).values[:, None]) ** (2 * steps)
    return np.where(runs["clamped"] == 2, runs["loss"].values[:, 0], np.nan)[:, None] * decay


def sooner(runs: xr.Dataset) -> float:
    """Least factor in steps to 1 % from one more clamped to one fewer, each the median over settings."""
    return float(np.median([row[:-1] / row[1:] for row in _rows(runs)], axis=0).min())


def plateau(runs: xr.Dataset) -> float:
    """Share of the time to 1 % that the loss stays above 90 %, the mean of runs."""
    return float(runs["plateau"].mean())


def over_published(runs: xr.Dataset) -> dict[str, float]:
    """Steps to 1 % over those published, with none, one and two clamped, at the initial scale that comes nearest."""
    need(((runs["dimension"] == 20) & (runs["learning_rate"] == 1)).all(), "the published size and step size alone")
    rows = [row / PUBLISHED for row in _rows(runs) if np.isfinite(row).all()]
    need(rows, "an initial scale at which all are learnt")
    nearest = min(rows, key=lambda row: np.abs(np.log(row)).max())
    return dict(zip(("none clamped", "one clamped", "two clamped"), nearest.tolist(), strict=True))


def off_closed_form(runs: xr.Dataset) -> float:
    """Largest |loss / closed form - 1| before 1 % of a zero tensor's loss, of all runs."""
    off = np.abs(runs["loss"].values / closed_form(runs, runs["step"].values) - 1)
    return float(off[runs["loss"].values > LEARNT].max())


def learnt(results: xr.Dataset, clamped: int) -> xr.DataArray:
    """Learnt runs with {clamped} of the three factors clamped."""
    return (results["clamped"] == clamped) & results["learnt_step"].notnull()


def _rows(runs: xr.Dataset) -> list[np.ndarray]:
    """Returns the steps to 1 % with none, one and two clamped, infinite for never, of every setting that has all."""
    ordered = [setting.sortby("clamped") for _, setting in settings(runs, "clamped")]
    rows = [times(setting, "learnt_step") for setting in ordered if setting["clamped"].values.tolist() == [0, 1, 2]]
    need(rows, "runs with 0, 1 and 2 factors clamped in one setting")
    return rows


CLAIMS = (
    Claim(
        "The fewer factors have to be learnt together, the sooner they are.",
        SINGH["section 5"],
        sooner,
        above(2),  # in less than half of the steps
        scale="rank",
        published="5.2 and 3.5 (830, 160, 46 steps)",
        figure="learnt",
    ),
    Claim(
        "They take the published number of steps, at the initial scale that comes nearest.",
        SINGH["section 5"],
        over_published,
        within(0.8, 1.25),
        scale="log",
        published="1 (830, 160, 46 steps; the initial scale is not known)",
        figure="learnt",
    ),
    *(
        Claim(say, SINGH["section 5"], plateau, rule, functools.partial(learnt, clamped=clamped), figure="plateau")
        for say, clamped, rule in (
            ("Three factors that have to be learnt together have a plateau.", 0, above(0.5)),  # most of the time
            ("A factor that is learnt alone has none.", 2, below(0.1)),
        )
    ),
    Claim(
        "With two factors clamped the loss decays as (1 - step size / dimension)^(2 steps).",
        Source("Closed form of gradient descent on one factor"),
        off_closed_form,
        below(0.01),
        about=functools.partial(learnt, clamped=2),
        scale="exact",
        figure="loss",
    ),
)

SHARE = Scale("share of the time above 90 %", limits=(0, 1))
FIGURES = (
    Figure(
        "loss",
        "A plateau, then all at once",
        "Loss over training, as a share of that of a zero tensor; thin lines are single runs. Dashed, the closed form.",
        Curves(
            {"loss": "-"},
            Scale("loss / loss of a zero tensor", log=True, limits=(1e-3, 2)),
            colour="clamped",
            panel="scale",
            threshold=LEARNT,
            overlay=Overlay("closed form, two clamped", {"loss": lambda runs, steps: closed_form(runs, steps).mean(0)}),
        ),
    ),
    Figure(
        "learnt",
        "When it is learnt",
        "Median steps until the loss is below 1 % of that of a zero tensor.",
        Profile(
            "clamped",
            {"learnt_step": Line("-", "measured")},
            Scale("steps to 1 %", log=True),
            colour=("scale", "dimension"),
            exact=lambda runs, clamped: np.exp(np.interp(clamped, range(FACTORS), np.log(PUBLISHED))),
            exact_label="published",
        ),
    ),
    Figure(
        "plateau",
        "How much of the time it stands still",
        "Time until the loss is below 90 % of that of a zero tensor over the time until it is below 1 %.",
        Profile("clamped", {"plateau": Line("-", "measured")}, SHARE, colour=("scale", "dimension"), centre="mean"),
    ),
)

experiment = Experiment(
    name="three_factors",
    hparams=ThreeFactors,
    init=init,
    step=step,
    measure=measure,
    done=done,
    keep=lambda state: state,
    summarise=summarise,
    presets={
        "": Preset(
            help="None, one and two factors clamped x 3 initial scales x 32 seeds: 288 runs, less than a minute on two "
            "cores. The fewer are learnt together, the sooner.",
            flags={"clamped": "0,1,2", "scale": "0.1,0.2,0.3", "seed": "0:32", "steps": "20000"},
            expects={"learnt_step": (100, 135), "plateau": (0.45, 0.6)},
        ),
        "debug": Preset(
            "4 short runs, seconds.",
            {"clamped": "1,2", "seed": "0:2", "steps": "200"},
            expects={"learnt_step": (55, 80), "plateau": (0.15, 0.3)},
        ),
    },
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=1, points=200),
)
