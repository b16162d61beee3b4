"""The figures of deep linear networks in stages."""

import xarray as xr

from phenom_jax.report.marks import Curves, Figure, Line, Overlay, Points, Profile, Scale

AXES = ("deviation", "samples", "depth")
MODES = {"mode_1": Line("-", "first"), "mode_2": Line("--", "second"), "mode_3": Line("-.", "third singular value")}
TEACHER = {
    f"mode_{k}": lambda runs, t, k=k: t**0 * (runs[f"strength_{k}"] / runs["strength_1"]).values[0] for k in (1, 2, 3)
}
STEP, BEFORE = Scale("step", log=True), Scale("step of the one before", log=True)


def _by_mode(results: xr.Dataset, name: str) -> xr.Dataset:
    return results.assign({f"mode_{k}": results[name].sel(mode=k) for k in (1, 2, 3)})


def _neighbours(results: xr.Dataset) -> xr.Dataset:
    """Returns every run for its second and for its third singular value, with the step of the one before."""
    steps = results["learnt_step"]
    pairs = xr.Dataset({"learnt_step": steps, "before": steps.shift(mode=1)}).sel(mode=[2, 3])
    return pairs.stack(pair=("run", "mode"), create_index=False).rename(pair="run", mode="singular_value")


FIGURES = (
    Figure(
        "stages",
        "One singular value after the other",
        "Singular values of the product of the matrices ÷ the teacher's largest; thin and dark: the teacher's.",
        Curves(MODES, Scale("share", limits=(-0.05, 1.3)), panel=AXES, overlay=Overlay("the teacher's", TEACHER)),
        of=lambda results: _by_mode(results.assign(share=results["singular_values"] / results["strength_1"]), "share"),
    ),
    Figure(
        "order",
        "Which is learnt first",
        "Step at which half of a singular value is learnt, against that of the one before: above the line, in order.",
        Points("before", "learnt_step", BEFORE, STEP, colour="singular_value", panel=AXES, diagonal=True),
        of=_neighbours,
    ),
    Figure(
        "loss",
        "A plateau before each stage",
        "Half the squared error on the train examples, and expected on noiseless outputs.",
        Curves({"train_loss": "--", "excess_risk": "-"}, Scale("loss", log=True, limits=(1e-6, None)), panel=AXES),
    ),
    Figure(
        "learnt",
        "When each is learnt",
        "Step at which half of a singular value is learnt.",
        Profile(AXES, MODES, STEP, log_x=True),
        of=lambda results: _by_mode(results, "learnt_step"),
    ),
)
