"""Phenomena of deep learning, each a sweep of thousands of runs in one JAX program."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phenom_jax.api import measure_kept, open_run, train

__all__ = ["measure_kept", "open_run", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Returns a Python door, loaded when it is first used: JAX takes a second."""
    if name in __all__:
        return getattr(importlib.import_module("phenom_jax.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
