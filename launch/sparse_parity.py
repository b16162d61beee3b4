"""Trains a sparse-parity sweep. See experiments/sparse_parity for what it shows; --help lists every flag."""

from experiments.sparse_parity import experiment
from phenom_jax.cli.main import main

if __name__ == "__main__":
    main(experiment)
