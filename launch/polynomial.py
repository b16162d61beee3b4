"""Fits polynomials. See experiments/polynomial for what it shows; --help lists every flag."""

from experiments.polynomial import experiment
from phenom_jax.engine.launch import main

if __name__ == "__main__":
    main(experiment)
