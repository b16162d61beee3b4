"""Runs the benchmarks: ours, the peer's, the ratio.

python -m launch.benchmark                                  all of them, about ten minutes on two CPU cores
python -m launch.benchmark --only=grokking_mlp --json=benchmark.json

Measures on a quiet machine: every comparison takes turns and the best of each side, but PyTorch's threads suffer more
from neighbours than JAX's. PyTorch is needed for four of them: pip install '.[bench]'. llc_devinterp
needs the package of that name as well: pip install '.[bench_llc]'
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
from absl import flags
from rich.console import Console
from rich.table import Table

from launch.benchmark.chains import llc_devinterp, llc_seconds
from launch.benchmark.comparison import Comparison
from launch.benchmark.costs import overhead, resume_seconds, start_seconds
from launch.benchmark.linear import linear_grid
from launch.benchmark.networks import network_sweep
from launch.benchmark.perceptron import grokking_mlp
from launch.benchmark.small import parity_mlp, parity_vmap
from launch.benchmark.sweeps import many_runs, mixed_widths
from phenom_jax.cli.main import BAD_INPUT, FILE_WIDTH
from phenom_jax.device.devices import Devices, all_devices
from phenom_jax.device.program import AXIS
from phenom_jax.device.start import start_jax
from phenom_jax.hparams import InvalidValue
from phenom_jax.sweep.axes import nearest
from phenom_jax.sweep.settings import Settings

BENCHMARKS: dict[str, Callable[..., Iterator[Comparison]]] = {
    "grokking_mlp": grokking_mlp,
    "parity_mlp": parity_mlp,
    "parity_vmap": parity_vmap,
    "linear_grid": linear_grid,
    "network_sweep": network_sweep,
    "llc_devinterp": llc_devinterp,
    "llc_seconds": llc_seconds,
    "mixed_widths": mixed_widths,
    "many_runs": many_runs,
    "overhead": overhead,
    "start_seconds": start_seconds,
    "resume_seconds": resume_seconds,
}

PEERS = {"torch": ("PyTorch", "bench"), "devinterp": ("devinterp", "bench_llc")}  # by module: name, extra


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, or 2 for bad input."""
    values = flags.FlagValues()
    flags.DEFINE_list("only", list(BENCHMARKS), f"which benchmarks, of {', '.join(BENCHMARKS)}", flag_values=values)
    flags.DEFINE_string("json", None, "a file to write the numbers to", flag_values=values)
    flags.DEFINE_bool("help", False, "what this does", flag_values=values)
    try:
        words = values(["", *arguments])[1:]
        for name in values.only:
            if name not in BENCHMARKS:
                raise InvalidValue(f"only: {name!r} is not one of {', '.join(BENCHMARKS)}{nearest(name, BENCHMARKS)}")
        if words:
            raise InvalidValue(f"{words[0]}: a stray word, allowed are flags --name=value")
        if values.json and not os.access(Path(values.json).absolute().parent, os.W_OK):
            raise InvalidValue(f"json: cannot write {values.json}, allowed is a file in a directory that exists")
    except (flags.Error, InvalidValue) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    if values.help:
        print(f"{__doc__}\n{values.main_module_help()}")
        return 0
    with tempfile.TemporaryDirectory() as cache:  # layouts are probed here and now
        start_jax(Settings(), Path(cache))
        found = list(run(values.only, all_devices(AXIS)))
    show(found, Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH))
    if values.json:
        Path(values.json).write_text(json.dumps(as_json(found), indent=1) + "\n")
    return 0


def run(names: Sequence[str], devices: Devices) -> Iterator[Comparison]:
    """Yields the comparisons of these benchmarks; those whose peer is not installed are named and left out."""
    for name in names:
        try:
            for comparison in BENCHMARKS[name](devices):
                print(f"{comparison.name}: {comparison.ours:.4g} {comparison.unit}", flush=True)
                yield comparison
        except ModuleNotFoundError as error:
            if error.name not in PEERS:
                raise
            said, extra = PEERS[error.name]
            print(f"{name}: left out, {said} is not installed: pip install '.[{extra}]'", flush=True)


def show(comparisons: Sequence[Comparison], console: Console) -> None:
    """Prints the comparisons as a table."""
    table = Table(title=machine())
    for heading in ("benchmark", "ours", "peer", "ratio", "target", "unit", "peer is"):
        table.add_column(heading, justify="right" if heading in ("ours", "peer", "ratio", "target") else "left")
    for item in comparisons:
        peer = "" if item.peer is None else f"{item.peer:,.4g}"
        ratio = "" if item.ratio is None else f"{item.ratio:.2f}"
        table.add_row(item.name, f"{item.ours:,.4g}", peer, ratio, item.target, item.unit, item.note)
    console.print(table)


def as_json(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    """Returns what `--json` writes: per comparison its numbers and where they were measured."""
    return [item._asdict() | {"ratio": item.ratio, "machine": machine()} for item in comparisons]


def machine() -> str:
    """Returns in a line what the numbers were measured on."""
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    load = os.getloadavg()[0]
    return f"{_processor()}, {os.cpu_count()} cores, JAX {jax.__version__} on {devices}, load {load:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
