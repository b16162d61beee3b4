"""Samples around what a sweep has kept. See experiments/llc for what it shows; --help lists every flag."""

from experiments.llc import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
