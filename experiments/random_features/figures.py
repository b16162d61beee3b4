"""The figures of a sweep over random features."""

import numpy as np
import xarray as xr

from experiments.random_features.science import along, size_that_varies
from phenom_jax.report.marks import Figure, Profile, Scale, VLine

# one run of the course's code as written, by N; bandwidth, seed and test inputs of that run are not known
AS_WRITTEN = {10: 0.69, 50: 22.0, 80: 373.0, 100: 174.0, 2000: 1.2e5}
LIMIT = "limit (Mei, Montanari)"


def threshold(runs: xr.Dataset) -> float:
    """Returns where N = n, on the axis of the one that varies."""
    other = "samples" if size_that_varies(runs) == "features" else "features"
    return float(runs[other].values[0])


def curves_on_the_sphere(results: xr.Dataset) -> xr.Dataset | None:
    """Returns the runs on the sphere where N was swept at one n, or n at one N: a line through few passes by a peak."""
    runs = _on(results, "sphere")
    counts = [len(np.unique(runs[name].values)) for name in ("features", "samples")]
    return runs if min(counts) == 1 and max(counts) >= 3 else None


def growing_sizes(results: xr.Dataset) -> xr.Dataset | None:
    """Returns the runs on the sphere in three dimensions or more, N/n in place of N and n."""
    runs = _on(results, "sphere")
    if len(np.unique(runs["dimension"].values)) < 3:
        return None
    ratio = (runs["features"].values / runs["samples"].values).round(6)
    runs = runs.drop_vars(["features", "samples"]).assign_coords({"N/n": ("run", ratio, runs["ridge"].attrs)})
    return runs.assign_attrs(order=[*runs.attrs["order"], "N/n"])


def beside_the_line(results: xr.Dataset) -> xr.Dataset | None:
    """Returns all runs where some have inputs on the line."""
    return results if (results["inputs"] == "line").any() else None


def as_printed(runs: xr.Dataset, features: np.ndarray) -> np.ndarray:
    """Returns the test errors of one run of the course's code, straight lines between them in logarithms."""
    if (runs["inputs"] == "sphere").any():
        return along(runs, features) + float(runs["noise"].values[0]) ** 2
    counts, errors = (np.log(list(part)) for part in (AS_WRITTEN.keys(), AS_WRITTEN.values()))
    return np.exp(np.interp(np.log(features), counts, errors))


def _on(results: xr.Dataset, inputs: str) -> xr.Dataset:
    return results.isel(run=(results["inputs"] == inputs).values)


FIGURES = (
    Figure(
        "risk",
        "Double descent in the number of features, or of samples",
        "Excess risk over the number of features N, or of samples n if that was swept: median over seeds with its 95 % "
        "interval, a colour per ridge. Dashed: the limit of Mei and Montanari at the same N/d and n/d; at ridge 0 it "
        "is infinite at N = n.",
        Profile(
            ("features", "samples"),
            {"excess_risk": "-"},
            Scale("excess risk", log=True, limits=(0.1, 300)),
            colour="ridge",
            panel="activation",
            exact=along,
            exact_label=LIMIT,
            verticals=(VLine(threshold, "N = n"),),
            log_x=True,
        ),
        of=curves_on_the_sphere,
    ),
    Figure(
        "finite_sizes",
        "What finite sizes add",
        "Excess risk over its limit while d grows at the same N/d and n/d: mean over seeds with its 95 % interval.",
        Profile(
            "dimension",
            {"of_limit": "-"},
            Scale("excess risk over its limit"),
            colour=("N/n", "ridge"),
            panel="activation",
            exact=lambda _, sizes: np.ones(len(sizes)),
            exact_label=LIMIT,
            centre="mean",
        ),
        of=growing_sizes,
    ),
    Figure(
        "train",
        "What happens at N = n",
        "Without ridge the train error (dashed) reaches zero at N = n, where the weights (solid, their norm) peak.",
        Profile(
            ("features", "samples"),
            {"train_error": "--", "weight_norm": "-"},
            Scale("train error, weight norm", log=True, limits=(1e-4, None)),
            colour="ridge",
            panel="activation",
            verticals=(VLine(threshold, "N = n"),),
            log_x=True,
        ),
        of=curves_on_the_sphere,
    ),
    Figure(
        "line",
        "As printed, as measured, and a well-posed setting",
        "Test error (solid) and train error (dashed) over N. On the line all features are smooth functions of one "
        "number, more of them add nothing new but larger weights; on the sphere they do. Thin: on the line one run of "
        "the course's code as written, whose text says that the error falls again; on the sphere the limit.",
        Profile(
            "features",
            {"test_error": "-", "train_error": "--"},
            Scale("error", log=True, limits=(1e-3, None)),
            panel="inputs",
            colour="frequency",
            exact=as_printed,
            exact_label="the course's code; limit",
            verticals=(VLine(threshold, "N = n"),),
            log_x=True,
        ),
        of=beside_the_line,
    ),
)
