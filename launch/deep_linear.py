"""Trains sweeps of deep linear networks in stages. See experiments/deep_linear; --help lists every flag."""

from experiments.deep_linear import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
