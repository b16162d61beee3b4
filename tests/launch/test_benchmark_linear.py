"""The linear benchmark on a grid of a few cells, and NumPy's variants against each other."""

import itertools

import numpy as np
import pytest

from launch.benchmark import numpy_ridge
from launch.benchmark.comparison import Effort
from launch.benchmark.linear import VARIANTS, linear_grid
from phenom_jax.device.devices import all_devices
from phenom_jax.device.program import AXIS

pytestmark = pytest.mark.slow


def test_numpy_s_variants_solve_the_same(monkeypatch):
    cells = list(itertools.product((0.5,), (0.0, 0.1), (5, 12)))
    solved = {name: [] for name in VARIANTS}
    for name, found in solved.items():
        monkeypatch.setattr(numpy_ridge, "measure", lambda X, beta, y, w, found=found: found.append((X, y, w)))
        numpy_ridge.VARIANTS[name](8, cells, 3)
    for (_, _, one), (_, _, other) in zip(solved["least_squares"], solved["gram"], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-8)
    by_dimension = sorted(cells, key=lambda cell: cell[2])
    for (X, y, w), (_, ridge, _) in zip(solved["shared"], by_dimension, strict=True):
        np.testing.assert_allclose(X.T @ (X @ w - y) + 8 * ridge * w, 0, atol=1e-8)


def test_linear_grid_runs():
    flags = {"seed": "0:2", "noise": "0.5,1", "ridge": "0,0.1", "dimension": "3,9", "samples": "5"}
    found = list(linear_grid(all_devices(AXIS), Effort(0.0, 1), flags, samples=5))
    assert [item.name for item in found] == [name for name, *_ in VARIANTS.values()] + ["linear_grid_whole"]
    assert all(item.ours > 0 and item.peer and item.peer > 0 for item in found)
