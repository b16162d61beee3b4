"""The figures of a sweep over random features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.random_features.limit import limit
from phenom_jax.report.curves import Scale
from phenom_jax.report.figures import Figure, note, style
from phenom_jax.report.profile import Mark, profile
from phenom_jax.report.tables import final_values

if TYPE_CHECKING:
    import matplotlib.figure

# one run of the course's code as written; the text beside it promises a second descent
ONE_RUN = {10: 0.69, 50: 22.0, 80: 373.0, 100: 174.0, 2000: 1.2e5}


def risk_over_features(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the excess risk over N with its limit, a panel per activation, a colour per ridge."""
    runs = _on(results, "sphere")
    if not _is_curve(runs):
        return None
    return profile(
        runs,
        "features",
        {"excess_risk": "-"},
        Scale("excess risk", log=True, limits=(0.1, 300)),
        colour="ridge",
        panel="activation",
        exact=lambda chosen, counts: limit(chosen, features=counts),
        exact_label="limit (Mei, Montanari)",
        marks=(Mark(lambda chosen: float(chosen["samples"].values[0]), "N = n"),),
        log_x=True,
        centre="median",
    )


def risk_over_samples(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the excess risk over n with its limit, where n varies and N does not."""
    runs = _on(results, "sphere")
    if len(np.unique(runs["features"].values)) > 1:
        return None
    return profile(
        runs,
        "samples",
        {"excess_risk": "-"},
        Scale("excess risk", log=True),
        colour="ridge",
        panel="activation",
        exact=lambda chosen, counts: limit(chosen, samples=counts),
        exact_label="limit (Mei, Montanari)",
        marks=(Mark(lambda chosen: float(chosen["features"].values[0]), "n = N"),),
        log_x=True,
    )


def train_and_norm(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the train error and the weight norm over N."""
    runs = _on(results, "sphere")
    if not _is_curve(runs):
        return None
    return profile(
        runs,
        "features",
        {"train_error": "--", "weight_norm": "-"},
        Scale("train error, weight norm", log=True, limits=(1e-4, None)),
        colour="ridge",
        panel="activation",
        marks=(Mark(lambda chosen: float(chosen["samples"].values[0]), "N = n"),),
        log_x=True,
    )


def finite_sizes(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns how far the excess risk is from its limit over d, where N/d and n/d were held."""
    runs = final_values(_on(results, "sphere"))
    if len(np.unique(runs["dimension"].values)) < 3:
        return None
    share = (runs["features"].values / runs["samples"].values).round(6)
    exact = np.array([limit(runs.isel(run=[row]))[0] for row in range(runs.sizes["run"])])
    gap = xr.DataArray(runs["excess_risk"].values / exact - 1, dims="run", attrs={"long_name": "mean over seeds"})
    runs = runs.drop_vars(["features", "samples"]).assign(gap=gap)
    runs.attrs["order"] = [*runs.attrs["order"], "N/n"]
    return profile(
        runs.assign_coords({"N/n": ("run", share, runs["ridge"].attrs)}),
        "dimension",
        {"gap": "-"},
        Scale("excess risk / limit - 1"),
        colour="N/n",
        panel="ridge",
        exact=lambda _, sizes: np.zeros(len(sizes)),
        exact_label="limit (Mei, Montanari)",
        centre="mean",
    )


def line_beside_sphere(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the test error over N of the 1-D setting beside that on the sphere."""
    if not (results["inputs"] == "line").any():
        return None
    return profile(
        results,
        "features",
        {"test_error": "-", "train_error": "--"},
        Scale("error", log=True, limits=(1e-3, None)),
        panel="inputs",
        colour="frequency",
        marks=(Mark(lambda chosen: float(chosen["samples"].values[0]), "N = n"),),
        log_x=True,
    )


def as_printed(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the table of test errors of the 1-D setting, of one run of the course's code and of this sweep."""
    runs = final_values(results).isel(run=results["status"].isin(["finished", "done"]).values)
    if not (runs["inputs"] == "line").any():
        return None
    import matplotlib.figure
    from matplotlib.transforms import Bbox

    columns = [("line", frequency) for frequency in np.unique(_on(runs, "line")["frequency"].values).tolist()]
    columns += [("sphere", None)] if (runs["inputs"] == "sphere").any() else []
    counts = np.unique(runs["features"].values).tolist()
    heads = ["N", "as printed", "as written,\none run"]
    heads += [f"as measured, 1-D,\nω ~ N(0, {f:g}²)" if f else "well posed,\non the sphere" for _, f in columns]
    rows = [
        [str(count), _promise(count, runs), _short(ONE_RUN[count]) if count in ONE_RUN else ""]
        + [_spread(_on(runs, inputs), count, frequency) for inputs, frequency in columns]
        for count in counts
    ]
    with style():
        figure = matplotlib.figure.Figure(figsize=(2.1 * len(heads), 0.36 * len(rows) + 1.1))
        axis = figure.subplots()
        axis.set_axis_off()
        wide = [0.06, 0.1, 0.13] + [0.71 / len(columns)] * len(columns)
        table = axis.table(
            rows, colLabels=heads, colWidths=wide, loc="center", cellLoc="center", bbox=Bbox([[0, 0], [1, 1]])
        )
        table.auto_set_font_size(False)
        table.set_fontsize(10.5)
        for (row, _), cell in table.get_celld().items():
            cell.set_edgecolor("#cccccc")
            cell.set_linewidth(0.6)
            if row == 0:
                cell.set_height(2 * cell.get_height())
                cell.set_text_props(weight="bold")
        note(
            figure,
            ["median test error over seeds and its 10–90 % range; the printed table is illustrative, not measured"],
        )
    return figure


def _promise(count: int, runs: xr.Dataset) -> str:
    """Returns what the course's text says happens at this N."""
    n = int(_on(runs, "line")["samples"].values[0])
    return "peak" if count == n else "falls again" if count > n else ""


def _spread(runs: xr.Dataset, count: int, frequency: float | None) -> str:
    chosen = (runs["features"] == count) & (True if frequency is None else runs["frequency"] == frequency)
    values = runs["test_error"].values[chosen.values]
    if not len(values):
        return ""
    low, middle, high = np.percentile(values, [10, 50, 90])
    return f"{_short(middle)}  [{_short(low)}, {_short(high)}]"


def _short(value: float) -> str:
    return (
        f"{value:.2g}"
        if value < 100
        else f"{value:.0f}"
        if value < 1e4
        else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    )


def _is_curve(runs: xr.Dataset) -> bool:
    """Whether some n was run with three N or more: a line through two of them would pass below the peak."""
    samples, features = runs["samples"].values, runs["features"].values
    return any(len(np.unique(features[samples == count])) >= 3 for count in np.unique(samples))


def _on(results: xr.Dataset, inputs: str) -> xr.Dataset:
    return results.isel(run=(results["inputs"] == inputs).values)


FIGURES = (
    Figure(
        "risk",
        "Double descent in the number of features",
        "Excess risk over the number of features N: median over seeds with its 95 % interval, a colour per ridge. "
        "Dashed: the limit of Mei and Montanari at the same N/d and n/d; at ridge 0 it is infinite at N = n.",
        risk_over_features,
    ),
    Figure(
        "risk_samples",
        "Double descent in the number of samples",
        "Excess risk over the number of samples n at a fixed number of features: near n = N more data hurts.",
        risk_over_samples,
    ),
    Figure(
        "finite_sizes",
        "What finite sizes add",
        "Excess risk over its limit, less one, at N/d and n/d that are held while d grows: mean over seeds with its "
        "95 % interval, for one activation.",
        finite_sizes,
    ),
    Figure(
        "train",
        "What happens at N = n",
        "Without ridge the train error (dashed) reaches zero at N = n, where the weights (solid, their norm) peak.",
        train_and_norm,
    ),
    Figure(
        "line",
        "The 1-D setting beside a well-posed one",
        "Test error (solid) and train error (dashed) over N. On the line all features are smooth functions of one "
        "number, more of them add nothing new but larger weights, and the error does not come down again; on the "
        "sphere in 50 dimensions it does.",
        line_beside_sphere,
    ),
    Figure(
        "as_printed",
        "As printed, as measured",
        "Test errors of the 1-D setting: what the course's text says, one run of its code as written, and the medians "
        "of this sweep, beside the well-posed setting. Bandwidth, seed and test inputs of that run are not known: "
        "the sweep shows two bandwidths ω and takes the error over all x ~ N(0, 1).",
        as_printed,
    ),
)
