"""Trains deep linear or ReLU networks from small weights. See experiments/silent_alignment; --help lists every flag."""

from experiments.silent_alignment import experiment
from phenom_jax.engine.launch import main

if __name__ == "__main__":
    main(experiment)
