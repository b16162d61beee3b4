"""Llc: the experiment around the kept weights of a source, put together."""

from experiments.llc.claims import CLAIMS
from experiments.llc.figures import FIGURES
from experiments.llc.presets import PRESETS
from experiments.llc.science import LLC, Sampling, summarise
from experiments.llc.source import Source
from phenom_jax.experiment import Experiment, Schedule


def around(source: Source) -> Experiment:
    """Returns the experiment whose runs are chains around the kept weights of this source."""
    sampling = Sampling(source)
    return Experiment(
        name="llc",
        hparams=LLC,
        init=sampling.init,
        step=sampling.step,
        measure=sampling.measure,
        expensive=sampling.ending,
        summarise=summarise,
        presets=PRESETS,
        figures=FIGURES,
        claims=CLAIMS,
        schedule=Schedule(resolution=20, points=30, expensive_points=0, kept_points=0),
    )


experiment = around(Source({}, {}))
