"""JAX as every test sees it: eight CPU devices, rank promotion refused, full-precision matmuls."""

import os
import tempfile

os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

hypothesis.settings.register_profile("shared machine", deadline=None, max_examples=60)
hypothesis.settings.load_profile("shared machine")

programs = tempfile.TemporaryDirectory(prefix="programs")  # tests that compile the same program share it
jax.config.update("jax_compilation_cache_dir", programs.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture
def float64():
    """Computes in float64: what training makes of rounding stays far below any tolerance, on every processor."""
    with jax.enable_x64(True):
        yield
