"""Fits random features. See experiments/random_features for what it shows; --help lists every flag."""

from experiments.random_features import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
