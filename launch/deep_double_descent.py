"""Trains networks over widths, label noise and sample counts. See experiments/deep_double_descent; try --help."""

from experiments.deep_double_descent import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
