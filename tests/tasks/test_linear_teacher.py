"""The teacher has the singular values asked for, padded or not."""

import numpy as np
import pytest

from phenom_jax.sizes import Size, exactly
from phenom_jax.tasks.linear_teacher import power_variances, teacher


def test_singular_values_are_a_geometric_series():
    values = np.linalg.svd(teacher(3.0, 0.5, exactly(3), exactly(7)), compute_uv=False)
    np.testing.assert_allclose(values, [3, 1.5, 0.75], rtol=1e-5)


def test_padding_adds_zeros():
    alone_KxD, padded_KxD = teacher(1.0, 0.5, exactly(3), exactly(7)), teacher(1.0, 0.5, Size(3, 4), Size(7, 9))
    np.testing.assert_allclose(padded_KxD[:3, :7], alone_KxD, rtol=1e-6, atol=1e-6)
    assert not padded_KxD[3:].any() and not padded_KxD[:, 7:].any()


@pytest.mark.parametrize("inputs", [exactly(7), Size(7, 9)])
def test_variances_fall_as_a_power_and_are_one_on_average(inputs):
    variances = np.asarray(power_variances(1.5, inputs))
    np.testing.assert_allclose(variances[:7] / variances[0], np.arange(1, 8) ** -1.5, rtol=1e-5)
    assert variances.sum() == pytest.approx(7, rel=1e-5) and not variances[7:].any()
