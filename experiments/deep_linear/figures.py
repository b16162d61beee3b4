"""The figures of deep linear networks in stages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from phenom_jax.report.curves import Overlay, Scale, curves
from phenom_jax.report.figures import Figure, LineStyle
from phenom_jax.report.profile import profile

STYLES: tuple[LineStyle, ...] = ("-", "--", "-.")


def _by_mode(results: xr.Dataset, name: str, words: str) -> xr.Dataset:
    """Returns the results with a variable `mode_k` for each mode of a variable."""
    modes = {f"mode_{mode}": results[name].sel(mode=mode, drop=True) for mode in results["mode"].values}
    return results.assign({key: values.assign_attrs(long_name=f"{words} {key[-1]}") for key, values in modes.items()})


def _lines(results: xr.Dataset) -> dict[str, LineStyle]:
    return {f"mode_{mode}": STYLES[mode - 1] for mode in results["mode"].values}


def _strength(mode: int) -> Callable[[xr.Dataset, np.ndarray], np.ndarray]:
    return lambda runs, steps: np.full(len(steps), float(runs[f"strength_{mode}"].values[0]))


FIGURES = (
    Figure(
        "stages",
        "One singular value after the other",
        "Singular values of the product of the matrices over training, a panel per deviation of the initial weights; "
        "thin and dark: the teacher's.",
        lambda results: curves(
            _by_mode(results, "singular_values", "singular value"),
            _lines(results),
            Scale("singular value", limits=(None, 1.2 * float(results["strength_1"].max()))),
            panel="deviation",
            overlay=Overlay("the teacher's", {f"mode_{mode}": _strength(mode) for mode in results["mode"].values}),
        ),
    ),
    Figure(
        "loss",
        "A plateau before each stage",
        "Half the squared error on the train examples and its expectation on noiseless outputs; with data=population "
        "they are the same.",
        lambda results: curves(
            results,
            {"train_loss": "--", "excess_risk": "-"},
            Scale("loss", log=True, limits=(1e-6, None)),
            panel="deviation",
        ),
    ),
    Figure(
        "rank",
        "Rank over training",
        "How many of the teacher's singular values the network has more than half of.",
        lambda results: curves(results, {"rank": "-"}, Scale("rank"), colour="depth", panel="deviation", centre="mean"),
    ),
    Figure(
        "learnt",
        "When each is learnt",
        "Step at which half of a singular value is learnt, over the deviation of the initial weights.",
        lambda results: profile(
            _by_mode(results, "learnt_step", "singular value"),
            "deviation",
            _lines(results),
            Scale("training step", log=True),
            colour="depth",
            log_x=True,
        ),
    ),
)
