"""The claims about silent alignment: numbers of one seed, and the zones in which they must lie."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import xarray as xr

from experiments.silent_alignment.science import LARGE, SILENT, SMALL
from phenom_jax.claims import Claim, Source, above, agrees, below, need
from phenom_jax.claims.runs import at, last, ratio
from phenom_jax.laws.power_law import local_exponents
from phenom_jax.store.axes import settings
from phenom_jax.theory.deep_linear import half_loss_time, mode_time

ATANASOV = Source("Atanasov, Bordelon, Pehlevan 2021", "https://arxiv.org/abs/2111.00034")
SAXE = Source("Saxe, McClelland, Ganguli 2013", "https://arxiv.org/abs/1312.6120")
DU = Source("Du, Hu, Lee 2018", "https://arxiv.org/abs/1806.00900")

CLOSE = 0.05  # of a predicted time
PICK = {"smallest": np.min, "largest": np.max}


def small(results: xr.Dataset) -> xr.DataArray:
    """Linear networks with one output on whitened inputs, from Gaussian weights with init scales of 0.1 or less."""
    return _linear(results) & (results["spectrum"] == 0) & (results["init_scale"] <= SMALL)


def large(results: xr.Dataset) -> xr.DataArray:
    """Linear networks with one output on whitened inputs, from Gaussian weights with init scales of 0.3 or more."""
    return _linear(results) & (results["spectrum"] == 0) & (results["init_scale"] >= LARGE)


def steepest(results: xr.Dataset) -> xr.DataArray:
    """Linear networks with one output, from init scales of 0.1 or less, on the steepest spectrum of the sweep."""
    spectrum = results["spectrum"]
    return _linear(results) & (results["init_scale"] <= SMALL) & (spectrum > 0) & (spectrum == spectrum.max())


def balanced(results: xr.Dataset) -> xr.DataArray:
    """Linear networks with one output on whitened inputs, from balanced weights below a tenth of the teacher."""
    lower = results["init_scale"] ** results["depth"] < 0.1 * results["strength"]
    return _linear(results, "balanced") & (results["spectrum"] == 0) & lower


def _linear(results: xr.Dataset, start: str = "gaussian") -> xr.DataArray:
    return (results["model"] == "linear") & (results["modes"] == 1) & (results["start"] == start)


def several_modes(results: xr.Dataset) -> xr.DataArray:
    """Linear networks of two layers with several outputs on whitened inputs, from init scales of 0.1 or less."""
    two_layers = (results["model"] == "linear") & (results["depth"] == 2) & (results["init_scale"] <= SMALL)
    return two_layers & (results["spectrum"] == 0) & (results["modes"] > 1)


def learnt(results: xr.Dataset) -> xr.DataArray:
    """Linear networks that learn."""
    return (results["model"] == "linear") & results["half_time"].notnull()


def relu(results: xr.Dataset) -> xr.DataArray:
    """ReLU networks from init scales of 0.1 or less."""
    return (results["model"] == "relu") & (results["init_scale"] <= SMALL)


def alignment(runs: xr.Dataset, which: str) -> dict[str, float]:
    """Kernel-target alignment when 10 % of the loss is gone ÷ L/√(L² + D - 1), at the {which} init scale per depth."""
    return _at_scale(runs, lambda cell: cell["silent_alignment"].values, which)


def kernel(runs: xr.Dataset) -> dict[str, float]:
    """Cosine between the kernel when 10 % of the loss is gone and at the end, at the smallest init scale per depth."""
    return _at_scale(runs, lambda cell: last(cell, "kernel_similarity"))


def outputs(runs: xr.Dataset) -> dict[str, float]:
    """Cosine between the outputs when 10 % of the loss is gone and the labels, at the smallest init scale per depth."""
    return _at_scale(runs, lambda cell: at(cell, "label_cosine", "turning"))


def both(runs: xr.Dataset) -> dict[str, float]:
    """Cosine between outputs, or kernel, when 10 % of the loss is gone and at the end, at the smallest init scale."""
    named = {"outputs": outputs(runs), "kernel": kernel(runs)}
    return {f"{what} {said}".strip(): value for what, cells in named.items() for said, value in cells.items()}


def off_final(runs: xr.Dataset) -> dict[str, float]:
    """Distance of test outputs to regression with the final kernel ÷ their norm, at the smallest init scale."""
    return _at_scale(runs, lambda cell: last(cell, "kernel_error"))


def initial_to_final(runs: xr.Dataset) -> dict[str, float]:
    """Distance to regression with the initial kernel ÷ that with the final kernel, at the smallest init scale."""
    return _at_scale(runs, lambda cell: last(cell, "initial_kernel_error") / last(cell, "kernel_error"))


def _at_scale(runs: xr.Dataset, of: Callable[[xr.Dataset], np.ndarray], which: str = "smallest") -> dict[str, float]:
    """Returns the number of the runs from one init scale, setting by setting; NaN where one of them does not learn."""
    found = {}
    for said, alike in settings(runs, "init_scale"):
        cell = alike.isel(run=(alike["init_scale"] == PICK[which](alike["init_scale"].values)).values)
        found[said] = float(of(cell).mean()) if cell["half_time"].notnull().all() else np.nan
    return found


def per_decade(runs: xr.Dataset, which: str) -> dict[str, float]:
    """The {which} time of two layers gained for each decade by which the init scale is smaller ÷ ln 10 / s."""
    found = {}
    for said, alike in _over_scales(runs.isel(run=(runs["depth"] == 2).values), span=10):
        times = (alike[f"{which}_time"] * alike["strength"]).values
        found[said] = -float(np.polyfit(np.log(alike["init_scale"].values), times, 1)[0])
    return found


def exponents(runs: xr.Dataset) -> dict[str, float]:
    """Exponent of the half time of three layers and more between neighbouring init scales ÷ (2 - L)."""
    return {
        f"{said} about {scale:.2g}".strip(): slope / (2 - int(deep["depth"][0]))
        for said, deep in _over_scales(runs.isel(run=(runs["depth"] > 2).values), span=3)
        for scale, slope in zip(*local_exponents(deep["init_scale"].values, deep["half_time"].values), strict=True)
    }


def _over_scales(runs: xr.Dataset, span: float) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the runs of each setting, which must have three init scales, over a span, and all learn."""
    need(runs.sizes["run"], "such depths")
    for said, alike in settings(runs, "init_scale"):
        scales = alike["init_scale"].values
        enough = len(np.unique(scales)) > 2 and scales.max() > 0.999 * span * scales.min()
        need(enough and alike["half_time"].notnull().all(), f"three init scales up to 0.1 over a factor of {span}")
        yield said, alike


