"""Random features: double descent in the number of features, held against its limit."""

from experiments.random_features.claims import CLAIMS
from experiments.random_features.figures import FIGURES
from experiments.random_features.presets import PRESETS
from experiments.random_features.science import RandomFeatures, check_precision, init, measure, summarise
from phenom_jax.experiment import Experiment

experiment = Experiment(
    name="random_features",
    hparams=RandomFeatures,
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
