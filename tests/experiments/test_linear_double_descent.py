"""Linear double descent of one run: its solve against NumPy's, its ablations, its refusals."""

import dataclasses
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.linear_double_descent import experiment
from experiments.linear_double_descent.science import LinearDoubleDescent, init, make_data, measure
from phenom_jax.cli.flags import parse
from phenom_jax.device.layout import choose
from phenom_jax.device.program import batches_lapack
from phenom_jax.device.work import make_work
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size, exactly
from phenom_jax.sweep.axes import parse_sweep
from phenom_jax.sweep.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy import some_devices

BOTH_SIDES = [(12, 5), (9, 9), (5, 12)]


PADDED = 20  # most tests share few programs
solve = jax.jit(lambda hp: (make_data(hp), init(hp)), compiler_options=QUICK_TO_COMPILE)


class TrainingSet(NamedTuple):
    features_Nxd: np.ndarray
    labels_N: np.ndarray
    target_d: np.ndarray
    unseen: np.ndarray


def solved(samples, dimension, **values):
    """Returns the data, without padding, and the measures of a run in float64; sizes up to 20 are padded to it."""
    sizes = {"samples": samples, "dimension": dimension}
    padded = {name: Size(n, max(n, PADDED)) if isinstance(n, int) else n for name, n in sizes.items()}
    with jax.enable_x64(True):
        hp = LinearDoubleDescent(**padded, **values)
        data, state = jax.tree.map(np.asarray, solve(hp))
        n, d = hp.samples.active, hp.dimension.active
        assert not data.features_Nxd[n:].any() and not data.features_Nxd[:, d:].any() and not data.clean_N[n:].any()
        noise = 0 if hp.ablation == "residuals" else hp.noise
        labels = data.clean_N[:n] + noise * data.noise_N[:n]
        found = TrainingSet(data.features_Nxd[:n, :d], labels, data.target_d[:d], data.unseen)
        return found, jax.tree.map(np.asarray, measure(state, hp))


def least_squares(X, y, penalty):
    augmented = np.vstack([X, np.sqrt(penalty) * np.eye(X.shape[1])])
    return np.linalg.lstsq(augmented, np.append(y, np.zeros(X.shape[1])))[0]


@pytest.mark.parametrize("n, d", BOTH_SIDES)
@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_measures_are_those_of_lapack_s_solution(n, d, ridge):
    data, found = solved(samples=n, dimension=d, ridge=ridge, seed=3)
    w = least_squares(data.features_Nxd, data.labels_N, n * ridge)
    np.testing.assert_allclose(found.excess_risk, ((w - data.target_d) ** 2).sum(), rtol=1e-7)
    np.testing.assert_allclose(found.squared_norm, (w**2).sum(), rtol=1e-7)
    residual = data.labels_N - data.features_Nxd @ w
    np.testing.assert_allclose(found.train_error, (residual**2).mean(), rtol=1e-6, atol=1e-13)
    assert np.isnan(found.smallest_singular_value)


def test_sizes_share_the_numbers_of_their_seed():
    small, large = (solved(samples=n, dimension=d)[0] for n, d in ((6, 4), (9, 11)))
    np.testing.assert_array_equal(large.features_Nxd[:6, :4], small.features_Nxd)
    assert np.linalg.norm(small.target_d) == pytest.approx(1) == np.linalg.norm(large.target_d)
    assert (solved(samples=6, dimension=4, seed=1)[0].features_Nxd != small.features_Nxd).all()


def test_numbers_are_standard_normal():
    X = solved(samples=20, dimension=4000)[0].features_Nxd
    assert X.dtype == np.float64
    assert abs(X.mean()) < 4 / np.sqrt(X.size)
    assert abs((X**2).mean() - 1) < 4 * np.sqrt(2 / X.size)
    assert abs((X**4).mean() - 3) < 4 * np.sqrt(96 / X.size)


def test_float32_sees_the_same_training_set():
    wide, _ = solved(samples=7, dimension=5)
    narrow = jax.jit(make_data)(LinearDoubleDescent(samples=exactly(7), dimension=exactly(5)))
    assert narrow.features_Nxd.dtype == jnp.float32
    np.testing.assert_allclose(narrow.features_Nxd, wide.features_Nxd, rtol=1e-6)  # the last bits may differ
    np.testing.assert_allclose(narrow.clean_N + 0.5 * narrow.noise_N, wide.labels_N, rtol=1e-5, atol=1e-5)


