"""Trains an early-stopping sweep. See experiments/early_stopping for what it shows; --help lists every flag."""

from experiments.early_stopping import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
