"""Silent alignment: from small weights the tangent kernel turns before the loss moves."""

from experiments.silent_alignment.claims import CLAIMS
from experiments.silent_alignment.figures import FIGURES
from experiments.silent_alignment.presets import PRESETS
from experiments.silent_alignment.science import (
    SilentAlignment,
    check_precision,
    done,
    init,
    kernel_measures,
    measure,
    step,
    summarise,
)
from phenom_jax.experiment import Experiment, Schedule

experiment = Experiment(
    name="silent_alignment",
    hparams=SilentAlignment,
    init=init,
    step=step,
    measure=measure,
    expensive=kernel_measures,
    done=done,
    summarise=summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=Schedule(points=300, expensive_points=2, kept_points=0),
    float_type="float64",
    check_precision=check_precision,
)
