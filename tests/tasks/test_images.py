"""MNIST and CIFAR-10 from local files, and every way in which the files can be wrong."""

import gzip
import pickle
import struct

import jax.numpy as jnp
import numpy as np
import pytest

from phenom_jax.hparams import InvalidValue
from phenom_jax.tasks.images import cifar10, mnist

RANDOM = np.random.default_rng(0)
MNIST_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(array):
    return struct.pack(f">{1 + array.ndim}I", 2048 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_mnist(path, packed=False):
    arrays = {}
    for name in MNIST_FILES:
        count = 12 if "train" in name else 5
        array = RANDOM.integers(0, 256, (count, 28, 28)) if "images" in name else np.arange(count) % 10
        arrays[name] = array
        if packed:
            (path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (path / name).write_bytes(idx(array))
    return arrays


def write_cifar(path, pickled=False):
    batches = {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        planes, labels = RANDOM.integers(0, 256, (4, 3072)).astype(np.uint8), np.arange(4)
        batches[name] = planes, labels
        if pickled:
            (path / name).write_bytes(pickle.dumps({b"data": planes, b"labels": labels.tolist(), b"batch_label": name}))
        else:
            rows = np.concatenate([labels[:, None].astype(np.uint8), planes], 1)
            (path / f"{name}.bin").write_bytes(rows.tobytes())
    return batches


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_as_it_was_written(tmp_path, packed):
    arrays = write_mnist(tmp_path, packed)
    data = mnist(str(tmp_path))
    assert (data.train_NxF == arrays[MNIST_FILES[0]].reshape(12, -1)).all() and data.train_NxF.dtype == np.uint8
    assert (data.test_MxF == arrays[MNIST_FILES[2]].reshape(5, -1)).all()
    assert data.train_labels_N.tolist() == [*range(10), 0, 1] and data.test_labels_M.tolist() == [*range(5)]
    x = np.asarray(data.examples(jnp.asarray(data.train_NxF)), float)
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=1e-5)


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("folder", ["", "cifar-10-batches-py"])
def test_cifar_is_read_as_it_was_written(tmp_path, pickled, folder):
    inner = tmp_path / folder
    inner.mkdir(exist_ok=True)
    batches = write_cifar(inner, pickled)
    data = cifar10(str(tmp_path))
    assert data.train_NxF.shape == (20, 3072) and data.test_MxF.shape == (4, 3072)
    image = data.train_NxF[5].reshape(data.shape)
    planes = batches["data_batch_2"][0][1].reshape(3, 32, 32)
    assert all((image[:, :, channel] == planes[channel]).all() for channel in range(3))
    x = np.asarray(data.examples(jnp.asarray(data.train_NxF)), float).reshape(-1, 3)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1, atol=1e-5)


@pytest.mark.parametrize("load, missing", [(mnist, "train-images-idx3-ubyte"), (cifar10, "data_batch_1")])
def test_what_is_missing_is_named(tmp_path, load, missing):
    with pytest.raises(
        InvalidValue, match=f"data_dir: {tmp_path} has no file {missing}, expected the (four|six) files"
    ):
        load(str(tmp_path))
    with pytest.raises(InvalidValue, match="data_dir: '' is no directory, expected --data_dir=DIR with the"):
        load("")
    with pytest.raises(InvalidValue, match="has no file"):
        load(str(tmp_path / "nowhere"))


def test_a_wrong_idx_file_is_named(tmp_path):
    write_mnist(tmp_path)
    wrong = tmp_path / MNIST_FILES[2]
    whole = wrong.read_bytes()
    for content in (b"", whole[:-1], idx(np.zeros((5, 8, 8))), idx(np.zeros(5)), b"x" * 100):
        wrong.write_bytes(content)
        with pytest.raises(InvalidValue, match=f"data_dir: {wrong} is not a whole idx file of 28x28 images"):
            mnist.__wrapped__(str(tmp_path))
    wrong.write_bytes(idx(np.zeros((4, 28, 28))))
    with pytest.raises(InvalidValue, match="4 images and 5 labels of t10k"):
        mnist.__wrapped__(str(tmp_path))
    wrong.write_bytes(whole)
    (tmp_path / MNIST_FILES[3]).write_bytes(idx(np.full(5, 11)))
    with pytest.raises(InvalidValue, match="has a label 11, allowed are 0 to 9"):
        mnist.__wrapped__(str(tmp_path))


def test_a_damaged_gz_file_is_named(tmp_path):
    write_mnist(tmp_path, packed=True)
    damaged = tmp_path / f"{MNIST_FILES[1]}.gz"
    for content in (b"no gzip", damaged.read_bytes()[:-9]):
        damaged.write_bytes(content)
        with pytest.raises(InvalidValue, match=f"data_dir: {damaged} cannot be read"):
            mnist.__wrapped__(str(tmp_path))


def test_a_wrong_cifar_file_is_named(tmp_path):
    write_cifar(tmp_path)
    binary = tmp_path / "test_batch.bin"
    binary.write_bytes(b"x" * 3072)
    with pytest.raises(InvalidValue, match=f"{binary} has 3072 bytes, not a multiple of the 3073"):
        cifar10.__wrapped__(str(tmp_path))
    pickled = tmp_path / "test_batch"
    for content in (b"no pickle", pickle.dumps({b"data": [1]}), pickle.dumps(print)):
        pickled.write_bytes(content)
        with pytest.raises(InvalidValue, match=f"{pickled} is not a pickled batch of CIFAR-10"):
            cifar10.__wrapped__(str(tmp_path))
