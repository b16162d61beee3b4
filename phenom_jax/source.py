"""Starts from a source: a sweep whose kept states the runs of another sweep begin with.

The hyperparameters of such an experiment inherit from `FromSource`, and its functions read `hp.start`:

    @hparams
    class FineTune(FromSource):
        steps: int = swept(100, "steps after those of the source", at_least=0)

    def init(hp: FineTune) -> State:
        return State(hp.start.kept, examples(hp.start.hp))

Nothing of a start is compiled in: it is traced, as hyperparameters are. `phenom_jax.store.source` reads it from disk.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from phenom_jax.experiment import Landscape
from phenom_jax.hparams import hparams, started, static, swept

FACTS = ("source_", "trained_with_")  # how what is known of a kept state is named in results


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Start:
    """One kept state of a source. Statics, padded sizes and shapes are those of its program there.

    Attributes:
      hp: the hyperparameters of the run that kept it.
      kept: what `keep` of the source's experiment returned.
      shapes: int32[leaves, axes], the shape of every leaf of `kept` without padding, then ones.
      step: of that run's training, int32[].
      landscape: of the source's experiment, None where it has none.
    """

    hp: Any
    kept: Any
    shapes: Any
    step: int | jax.Array
    landscape: Landscape | None = dataclasses.field(metadata={"static": True})


@hparams
class FromSource:
    """The hyperparameters of a run that begins with a kept state; a class of more of them inherits these."""

    seed: int = swept(0, "what is drawn after the start")
    source: int = swept(0, "which run of the source, in the order of its sweep", at_least=0)
    checkpoint: int = swept(0, "which kept state of that run, in the order of steps; -1 is the last")
    anchor: int = swept(0, "checksum of that kept state; found in the source")
    source_seed: int = swept(0, "seed with which that run was trained; found in the source")
    network: str = static("", "which program of the source; found there")
    start: Any = started()
