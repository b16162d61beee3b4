"""The figures of a sparse-parity sweep, as data."""

import numpy as np
import xarray as xr

from phenom_jax.report.marks import Curves, Figure, Line, PhaseMap, Points, Profile, Scale
from phenom_jax.report.roles import varies

STEPS = Scale("steps to 99 %", log=True)
OTHERS = ("model", "loss", "width", "batch_size", "init_scale", "learning_rate", "weight_decay", "samples")
WHEN_SOLVED = PhaseMap("solved_step", OTHERS, (*OTHERS, "degree", "inputs"), "steps to 99 % test accuracy")


def finite_networks(results: xr.Dataset) -> xr.Dataset:
    """Returns the perceptrons that train on finite samples."""
    return results.isel(run=((results["data"] == "finite") & (results["model"] == "mlp")).values)


def by_weights(results: xr.Dataset) -> xr.Dataset:
    """Returns each run twice, with the movement of any weight and of a deciding input's."""
    both = [
        results[["remained"]].assign(moved=results[name]).assign_coords(weights=("run", [whose] * len(results["run"])))
        for name, whose in (("moved", "of all inputs"), ("relevant_moved", "of deciding inputs"))
    ]
    return xr.concat(both, "run", coords="minimal", compat="override", combine_attrs="override")


def closed_form(runs: xr.Dataset, inputs: np.ndarray, name: str = "exact_gap") -> np.ndarray:
    """Returns a closed form, by straight lines between the logarithms at the measured n: even and odd n differ."""
    log_n, first = np.unique(np.log(runs["inputs"].values), return_index=True)
    return np.exp(np.interp(np.log(inputs), log_n, np.log(abs(runs[name].values[first]))))


def inverse_gradient(runs: xr.Dataset, inputs: np.ndarray) -> np.ndarray:
    """Returns the inverse of a deciding input's first gradient, times a constant that fits the steps."""
    constant = np.exp(np.log(runs["solved_step"].values * abs(runs["exact_gradient"].values)).mean())
    return constant / closed_form(runs, inputs, "exact_gradient")


FIGURES = (
    Figure(
        "hidden_progress",
        "Progress that accuracy does not show",
        "Test accuracy (left axis) stays at chance, then jumps. The largest movement of the deciding inputs' weights "
        "(right axis, solid, logarithmic) beside that of all others (dashed).",
        Curves(
            {"test_accuracy": "-"},
            Scale("test accuracy", limits=(0.4, 1.02)),
            right={"relevant_movement": "-", "irrelevant_movement": "--"},
            right_y=Scale("largest |w - w₀|", log=True, limits=(1e-3, None)),
            panel=("inputs", *OTHERS, "degree"),
        ),
    ),
    Figure(
        "inputs",
        "Steps over the number of inputs",
        "Median steps to 99 % test accuracy over n, beside the inverse of the first gradient of a deciding input's "
        "weight in closed form, times a constant. The lower bound known is n^Ω(k).",
        Profile(
            "inputs",
            {"solved_step": Line("-", "measured")},
            STEPS,
            colour="degree",
            panel=OTHERS,
            exact=inverse_gradient,
            exact_label="∝ 1 / first gradient",
            log_x=True,
        ),
    ),
    Figure(
        "power_law",
        "The exponent in the number of inputs",
        "Each dot is a run; lines are power laws fitted to each degree.",
        Points(
            "inputs", "solved_step", Scale("inputs n", log=True), STEPS, colour="degree", panel=OTHERS, fit="power law"
        ),
    ),
    Figure(
        "degree",
        "Steps over the degree",
        "Median steps to 99 % test accuracy over k.",
        Profile("degree", {"solved_step": Line("-", "measured")}, STEPS, colour="inputs", panel=OTHERS),
    ),
    Figure(
        "prediction",
        "The remaining time, told at chance",
        "Each dot is a run, looked at halfway to when the first of its setting, among four seeds, leaves chance: how "
        "far weights had moved, and the steps that remained to 99 %, both over their means of these runs.",
        Points(
            "moved",
            "remained",
            Scale("movement over the mean", log=True),
            Scale("remaining steps over the mean", log=True),
            colour="degree",
            panel="weights",
        ),
        of=by_weights,
    ),
    Figure(
        "gap",
        "The Fourier gap of a neuron with weights 1",
        "How much larger the first gradient of a deciding input's weight is than that of another input's, beside its "
        "closed form (dashed): for even k that of majority, for odd k of a threshold with bias 2.",
        Profile(
            "inputs",
            {"gap": Line("-", "measured")},
            Scale("Fourier gap", log=True),
            colour="degree",
            exact=closed_form,
            exact_label="closed form",
            log_x=True,
            centre="mean",
        ),
        format="svg",
    ),
    Figure(
        "active_neurons",
        "Memorised, then generalised by few neurons",
        "Train (dashed) and test accuracy of networks on finite samples, and the number of hidden units whose mean "
        "contribution to the output is at least 1 % of the largest one's (right axis, logarithmic).",
        Curves(
            {"train_accuracy": "--", "test_accuracy": "-"},
            Scale("accuracy", limits=(0.4, 1.02)),
            right={"active_neurons": "-"},
            right_y=Scale("active hidden units", log=True),
            panel=("weight_decay", "samples", *OTHERS),
        ),
        of=finite_networks,
    ),
    Figure(
        "map",
        "When it is solved",
        "Median steps to 99 % test accuracy over two hyperparameters.",
        lambda results: WHEN_SOLVED if any(varies(results, name) for name in OTHERS) else None,
        format="svg",
    ),
)
