"""What tests take for granted and types do not tell: that something is there, that a line has points."""

from typing import TypeVar

import numpy as np
from matplotlib.lines import Line2D

T = TypeVar("T")


def there(found: T | None) -> T:
    """Returns `found`, which is not None."""
    assert found is not None
    return found


def xy(line: Line2D) -> np.ndarray:
    """Returns float[P, 2], the points of a line of a figure."""
    return np.asarray(line.get_xydata())
