"""Trains deep linear or ReLU networks from small weights. See experiments/silent_alignment; --help lists every flag."""

from experiments.silent_alignment import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