def of_exact(runs: xr.Dataset) -> dict[str, float]:
    """Half time ÷ the exact one of du/dt = L u^(2 - 2/L) (s - u), per depth and init scale."""
    found = {}
    for said, alike in settings(runs):
        scale, strength, depth = (alike[name].values[0].item() for name in ("init_scale", "strength", "depth"))
        found[said] = float(alike["half_time"].mean()) / half_loss_time(strength, scale**depth, depth)
    return found


def of_saxe(runs: xr.Dataset) -> dict[str, float]:
    """Time to half of a mode ÷ that on Saxe's curve from what grows of it at the start, per mode and start."""
    found = {}
    for said, alike in settings(runs, "init_scale"):
        grows_NxK = alike["growing_strengths"].isel(step=0).values
        for k in range(int(alike["modes"].min())):
            strengths = (alike["strength"] * alike["ratio"] ** k).values
            exact = [mode_time(s / 2, s, u, 2) for s, u in zip(strengths, grows_NxK[:, k], strict=True)]
            found[f"{said} mode {k + 1}".strip()] = ratio(alike["mode_times"].values[:, k], np.array(exact))
    return found


def imbalance(runs: xr.Dataset) -> float:
    """Change of W_l W_l' - W_{l+1}' W_{l+1} ÷ what W_l W_l' gains, s^(2/L), the largest over steps and runs."""
    need(runs["balance_change"].dtype == np.float64, "double precision, whose rounding is less than what steps change")
    return float((runs["balance_change"] / runs["strength"] ** (2 / runs["depth"])).max())