def test_weak_features_leave_coordinates_unseen():
    options = {"model": "weak_features", "coordinates": PADDED, "samples": 30, "noise": 0.0}
    data, found = solved(dimension=4, **options)
    assert data.unseen == pytest.approx(1 - (data.target_d**2).sum())
    assert found.excess_risk > data.unseen > 0
    assert solved(dimension=PADDED, **options)[1].excess_risk < 1e-13


@pytest.mark.parametrize("n, d", BOTH_SIDES)
def test_the_singular_values_give_the_same_solution(n, d):
    plain, by_modes = (solved(samples=n, dimension=d, singular_values=on) for on in (False, True))
    for name in ("excess_risk", "train_error", "squared_norm"):
        np.testing.assert_allclose(getattr(by_modes[1], name), getattr(plain[1], name), rtol=1e-4, atol=1e-13)
    smallest = np.linalg.svd(by_modes[0].features_Nxd, compute_uv=False)[-1] / np.sqrt(n)
    assert by_modes[1].smallest_singular_value == pytest.approx(smallest, rel=1e-9)


def test_an_ablation_removes_one_cause():
    options = {"samples": 20, "dimension": 20, "cutoff": 0.4}
    data, cut = solved(**options, ablation="small_modes")
    left, values, right = np.linalg.svd(data.features_Nxd)
    large = values >= 0.4 * values[0]
    assert 0 < large.sum() < 20
    w = right[large].T @ ((left.T @ data.labels_N)[large] / values[large])
    assert cut.excess_risk == pytest.approx(((w - data.target_d) ** 2).sum(), rel=1e-8)
    data, along = solved(**options, ablation="test_directions")
    w = np.linalg.solve(data.features_Nxd, data.labels_N)
    assert along.excess_risk == pytest.approx(((right[large] @ (w - data.target_d)) ** 2).sum(), rel=1e-4)
    assert along.squared_norm == pytest.approx((w**2).sum(), rel=1e-6)
    assert solved(**options, ablation="residuals")[1].excess_risk < 1e-15


def test_lanes_whose_lapack_calls_would_be_batched_do_not_share_a_group():
    """Batches of LAPACK calls on several devices can wait for each other forever (jaxlib 0.10)."""
    axes = {"seed": "0:100", "samples": "5", "dimension": "3", "singular_values": "true"}
    runs = parse_sweep(LinearDoubleDescent, axes).runs()
    settings = Settings(schedule=experiment.schedule)
    work = make_work(experiment, runs, settings, some_devices(2))
    assert choose(work, work.plan.programs[0]).layout.lanes == 1
    work = make_work(experiment, runs, dataclasses.replace(settings, group=2), some_devices(2))
    with pytest.raises(InvalidValue, match="group: 2 lanes, allowed on CPU is 1, for a run calls LAPACK"):
        choose(work, work.plan.programs[0])
    plain = parse_sweep(LinearDoubleDescent, {"samples": "5", "dimension": "3"}).runs()
    shares = make_work(experiment, plain, settings, some_devices(2)).plan.programs[0]
    assert not batches_lapack(experiment, shares.template)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"dimension": 0}, "dimension: 0 is not at least 1"),
        ({"samples": 0}, "samples: 0 is not at least 1"),
        ({"ridge": -1e-3}, "ridge: -0.001 is not at least 0"),
        ({"noise": -0.5}, "noise: -0.5 is not at least 0"),
        ({"cutoff": 1.0}, "cutoff: 1.0 is not at least 0 and below 1"),
        ({"model": "weak_features", "dimension": 101}, "dimension: 101 is more than the 100 coordinates of model="),
        ({"ablation": "all"}, "ablation: 'all' is not one of none, small_modes, residuals, test_directions"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=message):
        build(LinearDoubleDescent, values)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--float_type=float32"], "ridge: 0 in float32 is not at least 0.001; keep --float_type=float64, or raise it"),
        (["--float_type=float32", "--ridge=0.1,1e-6"], "ridge: 1e-06 in float32 is not at least 0.001"),
        (["--float_type=float16"], "float_type: 'float16' is not one of float32, float64"),
        (["--coordinates=30"], "coordinates: has no effect with model=isotropic in any run"),
        (["--cutoff=0.1"], "cutoff: has no effect with ablation=none in any run"),
    ],
)
def test_flags_that_cannot_be_are_refused(flags, said):
    with pytest.raises(InvalidValue, match=said):
        parse(experiment, flags)


def test_float32_is_for_those_who_ask_with_enough_ridge():
    assert parse(experiment, []).settings.float_type == "float64"
    assert parse(experiment, ["--float_type=float32", "--ridge=1e-3,0.1"]).settings.float_type == "float32"
