"""Fits polynomials. See experiments/polynomial for what it shows; --help lists every flag."""

from experiments.polynomial import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
