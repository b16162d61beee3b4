"""Random features of one run: exact risks against samples, its independence of padding, its refusals, its claims."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from scipy.special import hyp0f1

from experiments.random_features import (
    PRESETS,
    SMALLEST_RIDGE,
    RandomFeatures,
    _bessel_0f1,
    experiment,
    features,
    init,
    measure,
    target,
)
from experiments.random_features.claims import CLAIMS
from experiments.random_features.figures import FIGURES
from experiments.random_features.limit import limit
from phenom_jax.engine.flags import parse
from phenom_jax.experiment import quantities
from phenom_jax.hparams import InvalidValue, build, fields
from phenom_jax.results.claims import decide_all
from phenom_jax.sizes import Size
from phenom_jax.sweep.axes import parse_sweep

SETTINGS = [
    {"activation": "relu", "ridge": 0.01},
    {"activation": "fourier", "ridge": 0.0, "frequency": 1.3},
    {"inputs": "line", "ridge": 1e-8, "frequency": 2.0},
]
SIZES = {"features": 30, "samples": 20, "dimension": 6}


def sizes(more=0):
    return {name: Size(count, count + more) for name, count in SIZES.items()}


@functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
def fitted(hp):
    state = init(hp)
    return state, measure(state, hp)


def run(hp):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, fitted(hp))


@pytest.mark.parametrize("setting", SETTINGS)
def test_padding_does_not_change_a_run(setting):
    alone, inside = (run(RandomFeatures(**setting, **sizes(more))) for more in (0, 5))
    for name, value in alone[1]._asdict().items():
        # on the line rounding is magnified by the condition number
        tolerance = 1e-3 if "inputs" in setting else 1e-8
        np.testing.assert_allclose(getattr(inside[1], name), value, rtol=tolerance, atol=1e-15, err_msg=name)
    assert not inside[0].weights_F[30:].any()
    assert alone[0].weights_F.dtype == np.float64


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_risk_is_that_of_a_large_sample(setting):
    hp = RandomFeatures(**setting, **sizes(), noise=0.2)
    state, measured = run(hp)
    rng, count = np.random.default_rng(0), 200_000
    with jax.enable_x64(True):
        if hp.inputs == "sphere":
            x = rng.normal(size=(count, 6))
            x *= np.sqrt(6) / np.linalg.norm(x, axis=1, keepdims=True)
        else:
            x = rng.normal(size=(count, 1))
        phi = features(jnp.asarray(x), state.directions_DxF, state.shifts_F, hp)
        errors = np.asarray(jnp.square(phi @ jnp.asarray(state.weights_F) - target(jnp.asarray(x), state.target_D, hp)))
    assert abs(errors.mean() - measured.excess_risk) < 5 * errors.std() / np.sqrt(count)
    np.testing.assert_allclose(measured.test_error, measured.excess_risk + 0.04)


def test_weights_minimise_the_penalised_error():
    hp = RandomFeatures(ridge=0.05, **sizes())
    state, _ = run(hp)
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        x = rng.normal(size=(4, 6))
        phi = np.asarray(features(jnp.asarray(x), state.directions_DxF, state.shifts_F, hp))
    np.testing.assert_allclose(phi, np.maximum(x @ np.asarray(state.directions_DxF) / np.sqrt(6), 0), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(state.directions_DxF, axis=0), np.sqrt(6))
    np.testing.assert_allclose(np.linalg.norm(state.target_D), 1)
    # at its minimum the train error and the norm trade off at the rate of the penalty
    tighter, _ = run(RandomFeatures(ridge=0.06, **sizes()))
    gained = np.sum(np.square(state.weights_F)) - np.sum(np.square(tighter.weights_F))
    lost = tighter.train_error - state.train_error
    assert 0.05 * 30 / 6 <= lost / gained <= 0.06 * 30 / 6


def test_interpolation_begins_at_as_many_features_as_samples():
    errors = [run(RandomFeatures(**sizes() | {"features": Size(count, 40)}))[1].train_error for count in (19, 20, 40)]
    assert errors[0] > 1e-4 and max(errors[1:]) < 1e-12


@pytest.mark.parametrize("b, z", [(10.0, -19.0), (25.0, -150.0), (1.5, 0.0)])
def test_the_characteristic_function_of_the_sphere(b, z):
    with jax.enable_x64(True):
        np.testing.assert_allclose(_bessel_0f1(jnp.asarray(b), jnp.asarray(z)), hyp0f1(b, z), atol=1e-12)


def test_what_is_recorded_has_a_name():
    hp = RandomFeatures(**sizes())
    measured = jax.eval_shape(lambda hp: measure(init(hp), hp), hp)
    assert all(quantity.long_name != name for name, quantity in quantities(type(measured)).items())


@pytest.mark.parametrize(
    "values, message",
    [
        ({"features": 0}, "features: 0 is not at least 1"),
        ({"samples": 0}, "samples: 0 is not at least 1"),
        ({"dimension": 0}, "dimension: 0 is not at least 2"),
        ({"ridge": -1.0}, "ridge: -1.0 is not at least 0"),
        ({"noise": -0.1}, "noise: -0.1 is not at least 0"),
        ({"activation": "tanh"}, "activation: 'tanh' is not one of relu, fourier"),
        ({"activation": "fourier", "frequency": 3.0}, "frequency: 3.0 is not at most 2, which inputs=sphere needs"),
    ],
)
def test_bad_values_are_refused_in_one_line(values, message):
    with pytest.raises(InvalidValue, match=re.escape(message)):
        build(RandomFeatures, values)


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--float_type=float32"], "ridge: 0.0 is too small for float_type=float32, allowed is at least 0.001"),
        (["--float_type=float32", "--preset=course"], "float_type: float32 cannot solve inputs=line"),
        (["--frequency=2", "--activation=relu"], "frequency: has no effect with activation=relu"),
        (["--inputs=line", "--activation=relu", "--dimension=30"], "has no effect with inputs=line"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        parse(experiment, flags)


def test_float32_is_taken_where_a_ridge_makes_it_do():
    assert parse(experiment, ["--float_type=float32", f"--ridge={SMALLEST_RIDGE}"]).settings.float_type == "float32"


def test_presets_parse():
    runs = {}
    for name, preset in PRESETS.items():
        axes = dict(preset.flags)
        zips = [axes.pop("zip")] if "zip" in axes else []
        runs[name] = len(parse_sweep(RandomFeatures, axes, zips))
    assert runs == {"": 1440, "finite_size": 960, "course": 540}


def sweep(risk, seeds=12, **axes):
    """Returns finished results whose excess risk is `risk(coordinates, random numbers)`."""
    defaults = {name: field.default for name, field in fields(RandomFeatures).items()}
    axes = {"seed": range(seeds)} | axes
    grids = np.meshgrid(*[np.arange(len(values)) for values in axes.values()], indexing="ij")
    count = grids[0].size
    columns = {
        name: np.asarray(list(axes[name]))[grids[list(axes).index(name)].ravel()]
        if name in axes
        else np.full(count, default)
        for name, default in defaults.items()
    }
    coords = {name: ("run", values, {"hyperparameter": 1}) for name, values in columns.items()}
    results = xr.Dataset(
        coords=coords | {"status": ("run", np.full(count, "finished"))}, attrs={"order": list(defaults)}
    )
    values = risk(results, np.random.default_rng(0).normal(size=count))
    return results.assign(excess_risk=("run", values), test_error=("run", values + results["noise"].values ** 2))


COUNTS = (30, 90, 120, 150, 180, 300, 600)


def by_limit(results, normal, at_threshold=1e3, factor=1.0):
    exact = np.array([limit(results.isel(run=slice(row, row + 1)))[0] for row in range(results.sizes["run"])])
    return np.minimum(exact, at_threshold) * factor * np.exp(0.1 * normal)


def test_claims_that_are_true_hold():
    results = sweep(by_limit, features=COUNTS, ridge=(0.0, 0.01, 0.1), activation=("relu", "fourier"))
    found = decide_all(CLAIMS, results)
    assert {name: decision.verdict for name, decision in found.items()} == {
        "peak_at_threshold": "holds",
        "ridge_flattens": "holds",
        "agrees_with_limit": "holds",
        "approaches_limit": "undecided",
        "second_descent": "holds",
        "one_dimension": "undecided",
    }
    assert found["agrees_with_limit"].numbers["cells"] == 2 * 3 * 5


def test_claims_that_are_false_fail():
    axes = {"features": COUNTS, "ridge": (0.0, 0.1)}
    found = decide_all(CLAIMS, sweep(lambda r, n: by_limit(r, n, factor=1.3), **axes))
    assert found["agrees_with_limit"].verdict == "fails"
    rising = sweep(lambda r, n: r["features"].values * (1 + r["ridge"].values) * np.exp(0.01 * n), **axes)
    found = decide_all(CLAIMS, rising)
    assert {found[name].verdict for name in ("peak_at_threshold", "ridge_flattens", "second_descent")} == {"fails"}


@pytest.mark.parametrize("extra, verdict", [(0.0, "holds"), (0.3, "fails")])
def test_finite_sizes_are_extrapolated(extra, verdict):
    def risk(results, normal):
        return by_limit(results, normal, factor=1 + extra + 8 / results["dimension"].values)

    parts = [
        sweep(risk, seeds=40, dimension=(d,), samples=(3 * d,), features=(6 * d,), ridge=(0.0, 0.01))
        for d in (20, 40, 80)
    ]
    found = decide_all(CLAIMS, xr.concat(parts, "run", data_vars="minimal", coords="minimal", compat="override"))
    assert found["approaches_limit"].verdict == verdict
    assert found["approaches_limit"].numbers["families"] == 2


@pytest.mark.parametrize("power, verdict", [(1.0, "fails"), (-1.0, "holds")])
def test_the_line_is_decided_by_the_most_features(power, verdict):
    results = sweep(
        lambda r, n: r["features"].values ** power * np.exp(0.1 * n),
        inputs=("line",),
        features=(10, 100, 2000),
        samples=(100,),
    )
    assert decide_all(CLAIMS, results)["one_dimension"].verdict == verdict


def test_figures_are_drawn_where_there_is_something_to_draw():
    on_sphere = sweep(by_limit, features=COUNTS, ridge=(0.0, 0.1), seeds=3)
    line = sweep(lambda r, n: np.exp(n), inputs=("line",), features=(10, 100, 2000), samples=(100,), seeds=3)
    sizes_ = [
        sweep(by_limit, seeds=3, dimension=(d,), samples=(3 * d,), features=(6 * d,), ridge=(0.0, 0.01))
        for d in (20, 40, 80)
    ]
    finite = xr.concat(sizes_, "run", data_vars="minimal", coords="minimal", compat="override")
    drawn = [
        {figure.name for figure in FIGURES if figure.draw(results) is not None} for results in (on_sphere, line, finite)
    ]
    assert drawn == [{"risk"}, {"line", "as_printed"}, {"finite_sizes"}]


def test_without_any_run_over_all_is_undecided():
    results = sweep(by_limit, features=COUNTS)
    found = decide_all(CLAIMS, results.assign_coords(status=("run", np.full(results.sizes["run"], "waiting"))))
    assert {decision.verdict for decision in found.values()} == {"undecided"}
    assert not any("could not be computed" in decision.statistic for decision in found.values())
