"""The figures of a silent-alignment sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phenom_jax.report.curves import STEPS, Clock, Overlay, Scale, curves
from phenom_jax.report.figures import Figure, LineStyle
from phenom_jax.report.profile import profile
from phenom_jax.theory.deep_linear import half_loss_time, most_alignment, plateau, saxe

if TYPE_CHECKING:
    import matplotlib.figure

EARLIEST = 0.1  # time from which on curves are drawn
STYLES: tuple[LineStyle, ...] = ("-", "--", "-.", ":")
HELD = {"spectrum": min, "start": max, "depth": min, "init_scale": min}  # start: "gaussian" comes after "balanced"


def draw_silence(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns loss and alignment over time, the alignment as a share of its maximum."""
    results = _linear(results)
    results = results.isel(run=((results["spectrum"] == 0) & (results["modes"] == 1)).values)
    if not results.sizes["run"]:
        return None
    most = most_alignment(results["depth"].values, results["inputs"].values)
    share = results["kernel_alignment"] / xr.DataArray(most, dims="run")
    return curves(
        _shown(results.assign(aligned=share), relative_loss="loss", aligned="alignment"),
        {"relative_loss": "--", "aligned": "-"},
        Scale("share of the largest", limits=(-0.02, 1.05)),
        colour="init_scale",
        panel="depth",
        at=HELD,
        clock=_clock(results),
        overlay=Overlay("loss on Saxe's curve", {"relative_loss": _saxe_loss}) if _two_layers(results) else None,
    )


