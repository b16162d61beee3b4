"""Early stopping: validation loss falls, rises, and may fall again."""

from experiments.early_stopping.claims import CLAIMS
from experiments.early_stopping.figures import FIGURES
from experiments.early_stopping.presets import PRESETS
from experiments.early_stopping.science import EarlyStopping, init, measure, ridge_path, step, summarise
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="early_stopping",
    hparams=EarlyStopping,
    init=init,
    step=step,
    measure=measure,
    expensive=ridge_path,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(points=100, expensive_points=1),
)