CLAIMS = (
    Claim(
        "On whitened inputs, from small weights, the kernel has aligned with the labels before the loss falls.",
        ATANASOV["deep linear networks"],
        partial(alignment, which="smallest"),
        above(SILENT),
        about=small,
        published="alignment L/√(L² + D - 1): 1",
        figure="share",
        presets=("", "large_init"),
    ),
    Claim(
        "From large weights the loss falls before the kernel has aligned.",
        ATANASOV,
        partial(alignment, which="largest"),
        below(SILENT),
        about=large,
        figure="share",
        presets=("", "large_init"),
    ),
    Claim(
        "On whitened inputs, from small weights, outputs and kernel no longer turn when learning begins: they grow.",
        ATANASOV["deep linear networks"],
        both,
        above(SILENT),
        about=small,
        figure="turning",
        presets=("", "unwhitened"),
    ),
    Claim(
        "On inputs that are not whitened the kernel turns while the network learns: the alignment is not silent.",
        ATANASOV["unwhitened data"],
        kernel,
        below(SILENT),
        about=steepest,
        figure="turning",
        presets=("unwhitened",),
    ),
    Claim(
        "On inputs that are not whitened the outputs turn to the labels only while the network learns.",
        ATANASOV["unwhitened data"],
        outputs,
        below(SILENT),
        about=steepest,
        figure="turning",
        presets=("unwhitened",),
    ),
    Claim(
        "Of two layers, the time to half of the loss grows by ln 10 / s for each decade of smaller init scale.",
        SAXE["u(t) = s e^{2st} / (e^{2st} - 1 + s/u0), with u0 ∝ σ²"],
        partial(per_decade, which="half"),
        agrees(1, CLOSE),
        about=small,
        published="ln 10 / s: 1",
        figure="times",
    ),
    Claim(
        "Of two layers, the time to 90 % of the largest alignment does not depend on the init scale.",
        ATANASOV["the early phase"],
        partial(per_decade, which="alignment"),
        agrees(0, CLOSE),
        about=small,
        published="0",
        figure="times",
    ),
    Claim(
        "Of three layers and more, the time to learn grows as σ^(2 - L), with the same exponent at every init scale.",
        ATANASOV["gradient flow is homogeneous in small weights"],
        exponents,
        agrees(1, 0.1),
        about=small,
        published="k = 2 - L: 1",
        figure="times",
    ),
    Claim(
        "From balanced weights the time to learn is that of du/dt = L u^(2 - 2/L) (s - u).",
        ATANASOV["whose equation has no factor L"],
        of_exact,
        agrees(1, CLOSE),
        about=balanced,
        scale="exact",
        published="σ^(2 - L) / (s (L - 2)) to leading order for L of 3 and more: 1",
        figure="times",
        presets=("balanced",),
    ),
    Claim(
        "The modes of a teacher are learnt one after the other, each on Saxe's curve.",
        SAXE["u(t) = s e^{2st} / (e^{2st} - 1 + s/u0)"],
        of_saxe,
        agrees(1, CLOSE),
        about=several_modes,
        scale="log",
        figure="modes",
        presets=("modes",),
    ),
    Claim(
        "Learning conserves W_l W_l' - W_{l+1}' W_{l+1}.",
        DU["of gradient flow"],
        imbalance,
        below(0.01),
        about=learnt,
        scale="log",
        figure="balance",
        presets=("", "large_init", "unwhitened", "modes"),
    ),
    Claim(
        "A ReLU network from small weights ends as regression with its final kernel.",
        ATANASOV["two-layer ReLU networks on whitened 0/1 digits"],
        off_final,
        below(0.1),
        about=relu,
        scale="log",
        figure="regression",
        presets=("digits", "paper"),
    ),
    Claim(
        "It does not end as regression with its initial kernel: that is at least twice as far.",
        ATANASOV["two-layer ReLU networks on whitened 0/1 digits"],
        initial_to_final,
        above(2),
        about=relu,
        scale="log",
        figure="regression",
        presets=("digits", "paper"),
    ),
)
