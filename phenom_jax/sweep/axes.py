"""Sweep axes: named values, product by default, zipped where asked; and the runs they make."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from phenom_jax.hparams import Value


@dataclasses.dataclass(frozen=True)
class Run:
    """One point of a sweep: the value of every hyperparameter, by name, in the order of their definition."""

    values: Mapping[str, Value]

    @property
    def id(self) -> str:
        """A hash of the hyperparameters: the same run in any sweep."""
        return hashlib.sha256(json.dumps(dict(self.values), sort_keys=True).encode()).hexdigest()[:16]
