"""The figures of a sweep over polynomial fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.polynomial.curve import CURVES, INPUTS, decompose, exact, predictions
from phenom_jax.report.curves import Scale
from phenom_jax.report.figures import Figure, colours, note, panels, style
from phenom_jax.report.profile import Mark, profile
from phenom_jax.report.tables import final_values
from phenom_jax.store.axes import groups, hold

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

ONE_RUN = {3: 0.176, 16: 1.009}  # functions of degree 0 up: test errors of the course's table at degrees 2 and 15
CHECKED = {5: 0.79, 10: 14.0, 15: 6.7e6, 20: 30.0, 30: 0.351, 200: 0.556}  # medians found elsewhere
DARK = "#222222"


def fits(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the fits to many datasets over x, a panel for each of a few numbers of functions."""
    from matplotlib.collections import LineCollection

    held, notes = _held(results)
    counts = np.unique(held["functions"].values).tolist()
    if not counts:
        return None
    at_n = min(counts, key=lambda count: abs(count - held["samples"].values[0]))
    chosen = [counts[0], 4, 10, counts[-1]] if counts[-1] < at_n + 1 else [3, 10, at_n, 20, 30, counts[-1]]
    counts = sorted({min(counts, key=lambda count: abs(count - wanted)) for wanted in chosen})
    noise = float(held["noise"].values[0])
    with style():
        figure, axes = panels(len(counts), width=3.9, height=3.0)
        true = CURVES[str(held["curve"].values[0])](INPUTS)
        for axis, count in zip(axes, counts, strict=True):
            fits_SxQ = predictions(held.isel(run=(held["functions"] == count).values))
            lines = [np.column_stack([INPUTS, fit]) for fit in fits_SxQ[:50]]
            axis.add_collection(LineCollection(lines, colors=colours(1)[0], linewidths=0.6, alpha=0.35))
            axis.fill_between(INPUTS, true - noise, true + noise, color="#888888", alpha=0.2, linewidth=0)
            axis.plot(INPUTS, np.median(fits_SxQ, 0), color=colours(2)[1])
            axis.plot(INPUTS, true, color=DARK, linewidth=1.2, linestyle="--")
            reach = 1.6 * np.abs(true).max() + noise
            axis.set_ylim(-reach, reach)
            axis.set_xlim(-1, 1)
            axis.set_title(f"{count} function{'s' if count > 1 else ''}")
        for axis in axes:
            axis.set_xlabel("x" if axis.get_subplotspec().is_last_row() else "")
        note(figure, [*notes, "dashed: the curve, grey: its noise; thick: median over datasets, thin: 50 of them"])
    return figure


