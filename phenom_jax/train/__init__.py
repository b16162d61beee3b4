"""The loop of one program and what is around it. Called, it is `phenom_jax.api.train`.

A package has its rooms as attributes, so `from phenom_jax import train` finds this room and never that function.
"""

import sys
from types import ModuleType
from typing import Any


class _Door(ModuleType):
    def __call__(self, *positional: Any, **named: Any) -> Any:
        from phenom_jax.api import train

        return train(*positional, **named)


sys.modules[__name__].__class__ = _Door
