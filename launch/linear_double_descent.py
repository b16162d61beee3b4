"""Solves linear regressions. See experiments/linear_double_descent for what it shows; --help lists every flag."""

from experiments.linear_double_descent import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
