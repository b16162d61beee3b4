"""What is equal to the bit, and what only to summation order."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
import toy
from toy import assert_same_results, results_of, train_in

from phenom_jax.store.kept import Kept, read_kept
from phenom_jax.sweep.settings import Settings

pytestmark = pytest.mark.slow

SWEEP: dict[str, Any] = {"seed": "0:6", "width": "4,8", "steps": "400"}


def train(path, group: int, lanes: int, devices: int) -> None:
    settings = Settings(schedule=toy.toy.schedule, group=group, lanes=lanes)
    train_in(path, toy.toy, None, settings, devices, **SWEEP)


def kept(path) -> Kept:
    return read_kept(next((path / "kept.zarr").iterdir()))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference")
    train(path, group=2, lanes=8, devices=2)
    return path


@pytest.mark.parametrize(("lanes", "devices"), [(8, 2), (4, 2), (16, 2), (8, 4), (2, 1)])
def test_with_equal_groups_everything_is_equal_to_the_bit(reference, tmp_path, lanes, devices):
    train(tmp_path, group=2, lanes=lanes, devices=devices)
    assert_same_results(results_of(reference), results_of(tmp_path))
    one, other = kept(reference), kept(tmp_path)
    for name, leaf in one.leaves.items():
        np.testing.assert_array_equal(leaf, other.leaves[name])


@pytest.fixture(scope="module")
def reference_in_float64(tmp_path_factory):
    path = tmp_path_factory.mktemp("float64")
    with jax.enable_x64(True):
        train(path, group=2, lanes=8, devices=2)
    return path


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("group", [1, 4, 12])
def test_other_groups_start_equal_to_the_bit_and_train_equal_to_rounding(reference_in_float64, tmp_path, group):
    train(tmp_path, group=group, lanes=2 * group, devices=2)
    one, other = kept(reference_in_float64), kept(tmp_path)
    for name, leaf in one.leaves.items():
        np.testing.assert_array_equal(leaf[:, 0], other.leaves[name][:, 0])
        np.testing.assert_allclose(leaf, other.leaves[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(results_of(reference_in_float64).error, results_of(tmp_path).error, rtol=1e-9)
