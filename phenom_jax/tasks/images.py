"""Full MNIST and CIFAR-10 from files in a local directory, as their makers distribute them; nothing is downloaded.

Pixels stay bytes until a batch is taken: CIFAR-10 is 184 MB as constants of a program, not 737.
"""

from __future__ import annotations

import codecs
import functools
import gzip
import math
import pickle
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from phenom_jax.hparams import InvalidValue
from phenom_jax.tasks.data import Data, standardised

CLASSES = 10
_MNIST_SIDE, _CIFAR_SIDE, _CIFAR_PIXELS = 28, 32, 3072
_FOUR = "the four files of MNIST, train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, plain or .gz"
_SIX = "the six files of CIFAR-10, data_batch_1 to 5 and test_batch, of the python or (.bin) the binary version"
_MAGIC = {3: 2051, 1: 2049}  # of idx files of bytes, by their dimensions


class _File(NamedTuple):
    path: str
    content: bytes


@functools.cache
def mnist(directory: str) -> Data:
    """Returns MNIST, 60000 train and 10000 test images, from its four idx files, plain or gzipped.

    Args:
      directory: where they are.
    Raises:
      InvalidValue: a file is not there or is not of the expected form.
    """
    (train_NxF, train_labels_N), (test_MxF, test_labels_M) = (
        _mnist_part(directory, part) for part in ("train", "t10k")
    )
    shape = (_MNIST_SIDE, _MNIST_SIDE, 1)
    return standardised(train_NxF, train_labels_N, test_MxF, test_labels_M, CLASSES, shape)


@functools.cache
def cifar10(directory: str) -> Data:
    """Returns CIFAR-10, 50000 train and 10000 test images, from the files of its python or its binary version.

    Args:
      directory: where they are, or the folder that the archive unpacks to is.
    Raises:
      InvalidValue: a file is not there or is not of the expected form.
    """
    train = [_cifar_batch(directory, f"data_batch_{number}") for number in range(1, 6)]
    images_NxF, labels_N = (np.concatenate(parts) for parts in zip(*train))
    test_MxF, test_labels_M = _cifar_batch(directory, "test_batch")
    return standardised(images_NxF, labels_N, test_MxF, test_labels_M, CLASSES, (_CIFAR_SIDE, _CIFAR_SIDE, 3))


def _mnist_part(directory: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns uint8 images [N, 784] and labels [N]."""
    images_NxF = _idx(directory, f"{part}-images", 3).reshape(-1, _MNIST_SIDE**2)
    labels_N = _idx(directory, f"{part}-labels", 1)
    if len(images_NxF) != len(labels_N):
        counts = f"{len(images_NxF)} images and {len(labels_N)} labels"
        raise InvalidValue(f"data_dir: {directory} has {counts} of {part}, expected as many of both")
    return images_NxF, _below_classes(labels_N, f"{directory}/{part}-labels-idx1-ubyte")


def _idx(directory: str, name: str, dimensions: int) -> np.ndarray:
    """Returns the bytes of an idx file in their shape: [N, rows, columns] images or [N] labels."""
    stems = (f"{name}-idx{dimensions}-ubyte", f"{name}.idx{dimensions}-ubyte")
    file = _read(directory, [stem + end for stem in stems for end in ("", ".gz")], _FOUR)
    bytes_before = 4 * (1 + dimensions)
    header = np.frombuffer(file.content[:bytes_before].ljust(bytes_before, b"\0"), ">u4")
    shape = header[1:].tolist()
    values = np.frombuffer(file.content, np.uint8, offset=min(len(file.content), bytes_before))
    good = header[0] == _MAGIC[dimensions] and shape[1:] == [_MNIST_SIDE] * (dimensions - 1)
    if not good or values.size != math.prod(shape):
        what = f"{_MNIST_SIDE}x{_MNIST_SIDE} images" if dimensions == 3 else "labels"
        raise InvalidValue(
            f"data_dir: {file.path} is not a whole idx file of {what} (magic number {_MAGIC[dimensions]})"
        )
    return values.reshape(shape)


def _cifar_batch(directory: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns uint8 images [N, 3072], rows x columns x channels flattened in that order, and labels [N]."""
    folders = ("", "cifar-10-batches-py/", "cifar-10-batches-bin/")
    file = _read(directory, [folder + name + end for folder in folders for end in ("", ".bin")], _SIX)
    planes_NxF, labels_N = (_cifar_binary if file.path.endswith(".bin") else _cifar_pickled)(file)
    planes = planes_NxF.reshape(-1, 3, _CIFAR_SIDE, _CIFAR_SIDE)
    return planes.transpose(0, 2, 3, 1).reshape(-1, _CIFAR_PIXELS), _below_classes(labels_N, file.path)


def _cifar_binary(file: _File) -> tuple[np.ndarray, np.ndarray]:
    if not file.content or len(file.content) % (1 + _CIFAR_PIXELS):
        raise InvalidValue(
            f"data_dir: {file.path} has {len(file.content)} bytes, not a multiple of the {1 + _CIFAR_PIXELS} of a "
            "CIFAR-10 label and image"
        )
    rows = np.frombuffer(file.content, np.uint8).reshape(-1, 1 + _CIFAR_PIXELS)
    return rows[:, 1:], rows[:, 0]


def _cifar_pickled(file: _File) -> tuple[np.ndarray, np.ndarray]:
    try:
        with open(file.path, "rb") as opened:
            batch = _ArraysOnly(opened, encoding="bytes").load()
        images_NxF, labels_N = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
        good = images_NxF.dtype == np.uint8 and images_NxF.shape == (len(labels_N), _CIFAR_PIXELS)
    except Exception as error:  # whatever a file that is no pickle, or one of something else, brings about
        raise InvalidValue(_no_batch(file)) from error
    if not good:
        raise InvalidValue(_no_batch(file))
    return images_NxF, labels_N


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled arrays and plain values; a pickle that would call anything else is refused."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        allowed: dict[str, Callable[..., object]] = {
            "_reconstruct": np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
            "ndarray": np.ndarray,
            "dtype": np.dtype,
        }
        if module.split(".")[0] == "numpy" and name in allowed:
            return allowed[name]
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")


def _no_batch(file: _File) -> str:
    return f"data_dir: {file.path} is not a pickled batch of CIFAR-10 (a dictionary with uint8 data and labels)"


def _below_classes(labels_N: np.ndarray, path: str) -> np.ndarray:
    if labels_N.size and labels_N.max() >= CLASSES:
        raise InvalidValue(f"data_dir: {path} has a label {labels_N.max()}, allowed are 0 to {CLASSES - 1}")
    return labels_N


def _read(directory: str, names: Sequence[str], expected: str) -> _File:
    """Returns the first of these files that is there, unpacked if its name ends in .gz."""
    if not directory:
        raise InvalidValue(f"data_dir: '' is no directory, expected --data_dir=DIR with {expected}")
    for name in names:
        path = f"{directory.rstrip('/')}/{name}"
        try:
            with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
                return _File(path, file.read())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidValue(f"data_dir: {path} cannot be read ({error}), expected {expected}") from error
    raise InvalidValue(f"data_dir: {directory} has no file {names[0]}, expected {expected}")
