"""Benchmarks against PyTorch and against ourselves. `python -m launch.benchmark` runs them."""
