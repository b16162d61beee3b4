"""Llc: the local learning coefficient along a training, by sampling around what it has kept."""

from experiments.llc.claims import CLAIMS
from experiments.llc.figures import FIGURES
from experiments.llc.presets import PRESETS
from experiments.llc.science import LLC, ending, init, measure, step, summarise
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="llc",
    hparams=LLC,
    init=init,
    step=step,
    measure=measure,
    expensive=ending,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=20, points=30, expensive_points=0, kept_points=0),
)
