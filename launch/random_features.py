"""Fits random features. See experiments/random_features for what it shows; --help lists every flag."""

from experiments.random_features import experiment
from phenom_jax.engine.launch import main

if __name__ == "__main__":
    main(experiment)
