"""Random crops and flips keep an image's pixels."""

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.tasks.augment import MARGIN, crop_and_flip


def test_images_are_moved_and_mirrored():
    shape, count = (6, 5, 3), 300
    image = np.zeros(shape, np.float32)
    image[3, 1] = [1, 2, 3]
    x = jnp.tile(image.reshape(1, -1), (count, 1))
    moved = np.asarray(jax.jit(lambda key: crop_and_flip(key, x, shape))(jax.random.key(0))).reshape(count, *shape)
    rows, columns = {*range(6)} & {3 + d for d in range(-MARGIN, MARGIN + 1)}, set()
    for one in moved:
        places = np.argwhere(one.any(-1))
        assert len(places) <= 1  # moved out of sight, or there once
        for row, column in places:
            assert row in rows and one[row, column].tolist() == [1, 2, 3]
            columns.add(int(column))
    assert columns == {*range(5)}
    assert 0.3 < (moved.sum((1, 2, 3)) > 0).mean() < 1
