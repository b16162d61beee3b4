"""Stages of learning: a deep linear network learns a teacher's singular values one after the other."""

from experiments.deep_linear.claims import CLAIMS
from experiments.deep_linear.figures import FIGURES
from experiments.deep_linear.presets import PRESETS
from experiments.deep_linear.science import DeepLinearStages, init, landscape, measure, step, summarise
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="deep_linear",
    hparams=DeepLinearStages,
    init=init,
    step=step,
    measure=measure,
    keep=lambda state: state.model,
    landscape=landscape,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=20, points=80, kept_points=12),
)
