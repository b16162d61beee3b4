"""The figures of a silent-alignment sweep."""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from phenom_jax.report.marks import Clock, Curves, Figure, Line, Overlay, Profile, Scale
from phenom_jax.theory.deep_linear import half_loss_time, saxe

EARLIEST = 0.1  # time from which on curves are drawn
STYLES = ("-", "--", "-.")  # of modes
HELD = {"spectrum": min, "start": max, "depth": min, "init_scale": min}  # start: "gaussian" comes after "balanced"
TIME = Clock("time = step × step size", "learning_rate")
over_time = partial(Curves, at=HELD, clock=TIME, colour=("spectrum", "init_scale"), panel=("depth", "width", "start"))
over_scale = partial(Profile, "init_scale", at=HELD, colour="depth", panel="width", log_x=True)
LOSS = Line("--", "loss")
SHARE = Scale("share or cosine", limits=(-0.02, 1.05))


def _one(runs: xr.Dataset, name: str) -> Any:
    return runs[name].values[0].item()


def _runs(results: xr.Dataset, **values: float | str) -> xr.Dataset:
    """Returns the runs with these hyperparameters, from the time on at which something happens."""
    for name, value in values.items():
        results = results.isel(run=(results[name] == value).values)
    times = results["step"].values * results["learning_rate"].values.max(initial=0)
    return results.isel(step=(times == 0) | (times >= EARLIEST))


def _modes(results: xr.Dataset) -> xr.Dataset:
    """Returns the networks of two layers with several modes, a variable for each."""
    results = _runs(results, model="linear", depth=2)
    results = results.isel(run=(results["modes"] > 1).values, mode=slice(len(STYLES)))
    return results.assign({f"mode_{k}": results["mode_strengths"].sel(mode=k) for k in results["mode"].values})


def _saxe(runs: xr.Dataset, steps: np.ndarray, mode: int = 1) -> np.ndarray:
    """Returns Saxe's curve of a mode from the median of what grows of it at the start; NaN where there is none."""
    start = float(np.median(runs["growing_strengths"].isel(step=0).sel(mode=mode)))
    strength = _one(runs, "strength") * _one(runs, "ratio") ** (mode - 1)
    known = np.isfinite(start) and _one(runs, "spectrum") == 0
    return saxe(steps * _one(runs, "learning_rate"), strength, start) if known else np.full(len(steps), np.nan)


def _saxe_scale(runs: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    return _saxe(runs, steps) / _one(runs, "strength") if _one(runs, "modes") == 1 else np.full(len(steps), np.nan)


def _half_time(runs: xr.Dataset, scales: np.ndarray) -> np.ndarray:
    """Returns when half of the loss is gone: from balanced weights σ^L grows; of two Gaussian layers half of it does.

    What grows in deeper Gaussian ones is not known: their curve goes through the smallest init scale.
    """
    depth, strength, start = (_one(runs, name) for name in ("depth", "strength", "start"))
    starts = np.minimum(scales**depth / (2 if start == "gaussian" else 1), 0.29 * strength)
    times = np.array([half_loss_time(strength, float(u), depth) for u in starts])
    smallest = runs["init_scale"].values.min()
    if start == "gaussian" and depth > 2:
        measured = np.median(runs["half_time"].values[runs["init_scale"].values == smallest])
        times *= measured / times[np.abs(scales - smallest).argmin()]
    return np.where(scales >= smallest, times, np.nan)


FIGURES = (
    Figure(
        "silence",
        "The kernel turns before the loss falls",
        "Loss and kernel-target alignment, which is a share of L/√(L² + D - 1), the largest there is, where a linear "
        "network has one output and whitened inputs. Thin: Saxe's curve of two layers.",
        over_time(
            {"relative_loss": LOSS, "aligned": Line("-", "alignment")},
            SHARE,
            overlay=Overlay("Saxe's loss", {"relative_loss": lambda *runs_steps: (1 - _saxe_scale(*runs_steps)) ** 2}),
        ),
        of=_runs,
    ),
    Figure(
        "scale",
        "What grows in silence",
        "Norm of the outputs: two layers grow exponentially from the start, three and more hardly, then all at once.",
        over_time(
            {"output_scale": Line("-", "outputs")},
            Scale("norm ÷ norm of labels", log=True),
            overlay=Overlay("Saxe's curve of two layers", {"output_scale": _saxe_scale}),
        ),
        of=_runs,
    ),
    Figure(
        "times",
        "When kernels align and when networks learn",
        "Time to 90 % of the largest alignment (dashed) and to half of the loss (solid). Theory is exact from balanced "
        "weights; of two Gaussian layers σ²/2 grows, of more what makes the curve go through the smallest init scale.",
        over_scale(
            {"alignment_time": "--", "half_time": "-"},
            Scale("time = step × step size", log=True),
            colour=None,
            panel="depth",
            exact=_half_time,
            exact_label="theory of the time to learn",
        ),
        of=partial(_runs, model="linear", modes=1),
    ),
    Figure(
        "share",
        "From large weights it is not silent",
        "Kernel-target alignment when 10 % of the loss is gone, as a share of L/√(L² + D - 1), over the init scale.",
        over_scale({"silent_alignment": "-"}, SHARE, centre="mean"),
        of=partial(_runs, model="linear", modes=1, spectrum=0),
    ),
    Figure(
        "modes",
        "Modes are learnt one after the other",
        "Strength of the teacher's modes in two layers, and Saxe's curve (thin) from the part that grows of the start.",
        lambda results: over_time(
            {f"mode_{k}": Line(style, f"mode {k}") for k, style in zip(results["mode"].values, STYLES)},
            Scale("strength in the network"),
            colour=None,
            panel=("init_scale", "start"),
            overlay=Overlay("Saxe's curve", {f"mode_{k}": partial(_saxe, mode=k) for k in results["mode"].values}),
        ),
        of=_modes,
    ),
    Figure(
        "turning",
        "On inputs that are not whitened the outputs turn as they grow",
        "Loss, cosine of outputs and labels, and cosine of the kernel with that when 10 % of the loss was gone.",
        over_time(
            {"relative_loss": LOSS, "label_cosine": Line(":", "outputs"), "kernel_similarity": Line("-", "kernel")},
            SHARE,
        ),
        of=partial(_runs, model="linear", modes=1),
    ),
    Figure(
        "balance",
        "What gradient flow conserves",
        "Largest change of W_l W_l' - W_{l+1}' W_{l+1} since the start, made by steps of finite size.",
        over_time({"balance_change": Line("-", "balance")}, Scale("change of the balance", log=True)),
        of=lambda results: _runs(results, model="linear").isel(step=slice(1, None)),
    ),
    Figure(
        "regression",
        "The network and kernel regression",
        "Distance between a ReLU network's test outputs and those of regression with its initial and its final kernel.",
        over_scale({"initial_kernel_error": "--", "kernel_error": "-"}, Scale("distance ÷ norm", log=True)),
        of=partial(_runs, model="relu"),
    ),
)
