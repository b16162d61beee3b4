"""Binary operations a ∘ b as exact tables, and their train/test split (Power et al. 2022, appendix A.1.1)."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from phenom_jax.sizes import Size

Operation = Literal[
    "add",
    "subtract",
    "multiply",
    "divide",
    "x^2+y^2",
    "x^2+xy+y^2",
    "x^2+xy+y^2+x",
    "x^3+xy",
    "x^3+xy^2+y",
    "divide_or_subtract",
    "add_or_multiply",
    "add_or_subtract",
    "s5_xy",
    "s5_xyx^-1",
    "s5_xyx",
]


class Cyclic(NamedTuple):
    """How an operation is addition in a cyclic group of order n (multiplication is addition of discrete logarithms).

    Attributes:
      tokens_n: the token of each group element in the order of the group.
      cosets_nxn: row s holds the n pairs, as rows of the table, whose group elements add up to s.
    """

    tokens_n: np.ndarray
    cosets_nxn: np.ndarray


class Table(NamedTuple):
    """Every question of an operation and its answer; numpy arrays, so constants of the program that uses them.

    Attributes:
      pairs_Px2: int32 tokens a and b of each question.
      answers_P: int32 class of a ∘ b.
      tokens: number of different tokens.
      classes: number of different answers.
      cyclic: the group structure, None for operations that have none.
    """

    pairs_Px2: np.ndarray
    answers_P: np.ndarray
    tokens: int
    classes: int
    cyclic: Cyclic | None


class Split(NamedTuple):
    """The data of one run; rows of `train_*` beyond the active count of the train size are to be ignored.

    Attributes:
      train_Nx2: int32 pairs to train on.
      train_labels_N: int32 their labels, noisy ones included.
      labels_P: int32 labels of the whole table: noisy on train pairs, right on test pairs.
      is_train_P: bool.
    """

    train_Nx2: jax.Array
    train_labels_N: jax.Array
    labels_P: jax.Array
    is_train_P: jax.Array


@functools.cache
def table(operation: Operation, modulus: int) -> Table:
    """Returns the table of `operation`; `modulus` is the number of tokens, unused for the permutations of five."""
    if operation in PERMUTATIONS:
        pairs_Px2, answers_P, tokens = _permutation_table(PERMUTATIONS[operation])
    else:
        x, y = (axis.ravel() for axis in np.mgrid[:modulus, :modulus])
        x, y, answer = OPERATIONS[operation](x, y)
        pairs_Px2, answers_P, tokens = np.stack([x % modulus, y], axis=1), answer % modulus, modulus
    cyclic = _cyclic(operation, modulus, pairs_Px2) if operation in _GROUPS else None
    return Table(pairs_Px2.astype(np.int32), answers_P.astype(np.int32), tokens, tokens, cyclic)


def pair_count(operation: Operation, modulus: int) -> int:
    """Returns the number of questions of an operation: p², p (p - 1) for division, 14400 for the permutations."""
    return len(table(operation, modulus).answers_P)


def split(key: jax.Array, questions: Table, train: Size, label_noise: float | jax.Array = 0.0) -> Split:
    """Returns a random train/test split of a table.

    Args:
      key: typed PRNG key; the same key gives nested train sets for growing `train.active`, whatever the padded bound.
      questions: the table.
      train: how many pairs train; the rest test.
      label_noise: share of train labels that are replaced by a class drawn uniformly from all, the right one included.
    """
    order_key, class_key = jax.random.split(key)
    pairs, classes = len(questions.answers_P), questions.classes
    order_P = jax.random.permutation(order_key, pairs)
    rank_P = jnp.zeros(pairs, jnp.int32).at[order_P].set(jnp.arange(pairs, dtype=jnp.int32))
    random_P = jax.random.randint(class_key, (pairs,), 0, classes, jnp.int32)
    labels_P = jnp.where(rank_P < jnp.round(label_noise * train.active), random_P, questions.answers_P)
    train_N = order_P[: train.padded]
    return Split(
        train_Nx2=jnp.asarray(questions.pairs_Px2)[train_N],
        train_labels_N=labels_P[train_N],
        labels_P=labels_P,
        is_train_P=rank_P < train.active,
    )


def is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def _formula(formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[np.ndarray, np.ndarray], Rows]:
    return lambda x, y: (x, y, formula(x, y))


def _divide(z: np.ndarray, y: np.ndarray) -> Rows:
    """Returns the questions (z y) / y = z of all z and all y but 0: no modular inverse is needed."""
    return (z * y)[y > 0], y[y > 0], z[y > 0]


def _divide_or_subtract(x: np.ndarray, y: np.ndarray) -> Rows:
    """Returns x / y for odd y, else x - y: the mixed operation of the paper's figure 2."""
    return np.where(y % 2, x * y, x), y, np.where(y % 2, x, x - y)


