"""The figures of a sweep over polynomial fits, as marks; the fits themselves are drawn here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from experiments.polynomial.claims import as_checked, few
from experiments.polynomial.science import CHECKED, CURVES, INPUTS, exact, setting
from phenom_jax.report.figures import DARK, colours, note, panels, style
from phenom_jax.report.marks import Figure, Profile, Scale, VLine
from phenom_jax.store.axes import hold

if TYPE_CHECKING:
    import matplotlib.figure


def fits(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the fits to many datasets over x, a panel for each of a few numbers of functions."""
    from matplotlib.collections import LineCollection

    over = results["status"].isin(["finished", "done"]).values
    held, notes = hold(results.isel(run=over), ["functions"], {"ridge": min})
    counts, samples = np.unique(held["functions"].values), held["samples"].values[:1]
    if not len(counts):
        return None
    wanted = [1, 4, 10, 16] if counts[-1] <= samples else [3, 10, samples[0], 20, 30, counts[-1]]
    counts = np.unique([counts[np.abs(counts - count).argmin()] for count in wanted])
    true, noise = CURVES[str(held["curve"].values[0])](INPUTS), held["noise"].values[0]
    with style():
        figure, axes = panels(len(counts), width=3.9, height=3.0)
        for axis, count in zip(axes, counts, strict=True):
            fits_SxQ = held["predictions"].values[held["functions"].values == count, 0]
            lines = [np.column_stack([INPUTS, fit]) for fit in fits_SxQ[:50]]
            axis.add_collection(LineCollection(lines, colors=colours(1)[0], linewidths=0.6, alpha=0.35))
            axis.fill_between(INPUTS, true - noise, true + noise, color="#888888", alpha=0.2, linewidth=0)
            axis.plot(INPUTS, np.median(fits_SxQ, 0), color=colours(2)[1])
            axis.plot(INPUTS, true, color=DARK, linewidth=1.2, linestyle="--")
            reach = 1.6 * np.abs(true).max() + noise
            axis.set(xlim=(-1, 1), ylim=(-reach, reach), title=f"{count} function{'s' if count > 1 else ''}")
            axis.set_xlabel("x" if axis.get_subplotspec().is_last_row() else "")
        note(figure, [*notes, "dashed: the curve, grey: its noise; thick: median over datasets, thin: 50 of them"])
    return figure


def parts(results: xr.Dataset) -> xr.Dataset:
    """Returns the runs once for each part of the error, which is their `error`, along the axis `part`."""
    runs = results.drop_vars("predictions").isel(run=few(results).values)
    names = {"bias²": "bias2", "variance": "variance", "sum with noise²": "sum_of_parts", "test": "test_error"}
    of_each = [
        runs.assign(error=runs[name].assign_attrs(long_name="squared error")).assign_coords(
            part=("run", [part] * runs.sizes["run"], {"hyperparameter": "part"})
        )
        for part, name in names.items()
    ]
    return xr.concat(of_each, "run").assign_attrs(order=[*results.attrs["order"], "part"])


def exact_part(runs: xr.Dataset, counts: np.ndarray) -> np.ndarray:
    """Returns what a part is on average for inputs on the grid, NaN for others."""
    bias2, variance = np.array([exact(**setting(runs) | {"functions": int(count)}) for count in counts]).T
    total = bias2 + variance + runs["noise"].values[0] ** 2
    part = {"bias²": bias2, "variance": variance}.get(runs["part"].values[0], total)
    return np.where(runs["inputs"].values[0] == "grid", part, np.nan)


def checked(runs: xr.Dataset, counts: np.ndarray) -> np.ndarray:
    """Returns the medians found by others, on straight lines between them."""
    known = np.log(list(CHECKED)), np.log(list(CHECKED.values()))
    return np.exp(np.interp(np.log(counts), *known, left=np.nan, right=np.nan))


def descent(results: xr.Dataset) -> Profile:
    """Returns the median error over the number of functions, without the train errors that are rounding."""
    floor = 0.3 * float(results["excess_risk"].quantile(0.1))
    return Profile(
        "functions",
        {"excess_risk": "-", "train_error": "--", "test_error": ":"},
        Scale("error", log=True, limits=(floor, None)),
        colour="ridge",
        panel="noise",
        exact=checked if as_checked(results).any() else None,
        exact_label="medians found by others",
        verticals=[VLine("samples", "p = n")],
        log_x=True,
    )


FIGURES = (
    Figure(
        "fits",
        "Fits to many datasets",
        "Few functions agree with each other and miss the curve, many differ from dataset to dataset.",
        fits,
    ),
    Figure(
        "bias_variance",
        "Bias and variance",
        "Of blocks of 20 datasets (an estimate of bias² may be below 0). Dashed: exact, for inputs on the grid.",
        Profile(
            "functions",
            {"error": "-"},
            Scale("squared error", log=True, limits=(1e-3, None)),
            colour="part",
            exact=exact_part,
            centre="mean",
        ),
        of=parts,
    ),
    Figure(
        "descent",
        "Over the number of functions",
        "Median errors over datasets: near p = n their means do not converge.",
        descent,
    ),
)
