"""JAX as every test sees it: eight CPU devices, rank promotion refused, full-precision matmuls."""

import os
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_default_matmul_precision", "highest")

hypothesis.settings.register_profile("shared machine", deadline=None, max_examples=60)
hypothesis.settings.load_profile("shared machine")

# compiled programs stay for the next run of the tests, which is then the quicker; each worker has its own
programs = Path(__file__).parent.parent / ".jax_cache" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
programs.mkdir(parents=True, exist_ok=True)
(programs / "layouts.json").unlink(missing_ok=True)  # what was probed does not
jax.config.update("jax_compilation_cache_dir", str(programs))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


@pytest.fixture
def float64():
    """Computes in float64: what training makes of rounding stays far below any tolerance, on every processor."""
    with jax.enable_x64(True):
        yield
