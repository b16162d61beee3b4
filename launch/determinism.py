"""Trains the same seeds alone, in lanes and in wider lanes: which of them grok may change, how many may not.

python -m launch.determinism [--seeds=0:64] [--out=runs/determinism]

Lanes of another group size add up in another order, and chaos grows the rounding: near the edge the seed that groks in
time may be another one. What a sweep says of a phenomenon is the rate, which must be the same (DESIGN, first promise).
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from experiments.grokking import experiment
from phenom_jax.claims import Claim, Source, agrees, below
from phenom_jax.claims.lift import Finding, decide_all
from phenom_jax.cli.main import INTERRUPTED, launch
from phenom_jax.laws.intervals import sign_test
from phenom_jax.report.confirmed import origin, row
from phenom_jax.store.atomic import write_whole
from phenom_jax.store.config import read_config
from phenom_jax.store.dataset import open_results
from phenom_jax.training.stop import leaving_at_once

# perceptrons of which about half generalise within their steps
FLAGS = {
    "modulus": "31",
    "activation": "quadratic",
    "width": "48",
    "weight_decay": "0.5",
    "steps": "1030",
    "expensive_points": "0",
}
GROUPS = {"alone": 1, "lanes": 4, "wide": 32}
OOTANI = Source("Ootani 2026 (another thread count)")


def flips(runs: xr.Dataset) -> bool:
    """Whether a seed generalises in one layout and not in another."""
    return len(np.unique(_generalised(runs))) > 1


def differences(runs: xr.Dataset) -> dict[str, float]:
    """Share of seeds that generalise in lanes minus alone."""
    found = dict(zip(runs["layout"].values.tolist(), _generalised(runs).astype(float).tolist()))
    return {layout: found[layout] - found["alone"] for layout in GROUPS if layout != "alone"}


CLAIMS = (
    Claim(
        "The share of seeds that generalise is the same alone and in lanes.",
        OOTANI,
        differences,
        agrees(0, by=0.1),
        published="74 against 81 of 300, McNemar p = .39",
    ),
    Claim(
        "Which seeds generalise hardly depends on the layout.",
        OOTANI,
        flips,
        below(0.16),
        scale="share",
        published="16 % of 300 seeds flip",
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 done, 2 bad input, that of the training where it did not end well."""
    parser = argparse.ArgumentParser(prog="python -m launch.determinism", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", default="0:64", help="an axis of seeds, as 0:64")
    parser.add_argument("--out", type=Path, default=Path("runs/determinism"), help="where the three sweeps are kept")
    asked = parser.parse_args(arguments)
    flags = [f"--{name}={value}" for name, value in FLAGS.items()]
    for layout, group in GROUPS.items():
        own = [f"--seed={asked.seeds}", f"--group={group}", f"--out={asked.out / layout}", "--noreport"]
        words = [*flags, *own, "--notensorboard"]
        typed = shlex.join(["python", "-m", "launch.grokking", *words])
        with leaving_at_once(INTERRUPTED, "all is kept; the same command goes on"):
            code = launch(experiment, words, typed)
        if code:
            return code
    findings = decide_all(CLAIMS, together(asked.out))
    record = origin(experiment, read_config(asked.out / "alone"))._replace(experiment="determinism", flags=FLAGS)
    rows = [row(finding, record) for finding in findings]
    write_whole(asked.out / "claims.json", json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    print("\n".join(said(findings)))
    return 0


def together(out: Path) -> xr.Dataset:
    """Returns the runs of all layouts, with the layout as a coordinate."""
    sweeps = [open_results(out / layout / "results.zarr") for layout in GROUPS]
    named = [each.assign_coords(layout=("run", [name] * each.sizes["run"])) for name, each in zip(GROUPS, sweeps)]
    return experiment.summarise(
        xr.concat(
            named,
            "run",
            combine_attrs="override",
            join="outer",
            data_vars="minimal",
            coords="minimal",
            compat="override",
        )
    )


def said(findings: Sequence[Finding]) -> list[str]:
    """Returns the findings in words, with the exact McNemar test of each layout against running alone."""
    lines = [f"{finding.verdict:>10}  {finding.claim.statement} {finding}" for finding in findings]
    numbers: Mapping[str, np.ndarray] = findings[0].numbers
    for layout, changed in numbers.items():
        gained, lost = int((changed > 0).sum()), int((changed < 0).sum())
        lines.append(f"{layout}: {gained} seeds gained, {lost} lost, McNemar p = {sign_test(changed):.2g}")
    return lines


def _generalised(runs: xr.Dataset) -> np.ndarray:
    return np.isfinite(runs["generalisation_step"].values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
