"""Polynomial regression: bias against variance, and what comes after interpolation."""

from experiments.polynomial.claims import CLAIMS
from experiments.polynomial.figures import FIGURES
from experiments.polynomial.presets import PRESETS
from experiments.polynomial.science import Polynomial, check_precision, init, measure, summarise
from phenom_jax.experiment import Experiment

experiment = Experiment(
    name="polynomial",
    hparams=Polynomial,
    init=init,
    step=None,
    measure=measure,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    float_type="float64",
    check_precision=check_precision,
)
