"""Trains a grokking sweep. See experiments/grokking.py for what it shows; --help lists every flag."""

from experiments.grokking import experiment
from phenom_jax.engine.launch import main

if __name__ == "__main__":
    main(experiment)
