"""Training steps of a few lanes, and what the H100's own compiler makes of them on a machine without one.

JAX_PLATFORMS=cpu python tests/device/gpu_steps.py grokking '{"model": "nanda"}'      needs the extra `accelerators`
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from phenom_jax.hparams import build
from phenom_jax.models.lookup import look_up

LANES = 4
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98 device_memory_size: 84978434048
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 8 } device_description_str: "NVIDIA H100 80GB HBM3"
"""


class Lanes(NamedTuple):
    """A function over lanes and the shapes of its arguments."""

    function: Callable[..., Any]
    shapes: tuple[Any, ...]


def training_step(name: str, settings: dict[str, Any]) -> Lanes:
    """Returns the step of an experiment's runs with these hyperparameters, the defaults elsewhere."""
    experiment = importlib.import_module(f"experiments.{name}").experiment
    hp = build(experiment.hparams, settings)
    hps = jax.tree.map(lambda value: jax.ShapeDtypeStruct((LANES,), jnp.result_type(type(value))), hp)
    keys = jax.eval_shape(jax.vmap(jax.random.key), jnp.arange(LANES))
    return Lanes(jax.vmap(experiment.step), (jax.eval_shape(jax.vmap(experiment.init), hps), hps, keys))


def gradient_of(rows_of: Callable[[jax.Array, jax.Array], jax.Array]) -> Lanes:
    """Returns the gradient of a function of the looked-up rows of a table."""
    gradient = jax.vmap(jax.grad(lambda table, index: jnp.sin(rows_of(table, index)).sum()))
    table, index = jax.ShapeDtypeStruct((LANES, 59, 128), float), jax.ShapeDtypeStruct((LANES, 1740), int)
    return Lanes(gradient, (table, index))


LOOKUPS = {"plain": gradient_of(lambda table, index: table[index]), "look_up": gradient_of(look_up)}


def may_meet(hlo: str) -> list[str]:
    """Returns the scatters of floats that may meet in one place, where a GPU takes them in another order every time."""
    scatters = re.findall(r"^.*= .*f\d+\[.* scatter\(.*$", hlo, re.MULTILINE)
    return [line.strip() for line in scatters if "unique_indices=true" not in line]


def compile_for_h100(lanes: Lanes) -> str:
    """Returns the compiled program as HLO text."""
    target = topologies.get_topology_desc(platform="cuda", topology_name="h100", topology="1x1x1", target_config=H100)
    whole = NamedSharding(Mesh(np.array(target.devices), ("run",)), PartitionSpec())
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), lanes.shapes)
    return jax.jit(lanes.function).lower(*shapes).compile().as_text() or ""


def main(name: str, settings: str = "{}") -> None:
    """Prints as JSON the scatters of floats that may meet, the atomic instructions and the number of kernels."""
    jax.config.update("jax_default_matmul_precision", "highest")
    with tempfile.TemporaryDirectory() as dump:
        os.environ["XLA_FLAGS"] = f"--xla_dump_to={dump}"
        text = compile_for_h100(LOOKUPS[name] if name in LOOKUPS else training_step(name, json.loads(settings)))
        machine_code = "".join(path.read_text() for path in Path(dump).rglob("*.ptx"))
    atomics = sorted(set(re.findall(r"\b(?:atom|red)\.[\w.]+", machine_code)))
    print(json.dumps({"scatters": may_meet(text), "atomics": atomics, "kernels": machine_code.count(".entry")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
