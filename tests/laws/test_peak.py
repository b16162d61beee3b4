"""The peak inside a curve."""

import numpy as np
import pytest

from phenom_jax.laws.peak import Peak, inner_peak


@pytest.mark.parametrize(
    "values, index, prominence",
    [
        ([5, 1, 4, 2], 2, 2),  # above the higher valley
        ([5, 1, 4, 0], 2, 3),
        ([9, 1, 2, 1.5, 6, 3, 5, 4], 4, 3),
        ([1, 2, 3], -1, 0),
        ([3, 2, 1], -1, 0),
        ([3, 1, 2], -1, 0),
        ([1, 1, 1], -1, 0),
        ([2, 1], -1, 0),
        ([np.nan, 0, np.nan, 2, np.inf, 1], 3, 1),
        ([np.nan] * 4, -1, 0),
    ],
)
def test_the_most_prominent_value_inside(values, index, prominence):
    assert inner_peak(np.array(values, float)) == Peak(index, prominence)
