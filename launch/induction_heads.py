"""Trains an induction-head sweep. See experiments/induction_heads for what it shows; --help lists every flag."""

from experiments.induction_heads import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
