"""The claims about stages of learning: numbers of one seed, and the zones in which they must lie."""

import numpy as np
import xarray as xr

from experiments.deep_linear.science import SMALL
from phenom_jax.claims import Claim, Source, above, below, need
from phenom_jax.claims.runs import times
from phenom_jax.laws.transition import value_at

SAXE = Source("Saxe, McClelland, Ganguli 2013", "https://arxiv.org/abs/1312.6120", "section 1.3")


def small(results: xr.Dataset) -> xr.DataArray:
    """The smallest initial weights of the sweep, of deviation 0.1 or less."""
    return (results["deviation"] <= SMALL) & (results["deviation"] == results["deviation"].min())


def in_order(runs: xr.Dataset) -> bool:
    """All runs of the seed learn half of every singular value in their order."""
    steps = times(runs, "learnt_step")
    need((np.isfinite(steps).sum(1) >= steps.shape[1] - 1).all(), "steps to learn all singular values but one")
    return bool((steps[:, :-1] < steps[:, 1:]).all())


def of_the_next(runs: xr.Dataset) -> float:
    """Share of a singular value that is there when half of the one before is learnt, the largest of the seed's."""
    shares, at = np.abs(runs["mode_strength"].values), runs["learnt_step"].values
    return float(np.max([value_at(shares[..., k], runs["step"].values, at[:, k - 1]) for k in range(1, at.shape[1])]))


CLAIMS = (
    Claim(
        "From small weights the teacher's singular values are learnt one after the other, the largest first.",
        SAXE,
        in_order,
        above(0.9),
        about=small,
        scale="share",
        figure="order",
        presets=("", "scales", "depth", "samples"),
    ),
    Claim(
        "Learning goes in stages: a singular value is still near zero when half of the one before is learnt.",
        SAXE,
        of_the_next,
        below(0.1),
        about=small,
        scale="rank",
        figure="stages",
        presets=("", "scales", "depth", "samples"),
    ),
)
