"""The mean eigenvalue density of real Wishart matrices of any finite size.

W = X Xᵀ with X of independent standard Gaussians, m x M and m <= M. Its m eigenvalues are the Laguerre orthogonal
ensemble, with weight x^((a-1)/2) e^(-x/2), a = M - m. Their density is that of the unitary ensemble of weight
x^a e^(-x) with one eigenvalue less, plus a term in the last two Laguerre functions, and for odd m one in the last alone
(Adler, Forrester, Nagao, van Moerbeke 2000).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy.special import gammaln

_NODES = 16  # of a panel
_FINEST = 1e-8  # the width of the first panel beside that of an even one: functions such as 1/(x + μ) bend there


class Quadrature(NamedTuple):
    """Points and weights, float64[K]: Σ weights f(points) is the mean of the sum of f over the eigenvalues."""

    points: np.ndarray
    weights: np.ndarray


@functools.lru_cache(maxsize=4096)
def eigenvalues(smaller: int, larger: int) -> Quadrature:
    """Returns the Quadrature of the eigenvalues of a `smaller` x `smaller` Wishart matrix of `larger` samples.

    Exact up to rounding for functions that are smooth in √x over the spacing of the eigenvalues, or bend near 0 alone.
    The weights can be negative where the density is a rounding error.
    """
    m, a = smaller, larger - smaller
    roots, widths, panels = _panels(m, larger)
    functions = _laguerre_functions(roots**2, a, m)
    density = 2 * roots * (functions[: m - 1] ** 2).sum(0)
    if m > 1:
        below, total = _integrals(functions[m - 2], panels)
        density += np.sqrt((m - 1) * (m - 1 + a)) * functions[m - 1] * (total - 2 * below)
    if m % 2:
        density += functions[m - 1] / _integrals(functions[m - 1], panels)[1]
    return Quadrature(roots**2, widths * density)


def _panels(m: int, larger: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the Gauss-Legendre points and weights in √x, and the half widths of the panels they lie in.

    In √x the eigenvalues are about evenly spaced and the singularity at 0 is gone. The last panel ends where the
    density has fallen below rounding: a few times n^(1/6), the width of the spectrum's edge, beyond it.
    """
    edge = np.sqrt(m) + np.sqrt(larger)
    even = np.linspace(0, edge + 6 + 2 * edge ** (1 / 3), max(24, m // 2) + 1)
    first = even[1] * np.concatenate([[0], 0.5 ** np.arange(int(-np.log2(_FINEST)), 0, -1)])
    ends = np.concatenate([first, even[1:]])
    halves = np.diff(ends) / 2
    nodes, weights = legendre.leggauss(_NODES)
    points = ends[:-1, None] + halves[:, None] * (nodes + 1)
    return points.ravel(), (halves[:, None] * weights).ravel(), halves


def _laguerre_functions(x: np.ndarray, a: int, count: int) -> np.ndarray:
    """Returns float[count, K]: the first orthonormal functions L_k^a(x) x^(a/2) e^(-x/2), by their recurrence."""
    log_scale = (a * np.log(x) - x - gammaln(a + 1)) / 2
    before, now = np.zeros_like(x), np.ones_like(x)
    found = np.empty((count, len(x)))
    for k in range(count):
        found[k] = now * np.exp(log_scale)
        after = ((2 * k + 1 + a - x) * now - np.sqrt(k * (k + a)) * before) / np.sqrt((k + 1) * (k + 1 + a))
        size = np.maximum(np.abs(after), np.abs(now))
        size = np.where(size > 1e100, size, 1.0)  # else it overflows where the exponential is still tiny
        before, now, log_scale = now / size, after / size, log_scale + np.log(size)
    return found


def _integrals(function: np.ndarray, halves: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns the integral over √x from 0 to every point, and over the whole."""
    values = function.reshape(len(halves), _NODES)
    nodes, weights = legendre.leggauss(_NODES)
    antiderivatives = legendre.legval(nodes, legendre.legint(np.eye(_NODES), lbnd=-1))  # [degree, node]
    to_nodes = np.linalg.solve(legendre.legvander(nodes, _NODES - 1).T, antiderivatives)  # [value, node]
    whole = halves * (values @ weights)
    before = np.concatenate([[0], np.cumsum(whole)[:-1]])
    return (before[:, None] + halves[:, None] * (values @ to_nodes)).ravel(), float(whole.sum())
