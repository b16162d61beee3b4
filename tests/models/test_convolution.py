"""Convolutions against XLA's own, BatchNorm against NumPy, pooling against slices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from there import there

from phenom_jax.models.convolution import BatchNorm, Conv, Normaliser, max_pool, moments_of, times
from phenom_jax.sizes import Size, exactly


@pytest.mark.parametrize("kernel, stride", [((3, 3), 1), ((3, 3), 2), ((1, 1), 2), ((1, 3), 1)])
def test_a_convolution_equals_that_of_xla(kernel, stride):
    x = jax.random.normal(jax.random.key(1), (2, 6, 5, 3))
    conv = Conv(jax.random.key(0), exactly(3), exactly(4), kernel=kernel, stride=stride, bias=True)
    filters = conv.weight[...].reshape(*kernel, 3, 4)
    padding = [(length // 2, length // 2) for length in kernel]
    expected = jax.lax.conv_general_dilated(
        x, filters, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(conv(x), expected + there(conv.bias)[...][None, None, None], atol=1e-5)


def test_initial_weights_depend_on_no_padded_bound():
    alone = Conv(jax.random.key(0), exactly(3), exactly(4), bias=True)
    inside = Conv(jax.random.key(0), Size(3, 5), Size(4, 7), bias=True)
    weight = inside.weight[...].reshape(9, 5, 7)
    assert (weight[:, :3, :4] == alone.weight[...].reshape(9, 3, 4)).all()
    assert not weight[:, 3:].any() and not weight[:, :, 4:].any()
    bias = there(inside.bias)[...]
    assert (bias[:4] == there(alone.bias)[...]).all() and not bias[4:].any()
    assert abs(alone.weight[...]).max() <= 1 / np.sqrt(27)


def test_batchnorm_standardises_the_examples_that_count():
    x = 3 + 2 * jax.random.normal(jax.random.key(0), (8, 4, 4, 3))
    among = jnp.arange(8) < 5
    moments = moments_of(x, among)
    np.testing.assert_allclose(moments.mean_C, np.asarray(x)[:5].mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(moments.variance_C, np.asarray(x)[:5].var((0, 1, 2)), rtol=1e-5)
    out = np.asarray(BatchNorm(exactly(3))(x, moments))[:5]
    np.testing.assert_allclose(out.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std((0, 1, 2)), 1, atol=1e-4)


def test_padded_channels_are_zero_after_batchnorm():
    norm = BatchNorm(Size(2, 4))
    x = jax.random.normal(jax.random.key(0), (3, 2, 2, 4))
    assert not norm(x, moments_of(x))[..., 2:].any()


def test_moments_are_used_in_the_order_they_are_asked():
    norms = [BatchNorm(exactly(2)), BatchNorm(exactly(2))]
    x, other = jax.random.normal(jax.random.key(0), (2, 4, 3, 3, 2))
    first = Normaliser()
    expected = [first(norm, x + index) for index, norm in enumerate(norms)]
    again = Normaliser(first.used)
    for index, norm in enumerate(norms):
        np.testing.assert_allclose(again(norm, x + index), expected[index], atol=1e-6)
    assert abs(Normaliser(first.used)(norms[0], other) - Normaliser()(norms[0], other)).max() > 0.01


def test_pooling_takes_pairs_along_axes_longer_than_one():
    x = jnp.arange(2 * 5 * 4, dtype=jnp.float32).reshape(1, 5, 8, 1)
    assert max_pool(x)[0, :, :, 0].tolist() == [[9, 11, 13, 15], [25, 27, 29, 31]]
    assert max_pool(x[:, :1])[0, :, :, 0].tolist() == [[1, 3, 5, 7]]


def test_a_size_is_multiplied():
    assert times(Size(3, 5), 4) == Size(12, 20)
