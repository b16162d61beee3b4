"""Fourier coefficients of threshold functions, which are the gradients that find a sparse parity (Barak et al. 2022).

A function h of x in {±1}^n has the coefficient E[h(x) Π_{i in T} x_i] on a set T of inputs. The threshold function of a
neuron with weights 1 is h(x) = 1 where Σ x + b > 0, else 0; its coefficient depends on |T| alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax


class NeuronGradient(NamedTuple):
    """The population gradient of -y relu(Σ x + b) in a weight of a deciding input, and of another (NaN for none)."""

    relevant: float
    irrelevant: float

    @property
    def gap(self) -> float:
        """The Fourier gap, |relevant| - |irrelevant|."""
        return abs(self.relevant) - abs(self.irrelevant)


Number = int | jax.Array


def usual_bias(degree: Number) -> Number:
    """Returns the bias b of the neuron to look at for the parity of k inputs: 0 for even k, and 2 for odd.

    A threshold at 0 is 1/2 plus an odd function of x, ties apart, so for odd k above 1 its coefficient at k - 1
    vanishes. With b = 2 the threshold lies past one more value of Σ x, which contributes to even sizes too.
    """
    return 2 * (degree % 2)


def neuron_gradient(inputs: int, degree: int, bias: float = 0.0) -> NeuronGradient:
    """Returns the exact gradient for the parity of k of n inputs: minus the coefficients at k - 1 and k + 1.

    With bias 0 and odd n these are -ξ_{k-1} / 2 and -ξ_{k+1} / 2 of majority.

    Args:
      inputs: n.
      degree: k.
      bias: b; see `usual_bias`.
    """
    irrelevant = -threshold_coefficient(inputs, degree + 1, bias) if degree < inputs else math.nan
    return NeuronGradient(-threshold_coefficient(inputs, degree - 1, bias), irrelevant)


def threshold_coefficient(inputs: int, size: int, bias: float = 0.0) -> float:
    """Returns the coefficient of 1[Σ x + b > 0] on a set of `size` of n `inputs`, exact up to the last rounding.

    The sum over j negative inputs of Krawtchouk polynomials K_size(j), in integers.
    """
    on = [j for j in range(inputs + 1) if inputs - 2 * j + bias > 0]
    total = sum(
        (-1) ** i * math.comb(size, i) * math.comb(inputs - size, j - i) for j in on for i in range(min(size, j) + 1)
    )
    return total / 2**inputs


def majority_coefficient(inputs: int, size: int) -> float:
    """Returns ξ, the coefficient of sign(Σ x) of an odd number n of `inputs` on a set of `size`.

    Zero for even sizes; |ξ_{k-1}| / |ξ_{k+1}| = (n - k) / (k - 1) (O'Donnell 2014, theorem 5.19).

    Raises:
      ValueError: n is even, where Σ x may be zero.
    """
    if inputs % 2 == 0:
        raise ValueError(f"majority of {inputs} inputs has ties, allowed is an odd number")
    if size % 2 == 0:
        return 0.0
    half = (inputs - 1) // 2
    centre = math.comb(inputs - 1, half) / 2 ** (inputs - 1)
    return (-1) ** ((size - 1) // 2) * math.comb(half, (size - 1) // 2) / math.comb(inputs - 1, size - 1) * centre
