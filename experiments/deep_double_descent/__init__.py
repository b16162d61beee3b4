"""Double descent of real networks, assembled from its science, claims, figures and presets."""

from experiments.deep_double_descent.claims import CLAIMS
from experiments.deep_double_descent.figures import FIGURES
from experiments.deep_double_descent.presets import PRESETS
from experiments.deep_double_descent.science import DeepDoubleDescent, init, measure, step, summarise
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="deep_double_descent",
    hparams=DeepDoubleDescent,
    init=init,
    step=step,
    measure=measure,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=20, points=40, expensive_points=0, kept_points=0),
)