# The paper mixes by the parity of y; its published code (operators "+*" and "+-") by the parity of x. Both are here.
OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray], Rows]] = {
    "add": _formula(lambda x, y: x + y),
    "subtract": _formula(lambda x, y: x - y),
    "multiply": _formula(lambda x, y: x * y),
    "divide": _divide,
    "x^2+y^2": _formula(lambda x, y: x**2 + y**2),
    "x^2+xy+y^2": _formula(lambda x, y: x**2 + x * y + y**2),
    "x^2+xy+y^2+x": _formula(lambda x, y: x**2 + x * y + y**2 + x),
    "x^3+xy": _formula(lambda x, y: x**3 + x * y),
    "x^3+xy^2+y": _formula(lambda x, y: x**3 + x * y**2 + y),  # the paper's negative control
    "divide_or_subtract": _divide_or_subtract,
    "add_or_multiply": _formula(lambda x, y: np.where(x % 2, x * y, x + y)),
    "add_or_subtract": _formula(lambda x, y: np.where(x % 2, x - y, x + y)),
}
Permutation = tuple[int, ...]
PERMUTATIONS: dict[str, Callable[[Permutation, Permutation], Permutation]] = {
    "s5_xy": lambda x, y: _compose(x, y),
    "s5_xyx^-1": lambda x, y: _compose(_compose(x, y), _inverse(x)),
    "s5_xyx": lambda x, y: _compose(_compose(x, y), x),
}
NEED_PRIME = ("divide", "divide_or_subtract")
_GROUPS = {"add": 1, "subtract": -1, "multiply": 1, "divide": -1}
assert {*OPERATIONS, *PERMUTATIONS} == set(get_args(Operation))


def _permutation_table(
    operation: Callable[[Permutation, Permutation], Permutation],
) -> tuple[np.ndarray, np.ndarray, int]:
    elements = list(itertools.permutations(range(5)))
    number = {element: index for index, element in enumerate(elements)}
    pairs = list(itertools.product(range(len(elements)), repeat=2))
    answers = [number[operation(elements[x], elements[y])] for x, y in pairs]
    return np.array(pairs), np.array(answers), len(elements)


def _compose(x: Permutation, y: Permutation) -> Permutation:
    """Returns the permutation that applies y first, then x."""
    return tuple(x[image] for image in y)


def _inverse(x: Permutation) -> Permutation:
    return tuple(int(place) for place in np.argsort(x))


def _cyclic(operation: Operation, modulus: int, pairs_Px2: np.ndarray) -> Cyclic | None:
    if operation in ("multiply", "divide"):
        if not is_prime(modulus):
            return None
        tokens_n = _powers_of_generator(modulus)
    else:
        tokens_n = np.arange(modulus)
    row_of = np.full((modulus, modulus), -1)
    row_of[pairs_Px2[:, 0], pairs_Px2[:, 1]] = np.arange(len(pairs_Px2))
    order = len(tokens_n)
    total, right = np.mgrid[:order, :order]
    left = (total - _GROUPS[operation] * right) % order
    return Cyclic(tokens_n.astype(np.int32), row_of[tokens_n[left], tokens_n[right]].astype(np.int32))


def _powers_of_generator(prime: int) -> np.ndarray:
    """Returns g^0, g^1, ... mod p of the smallest primitive root g."""
    for generator in range(1, prime):
        powers = np.array([pow(generator, exponent, prime) for exponent in range(prime - 1)])
        if len(set(powers.tolist())) == prime - 1:
            return powers
    raise ValueError(f"{prime} has no primitive root")