def draw_scale(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the norm of the outputs over time, logarithmic."""
    linear = bool((results["model"] == "linear").all())
    return curves(
        _shown(results, output_scale="outputs"),
        {"output_scale": "-"},
        Scale("norm ÷ norm of labels", log=True),
        colour="init_scale",
        panel="depth" if linear else "width",
        at=HELD,
        clock=_clock(results),
        overlay=Overlay("Saxe's curve", {"output_scale": _saxe_scale}) if linear and _two_layers(results) else None,
    )


def draw_times(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns when kernels align and when networks learn, over the init scale."""
    results = _linear(results)
    return profile(
        results.isel(run=(results["modes"] == 1).values),
        "init_scale",
        {"alignment_time": "--", "half_time": "-"},
        Scale("time = step × step size", log=True),
        panel="depth",
        at=HELD,
        exact=_half_time,
        exact_label="theory of the time to learn",
        log_x=True,
    )


def draw_share(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns how aligned kernels are when learning begins, over the init scale."""
    results = _linear(results)
    return profile(
        results.isel(run=(results["modes"] == 1).values),
        "init_scale",
        {"silent_alignment": "-"},
        Scale("kernel-target alignment"),
        colour="depth",
        at=HELD,
        exact=lambda runs, scales: np.full(len(scales), most_alignment(*_first(runs, "depth", "inputs"))),
        exact_label="largest alignment L/√(L² + D - 1)",
        log_x=True,
        centre="mean",
    )


def draw_modes(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns the strength of each mode over time, beside Saxe's curve."""
    results = results.isel(run=((results["modes"] > 1) & (results["depth"] == 2)).values)
    if not results.sizes["run"]:
        return None
    shown = range(min(int(results["modes"].values.max()), len(STYLES)))
    modes = {f"mode_{1 + k}": results["mode_strengths"].isel(mode=k, drop=True) for k in shown}
    for k, values in zip(shown, modes.values()):
        values.attrs["long_name"] = f"mode of strength {_strengths(results)[k]:.3g}"
    overlay = {name: lambda runs, steps, k=k: _saxe(runs, steps, k) for k, name in zip(shown, modes)}
    several = len(np.unique(results["start"].values)) > 1 and len(np.unique(results["init_scale"].values)) == 1
    return curves(
        _shown(results.assign(modes)),
        dict(zip(modes, STYLES)),
        Scale("strength in the network"),
        panel="start" if several else "init_scale",
        at=HELD,
        clock=_clock(results),
        overlay=Overlay("Saxe's curve", overlay),
    )


def draw_turning(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns how far the kernel turns once learning has begun, over time, a colour for each spectrum."""
    if len(np.unique(results["spectrum"].values)) < 2:
        return None
    return curves(
        _shown(results, relative_loss="loss", label_cosine="outputs to labels", kernel_similarity="kernels"),
        {"relative_loss": "--", "label_cosine": ":", "kernel_similarity": "-"},
        Scale("loss, cosine", limits=(-0.02, 1.05)),
        colour="spectrum",
        panel="depth",
        at=HELD,
        clock=_clock(results),
    )


def draw_relu(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns loss and alignment of ReLU networks over time."""
    return curves(
        _shown(_relu(results), relative_loss="loss", kernel_alignment="alignment"),
        {"relative_loss": "--", "kernel_alignment": "-"},
        Scale("loss, alignment", limits=(-0.02, 1.2)),
        colour="init_scale",
        panel="depth",
        at=HELD,
        clock=_clock(results),
    )


def draw_regression(results: xr.Dataset) -> matplotlib.figure.Figure | None:
    """Returns how far ReLU networks are from kernel regression, over the init scale."""
    return profile(
        _relu(results),
        "init_scale",
        {"initial_kernel_error": "--", "kernel_error": "-"},
        Scale("distance ÷ norm of outputs", log=True),
        colour="depth",
        panel="width",
        at=HELD,
        log_x=True,
        centre="mean",
    )


def _linear(results: xr.Dataset) -> xr.Dataset:
    return results.isel(run=(results["model"] == "linear").values)


def _relu(results: xr.Dataset) -> xr.Dataset:
    return results.isel(run=(results["model"] == "relu").values)


def _shown(results: xr.Dataset, **names: str) -> xr.Dataset:
    """Returns the results from the time on at which something happens, the variables called by short names."""
    times = results["step"].values * results["learning_rate"].values.max()
    results = results.isel(step=(times == 0) | (times >= EARLIEST))
    return results.assign({name: results[name].assign_attrs(long_name=said) for name, said in names.items()})


def _clock(results: xr.Dataset) -> Clock:
    """Returns time in place of steps, where a step is as long in all runs."""
    rates = np.unique(results["learning_rate"].values)
    return Clock("time = step × step size", float(rates[0])) if len(rates) == 1 else STEPS


def _two_layers(results: xr.Dataset) -> bool:
    return bool((results["depth"] == 2).any())


def _first(runs: xr.Dataset, *names: str) -> list:
    return [runs[name].values[0].item() for name in names]


def _strengths(runs: xr.Dataset) -> np.ndarray:
    """Returns the singular values of the teacher."""
    strength, ratio, modes = _first(runs, "strength", "ratio", "modes")
    return strength * ratio ** np.arange(modes)


def _saxe(runs: xr.Dataset, steps: np.ndarray, mode: int) -> np.ndarray:
    """Returns Saxe's curve of a mode from the median of what grows of it at the start; NaN where there is none."""
    start = np.median(runs["growing_strengths"].isel(step=0, mode=mode).values)
    if not np.isfinite(start) or runs["spectrum"].values[0] > 0:
        return np.full(len(steps), np.nan)
    return saxe(steps * runs["learning_rate"].values[0], float(_strengths(runs)[mode]), float(start))


def _saxe_loss(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    return (1 - _saxe_scale(runs, steps)) ** 2


def _saxe_scale(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    if runs["modes"].values[0] > 1:
        return np.full(len(steps), np.nan)
    return _saxe(runs, steps, 0) / runs["strength"].values[0]


def _half_time(runs: xr.Dataset, scales: np.ndarray) -> np.ndarray:
    """Returns when half of the loss is gone: Saxe's from σ²/2, which two Gaussian layers make grow; deeper, σ^(2-L).

    The constant of the latter is known from balanced weights; from Gaussian ones it is that of the smallest scale.
    """
    depth, strength, start = _first(runs, "depth", "strength", "start")
    if start == "balanced" or depth == 2:
        grown = 0.5 if start == "gaussian" else 1.0
        starts = np.minimum(grown * scales**depth, 0.29 * strength)
        exact = np.array([half_loss_time(strength, float(u), depth) for u in starts])
        return np.where(scales >= runs["init_scale"].values.min(), exact, np.nan)
    learnt = runs.isel(run=runs["half_time"].notnull().values)
    if not learnt.sizes["run"]:
        return np.full(len(scales), np.nan)
    smallest = learnt["init_scale"].values.min()
    time = np.median(learnt["half_time"].values[learnt["init_scale"].values == smallest])
    guide = time * plateau(scales, strength, depth) / plateau(smallest, strength, depth)
    return np.where(scales >= smallest, guide, np.nan)


FIGURES = (
    Figure(
        "silence",
        "The kernel turns before the loss falls",
        "Loss (dashed) and kernel-target alignment as a share of L/√(L² + D - 1), the largest there is (solid), over "
        "time, a panel per depth and a colour per init scale. From small weights the alignment is there before the "
        "loss moves.",
        draw_silence,
    ),
    Figure(
        "scale",
        "What grows in silence",
        "Norm of the network's outputs by that of the labels. Two layers grow exponentially from the start; three and "
        "more hardly grow, and then all at once.",
        draw_scale,
    ),
    Figure(
        "times",
        "When kernels align and when networks learn",
        "Time to 90 % of the largest alignment (dashed) and to half of the loss (solid) over the init scale. Thin: "
        "Saxe's curve from σ²/2 for two Gaussian layers, σ^(2 - L) through the smallest init scale for more.",
        draw_times,
    ),
    Figure(
        "share",
        "From large weights it is not silent",
        "Alignment when 10 % of the loss is gone, over the init scale, beside the largest there is.",
        draw_share,
    ),
    Figure(
        "modes",
        "Modes are learnt one after the other",
        "Strength of each of the teacher's modes in a network of two layers, and Saxe's curve from the part of the "
        "initial weights that grows (thin).",
        draw_modes,
    ),
    Figure(
        "turning",
        "On inputs that are not whitened the kernel keeps turning",
        "Loss (dashed), and the cosine between the kernel and that when 10 % of the loss was gone (solid): below 1, "
        "the kernel still turns while the network learns.",
        draw_turning,
    ),
    Figure(
        "relu",
        "ReLU networks on digits",
        "Loss (dashed) and kernel-target alignment (solid) over time, a colour per init scale.",
        draw_relu,
    ),
    Figure(
        "regression",
        "The network and kernel regression",
        "Distance between a ReLU network's test outputs and those of regression with its initial (dashed) and its "
        "final kernel (solid). From small weights only the final kernel tells what was learnt.",
        draw_regression,
    ),
)
