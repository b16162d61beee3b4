"""JAX as a sweep needs it: set at the start of a process, or borrowed in one that has used it already."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from phenom_jax.device.devices import cores
from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.settings import Settings

KEEP_ALL = {"jax_persistent_cache_min_compile_time_secs": 0.0, "jax_persistent_cache_min_entry_size_bytes": 0}


def start_jax(settings: Settings, compilation_cache: Path | None) -> None:
    """Sets what JAX must know before its first operation, and where compiled programs are kept.

    Raises:
      InvalidValue: the directory of compiled programs cannot be written.
    """
    jax.config.update("jax_enable_x64", settings.float_type == "float64")
    jax.config.update("jax_default_matmul_precision", settings.matmul_precision)
    jax.config.update("jax_num_cpu_devices", settings.devices or cores())
    jax.config.update("jax_threefry_partitionable", True)
    jax.config.update("jax_default_prng_impl", "threefry2x32")
    _keep_programs(compilation_cache)


@contextlib.contextmanager
def borrowed_jax(settings: Settings, compilation_cache: Path | None) -> Iterator[None]:
    """JAX as a sweep needs it for as long as this is entered, in a process that may have used it already.

    Its float type and its devices stay as they are; before JAX's first operation it gets a CPU device per core, as on
    the command line.

    Raises:
      InvalidValue: it computes in another float type or has another number of CPU devices than the settings say, or
        the directory of compiled programs cannot be written.
    """
    check_float_type(settings.float_type)
    if settings.devices or jax.config.values["jax_num_cpu_devices"] < 0:
        with contextlib.suppress(RuntimeError):  # its devices are in use already
            jax.config.update("jax_num_cpu_devices", settings.devices or cores())
    if settings.devices and jax.default_backend() == "cpu" and jax.device_count() != settings.devices:
        raise InvalidValue(f"devices: {settings.devices}, allowed is {jax.device_count()}, which JAX has started with")
    before = {name: jax.config.values[name] for name in ("jax_compilation_cache_dir", *KEEP_ALL)}
    try:
        with (
            jax.default_matmul_precision(settings.matmul_precision),
            jax.threefry_partitionable(True),
            jax.default_prng_impl("threefry2x32"),
            jax.debug_nans(False),  # it ends all runs where one diverges
        ):
            _keep_programs(compilation_cache)
            yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
        reset_cache()


def check_float_type(asked: str) -> None:
    """Raises InvalidValue unless JAX computes in these floats."""
    if (computed := jnp.result_type(float).name) != asked:
        raise InvalidValue(
            f"float_type: {asked}, allowed is {computed}, in which JAX computes here; "
            f'jax.config.update("jax_enable_x64", {asked == "float64"}) changes that'
        )


def _keep_programs(asked: Path | None) -> None:
    directory = asked or jax.config.values["jax_compilation_cache_dir"] or _user_cache()
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValue(f"compilation_cache: cannot write in {directory}: {error.strerror}") from None
    for name, value in {"jax_compilation_cache_dir": str(directory), **KEEP_ALL}.items():
        jax.config.update(name, value)
    reset_cache()  # what was compiled before may have told JAX that there is none


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phenom_jax"
