"""Trains products of three factors. See experiments/three_factors.py for what it shows; --help lists every flag."""

from experiments.three_factors import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
