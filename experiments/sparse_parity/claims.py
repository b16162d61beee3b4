"""The claims about sparse parity, each decided on a sweep with its statistic over seeds."""

from __future__ import annotations

from phenom_jax.results.claims import Claim

CLAIMS: tuple[Claim, ...] = ()
