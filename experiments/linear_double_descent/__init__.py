"""Double descent in linear regression: the risk has a pole where there are as many features as samples."""

from experiments.linear_double_descent.claims import CLAIMS
from experiments.linear_double_descent.figures import FIGURES
from experiments.linear_double_descent.presets import PRESETS
from experiments.linear_double_descent.science import LinearDoubleDescent, check_precision, init, measure, summarise
from phenom_jax.experiment import Experiment

experiment = Experiment(
    name="linear_double_descent",
    hparams=LinearDoubleDescent,
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
