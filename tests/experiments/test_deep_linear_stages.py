"""Deep linear networks in stages: exact losses, refusals."""

import functools
import re

import jax
import numpy as np
import pytest
from there import there

from experiments.deep_linear import experiment
from experiments.deep_linear.science import DeepLinearStages, count, init, losses, measure, step, teacher
from phenom_jax.cli.flags import parse
from phenom_jax.hparams import InvalidValue, build
from phenom_jax.padding import QUICK_TO_COMPILE
from phenom_jax.sizes import Size

STRENGTHS = np.array([3.0, 1.5, 0.7])
quick = functools.partial(jax.jit, compiler_options=QUICK_TO_COMPILE)


@quick
def measured_after(hp, steps):
    """Returns the measures of a run after so many steps."""
    return measure(jax.lax.fori_loop(0, steps, lambda _, state: step(state, hp, jax.random.key(0))[0], init(hp)), hp)


def test_the_mean_loss_of_the_population_s_examples_is_the_expected_loss():
    hp = DeepLinearStages(deviation=0.7, inputs=Size(4, 6))
    found = measured_after(hp, 0)
    assert found.train_loss == pytest.approx(float(found.excess_risk), rel=1e-5)
    expected = np.square(np.asarray(found.product) - np.asarray(teacher(hp))).sum() / 2
    assert found.excess_risk == pytest.approx(expected, rel=1e-5)


def test_the_landscape_is_the_train_loss_at_what_is_kept():
    hp = DeepLinearStages(data="gaussian", samples=Size(5, 8), noise=0.3, deviation=0.5)
    landscape, keep = there(experiment.landscape), there(experiment.keep)

    @quick
    def found():
        state, examples = init(hp), landscape.examples(hp)
        each = losses(landscape.outputs(keep(state), examples, hp), examples, hp)
        return each[: count(hp).active].mean(), measure(state, hp).train_loss

    mean, measured = found()
    assert mean == pytest.approx(float(measured), rel=1e-5) and mean > 0.1


@pytest.mark.usefixtures("float64")
def test_the_largest_singular_value_is_learnt_first():
    hp = DeepLinearStages(seed=1)  # half of each is learnt at steps 140, 620, 2430
    early, late = (np.diagonal(measured_after(hp, steps).product) for steps in (450, 6000))
    np.testing.assert_allclose(early, [3, 0, 0], atol=0.1)
    np.testing.assert_allclose(late, STRENGTHS, atol=1e-3)


@pytest.mark.parametrize(
    "values, said",
    [
        ({"strength_2": 4.0}, "strength_2: 4 is not at most 3, strength_1"),
        ({"inputs": 2}, "inputs: 2 is not at least 3, the number of the teacher's singular values"),
        ({"outputs": 1}, "outputs: 1 is not at least 3"),
    ],
)
def test_teachers_that_do_not_exist_are_refused(values, said):
    with pytest.raises(InvalidValue, match=re.escape(said)):
        build(DeepLinearStages, values)


def test_samples_have_no_effect_on_the_population():
    with pytest.raises(InvalidValue, match="samples: has no effect with data=population"):
        parse(experiment, ["--samples=50"])
