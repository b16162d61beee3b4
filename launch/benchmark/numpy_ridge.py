"""The linear grid in NumPy: draw, solve, measure, one cell after the other. A process of its own, since NumPy's threads
are decided when it is loaded.

python -m launch.benchmark.numpy_ridge JSON        prints solves per second
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Cell = tuple[float, float, int]  # noise, ridge, dimension


def least_squares(samples: int, cells: Iterable[Cell], seed: int) -> None:
    """The loop as one writes it: `lstsq` without ridge, else `solve` of the smaller Gram matrix."""
    for noise, ridge, dimension in cells:
        X, beta, y = draw(samples, dimension, noise, seed)
        w = by_gram(X, y, samples * ridge) if ridge else np.linalg.lstsq(X, y, rcond=None)[0]
        measure(X, beta, y, w)


def gram(samples: int, cells: Iterable[Cell], seed: int) -> None:
    """The same with `solve` of the smaller Gram matrix at every ridge."""
    for noise, ridge, dimension in cells:
        X, beta, y = draw(samples, dimension, noise, seed)
        measure(X, beta, y, by_gram(X, y, samples * ridge))


def shared(samples: int, cells: Iterable[Cell], seed: int) -> None:
    """Another algorithm: the cells of one seed and dimension share inputs, so that one `eigh` serves all of them."""
    by_dimension: dict[int, list[Cell]] = {}
    for cell in cells:
        by_dimension.setdefault(cell[2], []).append(cell)
    for dimension, alike in by_dimension.items():
        X, beta, _ = draw(samples, dimension, 0.0, seed)
        epsilon = np.random.default_rng([seed, 1]).normal(size=samples)
        wide = dimension > samples
        values, vectors = np.linalg.eigh(X @ X.T if wide else X.T @ X)
        clean = X @ beta
        for noise, ridge, _ in alike:
            y = clean + noise * epsilon
            right = vectors.T @ (y if wide else X.T @ y)
            solution = vectors @ (right / (values + samples * ridge))
            measure(X, beta, y, X.T @ solution if wide else solution)


VARIANTS: dict[str, Callable[[int, Sequence[Cell], int], None]] = {
    "least_squares": least_squares,
    "gram": gram,
    "shared": shared,
}


def draw(samples: int, dimension: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X, beta = rng.standard_normal((samples, dimension)), rng.standard_normal(dimension)
    beta /= np.linalg.norm(beta)
    return X, beta, X @ beta + noise * rng.standard_normal(samples)


def by_gram(X: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    n, d = X.shape
    if d <= n:
        return np.linalg.solve(X.T @ X + penalty * np.eye(d), X.T @ y)
    return X.T @ np.linalg.solve(X @ X.T + penalty * np.eye(n), y)


def measure(X: np.ndarray, beta: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, float, float]:
    return ((w - beta) ** 2).sum(), ((y - X @ w) ** 2).mean(), (w**2).sum()


def solves_per_second(variant: str, samples: int, cells: Sequence[Cell], seconds: float) -> float:
    """Returns the rate over whole passes through the cells, a seed each, after one dimension's as a warm-up."""
    run = VARIANTS[variant]
    run(samples, cells[:1], 0)
    start, passes = time.perf_counter(), 0
    while not passes or time.perf_counter() - start < seconds:
        passes += 1
        run(samples, cells, passes)
    return passes * len(cells) / (time.perf_counter() - start)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    product = list(itertools.product(asked["noise"], asked["ridge"], asked["dimension"]))
    print(solves_per_second(asked["variant"], asked["samples"], product, asked["seconds"]))
