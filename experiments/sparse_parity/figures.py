"""The figures of a sparse-parity sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.sparse_parity.prediction import PREDICTORS, predictions
from phenom_jax.laws.power_law import fit_power_law
from phenom_jax.report.curves import Key, Scale, label_axes, legend, two_axes
from phenom_jax.report.figures import Figure, colours, note, panels, style
from phenom_jax.report.maps import phase_diagram
from phenom_jax.report.profile import profile
from phenom_jax.store.axes import swept_axes
from phenom_jax.theory.parity import neuron_gradient, usual_bias

if TYPE_CHECKING:
    import matplotlib.figure

ACCURACY = Scale("test accuracy", limits=(0.4, 1.02))
STEPS = Scale("steps to 99 %", log=True)
OTHERS = ("model", "loss", "width", "batch_size", "init_scale", "learning_rate", "weight_decay", "samples")


def draw_progress(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns test accuracy over training, with the movement of both kinds of weights."""
    return two_axes(
        results,
        {"test_accuracy": "-"},
        ACCURACY,
        {"relevant_movement": "-", "irrelevant_movement": "--"},
        Scale("largest |w - w₀|", log=True, limits=(1e-3, None)),
        panel=_first(results, ("inputs", *OTHERS, "degree")),
    )


def draw_inputs(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the steps to 99 % over n with the fitted power laws, a colour per k."""
    return profile(
        _measured(results),
        "inputs",
        {"solved_step": "-"},
        STEPS,
        colour="degree",
        panel=_first(results, OTHERS),
        exact=_fitted,
        exact_label="power law fitted",
        log_x=True,
    )


def draw_degree(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the steps to 99 % over k, a colour per n."""
    panel = _first(results, OTHERS)
    return profile(_measured(results), "degree", {"solved_step": "-"}, STEPS, colour="inputs", panel=panel)


def draw_prediction(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the remaining steps of every run against those predicted, both by the mean of the other seeds."""
    from matplotlib.ticker import FixedLocator, NullLocator

    found = predictions(results)
    if not found:
        return None
    degrees = np.unique([item.degree for item in found])
    palette = dict(zip(degrees, colours(len(degrees)), strict=True))
    actual = [item.actual / item.baseline for item in found]
    ends = [np.concatenate(actual).min(), np.concatenate(actual).max()]
    with style():
        figure, axes = panels(len(PREDICTORS))
        for axis, (predictor, said) in zip(axes, PREDICTORS.items(), strict=True):
            axis.plot(ends, ends, color="#222222", linewidth=1, linestyle=":")
            axis.axhline(1, color="#888888", linewidth=1)
            for item, remained in zip(found, actual, strict=True):
                shown = {"color": palette[item.degree], "markersize": 3, "alpha": 0.5, "markeredgewidth": 0}
                axis.plot(remained, item.predicted[predictor] / item.baseline, "o", **shown)
            axis.set(xscale="log", yscale="log", title=f"from {said}")
            for side in (axis.xaxis, axis.yaxis):
                side.set_major_locator(FixedLocator([0.25, 0.5, 1, 2, 4]))
                side.set_major_formatter(lambda value, _: f"{value:g}")
                side.set_minor_locator(NullLocator())
        label_axes(axes, Scale("steps predicted"), "steps that remained")
        legend(figure, [Key(f"degree {degree}", palette[degree], "-") for degree in degrees])
        note(figure, [f"{sum(map(len, actual))} runs of {len(found)} settings; 1 is the mean of a run's other seeds"])
    return figure


def draw_gap(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the Fourier gap of a neuron with weights 1 over n beside its closed form, a colour per k."""
    relevant, irrelevant = (abs(results[f"{kind}_gradient"].max("step")) for kind in ("relevant", "irrelevant"))
    return profile(
        results.assign(gap=(relevant - irrelevant).assign_attrs(long_name="measured")),
        "inputs",
        {"gap": "-"},
        Scale("Fourier gap", log=True),
        colour="degree",
        exact=_exact_gap,
        exact_label="closed form",
        log_x=True,
        centre="mean",
    )


def draw_neurons(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns train and test accuracy of finite samples over training, with the number of active neurons."""
    finite = results.isel(run=((results["data"] == "finite") & (results["model"] == "mlp")).values)
    if not finite.sizes["run"]:
        return None
    return two_axes(
        finite,
        {"train_accuracy": "--", "test_accuracy": "-"},
        Scale("accuracy", limits=(0.4, 1.02)),
        {"active_neurons": "-"},
        Scale("active hidden units", log=True),
        panel=_first(results, ("weight_decay", "samples", *OTHERS)),
    )


def draw_map(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns a map of the median steps to 99 % over two hyperparameters beside n and k."""
    if not _first(results, OTHERS):
        return None
    return phase_diagram(
        results, "solved_step", x=OTHERS, y=(*OTHERS, "degree", "inputs"), label="steps to 99 % test accuracy"
    )


def _measured(results: xr.Dataset) -> xr.Dataset:
    """Returns the results with the steps to 99 % by a name that is short enough for a legend."""
    return results.assign(solved_step=results["solved_step"].assign_attrs(long_name="measured"))


def _first(results: xr.Dataset, names: tuple[str, ...]) -> str | None:
    """Returns the first of these hyperparameters that varies."""
    varying = {name for together in swept_axes(results).values() for name in together}
    return next((name for name in names if name in varying), None)


def _fitted(runs: xr.Dataset, inputs: np.ndarray) -> np.ndarray:
    steps, counts = runs["solved_step"].values, runs["inputs"].values.astype(float)
    if not np.all(steps > 0) or len(np.unique(counts)) < 3:
        return np.full(len(inputs), np.nan)
    law = fit_power_law(counts, steps, runs["seed"].values)
    return law.prefactors[0] * inputs**law.exponent.estimate


def _exact_gap(runs: xr.Dataset, inputs: np.ndarray) -> np.ndarray:
    """Returns the closed form at the n that are odd or even as the measured ones are; lines between them."""
    degree, sides = int(runs["degree"].values[0]), np.unique(runs["inputs"].values % 2)
    known = inputs[np.isin(inputs % 2, sides) & (inputs > degree)]
    gaps = [neuron_gradient(int(n), degree, float(usual_bias(degree))).gap for n in known]
    return np.interp(inputs, known, gaps, left=np.nan)


FIGURES = (
    Figure(
        "hidden_progress",
        "Progress that accuracy does not show",
        "Test accuracy (left axis) stays at chance, then jumps. Before it does, the largest movement of the deciding "
        "inputs' weights (right axis, solid, logarithmic) overtakes that of all others (dashed).",
        draw_progress,
    ),
    Figure(
        "inputs",
        "Steps over the number of inputs",
        "Median steps to 99 % test accuracy over n, with the fitted power laws. The lower bound known is n^Ω(k).",
        draw_inputs,
    ),
    Figure("degree", "Steps over the degree", "Median steps to 99 % test accuracy over k.", draw_degree),
    Figure(
        "prediction",
        "The remaining time, predicted at chance",
        "Each point is a run, looked at when all runs of its setting were last at chance: the steps that remained, and "
        "those predicted from its weights' movement by a line through the other seeds, both by the mean of the others. "
        "On the dotted line a prediction is right, on the grey one it is no better than the mean.",
        draw_prediction,
    ),
    Figure(
        "gap",
        "The Fourier gap of a neuron with weights 1",
        "How much larger the first gradient of a deciding input's weight is than that of another input's, beside its "
        "closed form (dashed): for even k that of majority, for odd k of a threshold with bias 2.",
        draw_gap,
        format="svg",
    ),
    Figure(
        "active_neurons",
        "Memorised, then generalised by few neurons",
        "Train (dashed) and test accuracy of networks on finite samples, and the number of hidden units whose mean "
        "contribution to the output is at least 1 % of the largest one's (right axis, logarithmic).",
        draw_neurons,
    ),
    Figure(
        "map",
        "When it is solved",
        "Median steps to 99 % test accuracy over two hyperparameters.",
        draw_map,
        format="svg",
    ),
)
