"""Random crops and flips of images, as CIFAR-10 is usually trained with."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from phenom_jax.tasks.data import Shape

MARGIN = 4  # pixels of zeros around an image before it is cropped


def crop_and_flip(key: jax.Array, x_NxF: jax.Array, shape: Shape) -> jax.Array:
    """Returns each image moved by up to 4 pixels in both directions, zeros coming in, and half of them mirrored."""
    move_key, flip_key = jax.random.split(key)
    images = x_NxF.reshape(-1, *shape)
    padded = jnp.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
    corners_Nx2 = jax.random.randint(move_key, (len(images), 2), 0, 2 * MARGIN + 1)
    cropped = jax.vmap(lambda image, corner: jax.lax.dynamic_slice(image, (*corner, 0), shape))(padded, corners_Nx2)
    mirror_N = jax.random.bernoulli(flip_key, shape=(len(images),))
    flipped = jnp.where(mirror_N[:, None, None, None], cropped[:, :, ::-1], cropped)
    return flipped.reshape(x_NxF.shape)