def bias_variance(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns bias², variance, their sum with the noise and the measured test error over the number of functions."""
    held, notes = _held(results)
    counts = np.unique(held["functions"].values).tolist()
    samples = int(held["samples"].values[0]) if len(counts) else 0
    counts = [count for count in counts if count <= samples]
    if len(counts) < 3 or not (held["noise"] > 0).all():
        return None
    cells = [held.isel(run=(held["functions"] == count).values) for count in counts]
    kind, noise2 = str(held["curve"].values[0]), float(held["noise"].values[0]) ** 2
    parts = [decompose(predictions(cell), kind) for cell in cells]
    errors = [final_values(cell)["test_error"].values for cell in cells]
    bias2, variance = (np.array([getattr(part, name) for part in parts]) for name in ("bias2", "variance"))
    with style():
        figure, (axis,) = panels(1, width=7.5, height=4.2)
        for name, values, colour in zip(("bias²", "variance"), (bias2, variance), colours(2), strict=True):
            axis.plot(counts, np.where(values > 0, values, np.nan), "o-", color=colour, label=name, markersize=4)
        total = bias2 + variance + noise2
        axis.plot(counts, total, "-", color=colours(3)[2], label="bias² + variance + noise²")
        means = np.array([values.mean() for values in errors])
        spread = np.array([1.96 * values.std(ddof=1) / np.sqrt(len(values)) for values in errors])
        low = np.maximum(means - spread, 0.1 * means)  # a bar to below zero has no end on this axis
        axis.errorbar(
            counts, means, [means - low, spread], fmt="s", color=DARK, markersize=4, capsize=3, label="test error, mean"
        )
        if (held["inputs"] == "grid").all():
            curves = [exact(held, count) for count in counts]
            lines = ([part.bias2 for part in curves], [part.variance for part in curves])
            for index, values in enumerate(lines):
                label = "exact" if index == 0 else None
                axis.plot(counts, values, color=DARK, linewidth=1, linestyle=(0, (4, 2)), label=label, zorder=5)
        axis.axhline(noise2, color="#888888", linewidth=1, linestyle=":", label="noise²")
        axis.set_yscale("log")
        axis.set_ylim(0.3 * variance[variance > 0].min(), 2 * max(total.max(), means.max()))
        axis.set_xlabel("functions")
        axis.set_ylabel("squared error")
        figure.legend(loc="outside upper left", ncols=3)
        gone = "where bias² is estimated below 0 it is not drawn" if (bias2 <= 0).any() else ""
        note(figure, [*notes, f"{len(errors[0])} datasets; bars: 95 % interval of the mean", gone])
    return figure


def descent(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the median excess risk over the number of functions."""
    risks = results["excess_risk"].values
    floor = 0.1 * float(np.nanpercentile(risks, 10)) if np.isfinite(risks).any() else None
    return profile(
        results.drop_vars("predictions", errors="ignore"),
        "functions",
        {"excess_risk": "-", "train_error": "--"},
        Scale("error", log=True, limits=(floor, None)),  # an interpolating fit's train error is rounding
        colour="ridge",
        panel="noise",
        marks=(Mark(lambda runs: float(runs["samples"].values[0]), "p = n"),),
        log_x=True,
    )


def as_printed(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the table of test errors beside the known values of the course and of others."""
    import matplotlib.figure
    from matplotlib.transforms import Bbox

    held, notes = _held(results)
    if not held.sizes["run"]:
        return None
    wiggle = str(held["curve"].values[0]) == "wiggle"
    known, measured = (CHECKED, "excess_risk") if wiggle else (ONE_RUN, "test_error")
    heads = ["functions p", "degree", "checked median" if wiggle else "as written, seed 42", "median [10–90 %]", "mean"]
    rows = []
    for _, cell in groups(final_values(held), ("functions",)):
        count, values = int(cell["functions"].values[0]), cell[measured].values
        degree = count - 1 + int(cell["lowest_degree"].values[0])
        low, middle, high = (_short(value) for value in np.percentile(values, [10, 50, 90]))
        said = _short(known[count]) if count in known else ""
        rows.append([str(count), str(degree), said, f"{middle}  [{low}, {high}]", _short(values.mean())])
    with style():
        figure = matplotlib.figure.Figure(figsize=(8.5, 0.3 * len(rows) + 1.0))
        axis = figure.subplots()
        axis.set_axis_off()
        wide = [0.14, 0.1, 0.24, 0.34, 0.18]
        table = axis.table(
            rows, colLabels=heads, colWidths=wide, loc="center", cellLoc="center", bbox=Bbox([[0, 0], [1, 1]])
        )
        table.auto_set_font_size(False)
        table.set_fontsize(10.5)
        for (row, _), cell in table.get_celld().items():
            cell.set_edgecolor("#cccccc")
            cell.set_linewidth(0.6)
            if row == 0:
                cell.set_text_props(weight="bold")
        unknown = "" if wiggle else "curve, noise and number of samples of the seed-42 run are not known"
        note(figure, [*notes, unknown])
    return figure


def _held(results: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Returns the finished runs at one value of every axis but the functions, and what was held."""
    over = results.isel(run=results["status"].isin(["finished", "done"]).values)
    return hold(over, ["functions"], {"ridge": min})


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")


FIGURES = (
    Figure(
        "fits",
        "Fits to many datasets",
        "What polynomials of a few sizes predict: few functions agree with each other and miss the curve, many differ "
        "from dataset to dataset.",
        fits,
    ),
    Figure(
        "bias_variance",
        "Bias and variance",
        "Bias² and variance estimated over datasets, their sum with the noise variance, and the mean error on fresh "
        "test sets (squares). Dashed: exact, where every dataset has the same inputs.",
        bias_variance,
    ),
    Figure(
        "descent",
        "Over the number of functions",
        "Median excess risk (solid) and train error (dashed) over datasets with its 95 % interval. Medians: the means "
        "near p = n do not converge.",
        descent,
    ),
    Figure(
        "as_printed",
        "As printed, as measured",
        "Median over datasets and its 10–90 % range beside the values known from elsewhere.",
        as_printed,
    ),
)
