"""Label noise: train labels that are wrong on purpose, by the three conventions of the literature."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from phenom_jax.sizes import Size

Convention = Literal["uniform", "wrong", "shuffled"]


def noisy_labels(
    key: jax.Array, labels_N: jax.Array, train: Size, classes: int, noise: float | jax.Array, convention: Convention
) -> jax.Array:
    """Returns int32[N], the labels with each of the first `train.active` chosen with probability `noise` and replaced.

    The chosen of a smaller noise are among those of a larger one. Labels beyond `train.active` stay as they are.

    Args:
      key: typed PRNG key; what is drawn for a label depends on its place alone, not on the padded bound.
      labels_N: right labels, N = train.padded.
      train: how many there are.
      classes: of the task.
      noise: probability, between 0 and 1.
      convention: what a chosen label becomes. `uniform`: any class, the right one included, so that the share of wrong
        labels is noise (1 - 1/classes). `wrong`: any class but the right one (Nakkiran et al. 2020). `shuffled`: the
        label of another of the chosen, so that classes keep their frequencies.
    """
    choice_key, class_key = jax.random.split(key)
    chosen_N = (jax.random.uniform(choice_key, labels_N.shape) < noise) & train.mask
    if convention == "shuffled":
        return _shuffled(class_key, labels_N, chosen_N)
    fewer = convention == "wrong"
    drawn_N = jax.random.randint(class_key, labels_N.shape, int(fewer), classes, jnp.int32)
    replaced_N = (labels_N + drawn_N) % classes if fewer else drawn_N
    return jnp.where(chosen_N, replaced_N, labels_N)


def _shuffled(key: jax.Array, labels_N: jax.Array, chosen_N: jax.Array) -> jax.Array:
    """Returns the labels with those of the chosen permuted among them; the others, sorted last alike, move nowhere."""
    places_N = jnp.argsort(~chosen_N)
    order_N = jnp.argsort(jnp.where(chosen_N, jax.random.uniform(key, labels_N.shape), jnp.inf))
    return labels_N.at[places_N].set(labels_N[order_N])
