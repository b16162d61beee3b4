"""Sparse parity: its science, claims, figures and presets in one Experiment."""

from experiments.sparse_parity import science
from experiments.sparse_parity.claims import CLAIMS
from experiments.sparse_parity.figures import FIGURES
from experiments.sparse_parity.presets import PRESETS
from phenom_jax.experiment import Experiment

experiment = Experiment(
    name="sparse_parity",
    hparams=science.SparseParity,
    init=science.init,
    step=science.step,
    measure=science.measure,
    done=science.done,
    keep=lambda state: state.model,
    landscape=science.LANDSCAPE,
    summarise=science.summarise,
    presets=PRESETS,
    figures=FIGURES,
    claims=CLAIMS,
    schedule=science.SCHEDULE,
)
