"""JAX as every test sees it: four CPU devices, rank promotion refused, full-precision matmuls."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import jax

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

hypothesis.settings.register_profile("shared machine", deadline=None, max_examples=60)
hypothesis.settings.load_profile("shared machine")
