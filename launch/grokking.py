"""Trains a grokking sweep. See experiments/grokking.py for what it shows; --help lists every flag."""

from experiments.grokking import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
