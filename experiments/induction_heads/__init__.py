"""Induction heads, assembled from their science, claims, figures and presets."""

from experiments.induction_heads.claims import CLAIMS
from experiments.induction_heads.figures import FIGURES
from experiments.induction_heads.presets import PRESETS
from experiments.induction_heads.science import InductionHeads, init, measure, step, summarise
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="induction_heads",
    hparams=InductionHeads,
    init=init,
    step=step,
    measure=measure,
    keep=lambda state: state.model,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=10, points=120),
)
