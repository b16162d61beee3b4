"""Tables against brute force, the group structure, and the split."""

import itertools

import jax
import numpy as np
import pytest
from there import there

from phenom_jax.sizes import Size
from phenom_jax.tasks.modular import OPERATIONS, PERMUTATIONS, is_prime, pair_count, split, table

P = 13
BY_HAND = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x * pow(y, -1, P),
    "x^2+y^2": lambda x, y: x * x + y * y,
    "x^2+xy+y^2": lambda x, y: x * x + x * y + y * y,
    "x^2+xy+y^2+x": lambda x, y: x * x + x * y + y * y + x,
    "x^3+xy": lambda x, y: x * x * x + x * y,
    "x^3+xy^2+y": lambda x, y: x * x * x + x * y * y + y,
    "divide_or_subtract": lambda x, y: x * pow(y, -1, P) if y % 2 else x - y,
    "add_or_multiply": lambda x, y: x * y if x % 2 else x + y,
    "add_or_subtract": lambda x, y: x - y if x % 2 else x + y,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_question_is_there_once_with_its_answer(operation):
    questions = table(operation, P)
    right = [b for b in range(P) if b or operation != "divide"]
    assert sorted(map(tuple, questions.pairs_Px2.tolist())) == list(itertools.product(range(P), right))
    assert pair_count(operation, P) == P * len(right)
    for (x, y), answer in zip(questions.pairs_Px2.tolist(), questions.answers_P.tolist()):
        assert answer == BY_HAND[operation](x, y) % P


def test_permutations_of_five_multiply_like_their_matrices():
    elements = np.array(list(itertools.permutations(range(5))))
    matrices = np.eye(5, dtype=int)[elements]  # row i has its one in column element[i]
    number = {matrix.tobytes(): index for index, matrix in enumerate(matrices)}
    chosen = np.random.default_rng(0).integers(0, 14400, 300)
    by_matrix = {
        "s5_xy": lambda x, y: y @ x,
        "s5_xyx^-1": lambda x, y: x.T @ y @ x,
        "s5_xyx": lambda x, y: x @ y @ x,
    }
    for operation in PERMUTATIONS:
        questions = table(operation, P)
        assert questions.tokens == questions.classes == 120
        assert len({*map(tuple, questions.pairs_Px2.tolist())}) == 14400
        for row in chosen:
            x, y = matrices[questions.pairs_Px2[row]]
            assert questions.answers_P[row] == number[by_matrix[operation](x, y).tobytes()]


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
def test_cosets_are_the_pairs_with_one_answer(operation):
    questions = table(operation, P)
    tokens_n, cosets_nxn = there(questions.cyclic)
    order = P if operation in ("add", "subtract") else P - 1
    assert sorted(tokens_n) == list(range(P - order, P))
    assert len(np.unique(cosets_nxn)) == order**2
    answers_nxn = questions.answers_P[cosets_nxn]
    assert (answers_nxn == answers_nxn[:, :1]).all()
    assert (answers_nxn[:, 0] == tokens_n).all()


def test_only_cyclic_operations_have_a_group():
    assert table("x^2+y^2", P).cyclic is None
    assert table("s5_xy", P).cyclic is None
    assert table("multiply", 12).cyclic is None
    assert table("add", 12).cyclic is not None


@pytest.mark.parametrize("padded", [40, 90])
def test_split_trains_the_active_pairs_and_no_other(padded):
    questions = table("add", P)
    data = split(jax.random.key(3), questions, Size(40, padded))
    row_of = {tuple(pair): row for row, pair in enumerate(questions.pairs_Px2.tolist())}
    trained = [row_of[tuple(pair)] for pair in data.train_Nx2[:40].tolist()]
    assert data.train_Nx2.shape == (padded, 2)
    assert sorted(trained) == np.flatnonzero(data.is_train_P).tolist()
    assert (data.labels_P == questions.answers_P).all()
    assert (data.train_labels_N[:40] == questions.answers_P[trained]).all()


def test_splits_of_one_key_are_nested_and_of_two_keys_differ():
    questions = table("add", P)
    small, large = (split(jax.random.key(0), questions, Size(count, 100)) for count in (30, 60))
    other = split(jax.random.key(1), questions, Size(30, 100))
    assert (large.is_train_P | ~small.is_train_P).all()
    assert (other.is_train_P != small.is_train_P).any()


def test_label_noise_replaces_its_share_of_train_labels_and_no_test_label():
    questions = table("add", 97)
    data = split(jax.random.key(0), questions, Size(4000, 4500), label_noise=0.25)
    wrong_P = np.asarray(data.labels_P != questions.answers_P)
    assert not wrong_P[~np.asarray(data.is_train_P)].any()
    assert abs(wrong_P.sum() - 1000 * 96 / 97) < 4 * np.sqrt(1000 / 97)
    clean = split(jax.random.key(0), questions, Size(4000, 4500))
    assert (clean.is_train_P == data.is_train_P).all()
    assert (np.asarray(data.train_Nx2) == clean.train_Nx2).all()


def test_primes():
    assert [number for number in range(30) if is_prime(number)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
