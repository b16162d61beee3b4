import jax.numpy as jnp
import numpy as np
from flax import nnx

from phenom_jax.measures.norms import squared_norms, tensor_names


class Pair(nnx.Module):
    def __init__(self):
        self.weight = nnx.Param(jnp.array([[1.0, 2.0], [0.0, 2.0]]))
        self.rest = nnx.List([nnx.Param(jnp.array([3.0, 4.0]))])


def test_each_tensor_has_its_sum_of_squares_and_its_name():
    norms = dict(zip(tensor_names(Pair()), squared_norms(Pair()).tolist()))
    assert norms == {"rest.0": 25.0, "weight": 9.0}


def test_plain_pytrees_have_names_too():
    weights = {"a": [np.ones(3)], "b": np.zeros(2)}
    assert tensor_names(weights) == ["a.0", "b"]
    np.testing.assert_array_equal(squared_norms(weights), [3, 0])
