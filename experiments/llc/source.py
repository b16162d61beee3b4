"""What chains start from: the kept weights of a trained sweep, with the hyperparameters that made them."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.experiment import Landscape, Quantity
from phenom_jax.hparams import InvalidValue, stack_hps
from phenom_jax.sizes import Size, exactly, masked_mean

Loss = Literal["train", "behaviour"]


class Data(NamedTuple):
    """Train examples, and what the kept weights put out for them."""

    examples: Any
    anchor_outputs: jax.Array


@dataclasses.dataclass(frozen=True)
class Network:
    """The kept weights of R runs that share their statics, padded to shared bounds.

    Attributes:
      landscape: of their experiment.
      hps: of the runs, with equal padded bounds.
      places: int[R], of the runs in their sweep.
      weights: what `keep` returns with leaves [R, K, ...], zero where padded or where a run kept fewer than K.
      shapes: for every leaf int[R, axes], the unpadded shape.
      facts: by name [R, K], what is known of every kept state: `source_step`, measures of the training then as
        `source_...`, hyperparameters that vary between the runs as `trained_with_...`.
    """

    landscape: Landscape
    hps: Sequence[Any]
    places: np.ndarray
    weights: Any
    shapes: Sequence[np.ndarray]
    facts: Mapping[str, np.ndarray]

    def row(self, source: int | jax.Array) -> jax.Array:
        """Returns the row of a run, given its place in the sweep."""
        return jnp.argmax(jnp.asarray(self.places) == source)

    def anchor(self, row: jax.Array, checkpoint: jax.Array) -> Any:
        """Returns one kept state, floats in JAX's float."""

        def chosen(leaf: np.ndarray) -> jax.Array:
            value = jnp.asarray(leaf)[row, checkpoint]
            return value.astype(jnp.result_type(float)) if jnp.issubdtype(value.dtype, jnp.floating) else value

        return jax.tree.map(chosen, self.weights)

    def active(self, row: jax.Array) -> Any:
        """Returns bool arrays like the weights, True where they are no padding; None where there is none."""
        leaves, structure = jax.tree.flatten(self.weights)
        if all((shape == leaf.shape[2:]).all() for leaf, shape in zip(leaves, self.shapes, strict=True)):
            return None
        return structure.unflatten(
            _corner(leaf.shape[2:], jnp.asarray(shape)[row]) for leaf, shape in zip(leaves, self.shapes, strict=True)
        )

    def weight_count(self, row: jax.Array) -> jax.Array:
        """Returns how many weights are no padding."""
        counts = sum(np.prod(shape, axis=1, dtype=float) for shape in self.shapes)
        return jnp.asarray(counts, jnp.result_type(float))[row]

    def hp(self, row: jax.Array) -> Any:
        """Returns the hyperparameters of a run."""
        return jax.tree.map(lambda values: jnp.asarray(values)[row], stack_hps(self.hps))

    def fewest_examples(self) -> int:
        """Returns the smallest train set of the runs."""
        return min(int(self.landscape.count(hp).active) for hp in self.hps)

    def data(self, hp: Any, anchor: Any) -> Data:
        """Returns the train examples of a run and the outputs of a kept state on them."""
        examples = self.landscape.examples(hp)
        return Data(examples, self.landscape.outputs(anchor, examples, hp))

    def loss(self, kind: Loss, hp: Any, data: Data) -> Callable[[Any], jax.Array]:
        """Returns the mean loss over all train examples as a function of the weights."""
        return functools.partial(self._mean, kind, hp, data, self.landscape.count(hp))

    def batch_loss(self, kind: Loss, hp: Any, data: Data, key: jax.Array, batch: int) -> Callable[[Any], jax.Array]:
        """Returns the mean loss over train examples drawn with replacement."""
        chosen_B = jax.random.randint(key, (batch,), 0, self.landscape.count(hp).active)
        drawn = jax.tree.map(lambda values: values[chosen_B], data)
        return functools.partial(self._mean, kind, hp, drawn, exactly(batch))

    def _mean(self, kind: Loss, hp: Any, data: Data, count: Size, weights: Any) -> jax.Array:
        outputs = self.landscape.outputs(weights, data.examples, hp)
        if kind == "train":
            return masked_mean(self.landscape.losses(outputs, data.examples, hp), count)
        squares = jnp.square(outputs - data.anchor_outputs).reshape(len(outputs), -1)
        return masked_mean(squares.sum(1) / 2, count)


@dataclasses.dataclass(frozen=True)
class Source:
    """A trained sweep.

    Attributes:
      networks: its kept weights by the name of the network.
      quantities: what the facts of every network are, by name.
    """

    networks: Mapping[str, Network]
    quantities: Mapping[str, Quantity]

    def network(self, name: str) -> Network:
        """Returns the network of this name.

        Raises:
          InvalidValue: there is none.
        """
        if name not in self.networks:
            known = ", ".join(self.networks) or "none without --run or --experiment"
            raise InvalidValue(f"network: {name!r} is not one of {known}")
        return self.networks[name]


def _corner(shape: tuple[int, ...], active: jax.Array) -> jax.Array:
    mask = jnp.ones(shape, bool)
    for axis in range(len(shape)):
        inside = jnp.arange(shape[axis]) < active[axis]
        mask &= inside.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return mask
