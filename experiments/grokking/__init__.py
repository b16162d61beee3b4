"""Grokking: the experiment, put together."""

from experiments.grokking.claims import CLAIMS
from experiments.grokking.figures import FIGURES
from experiments.grokking.presets import PRESETS
from experiments.grokking.science import LANDSCAPE, Grokking, done, expensive, init, measure, step, summarise
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="grokking",
    hparams=Grokking,
    init=init,
    step=step,
    measure=measure,
    expensive=expensive,
    done=done,
    keep=lambda state: state.model,
    landscape=LANDSCAPE,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(resolution=5, points=80, expensive_points=25),
)
