"""Where results come from: the starts of a run directory, each with its command, its code and what it computed with."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

import phenom_jax

RECORDED = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
CODE = (":/phenom_jax", ":/experiments", ":/launch")


@dataclasses.dataclass(frozen=True)
class Environment:
    """What the results were computed with.

    Attributes:
      versions: of Python and the libraries that compute.
      commit: of the checkout this package lies in, or None outside one.
      modified: whether tracked code of that checkout differs from the commit.
      processor: of the host.
      untracked: files of code in that checkout that no commit has.
    """

    versions: Mapping[str, str]
    commit: str | None
    modified: bool
    platform: str
    device: str
    device_count: int
    processor: str = ""
    untracked: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Start:
    """One start of a run directory.

    Attributes:
      started: when.
      command: as typed.
      code: its digest, as in `Config.codes` and the results; nothing where none was kept.
      accepted: digests of other codes, whose runs this start was told to keep beside its own.
    """

    started: str
    command: str
    environment: Environment
    code: str = ""
    accepted: tuple[str, ...] = ()


def read_environment(found: Mapping[str, Any]) -> Environment:
    """Returns an environment as JSON has it."""
    return Environment(**{**found, "untracked": tuple(found.get("untracked", ()))})


def read_start(found: Mapping[str, Any]) -> Start:
    """Returns a start as JSON has it."""
    held = {"environment": read_environment(found["environment"]), "accepted": tuple(found["accepted"])}
    return Start(**{**found, **held})


def environment() -> Environment:
    """Returns what this process computes with; starts JAX."""
    commit = _git("rev-parse", "HEAD") if _git("ls-files", "--error-unmatch", "__init__.py") is not None else None
    # what is ignored on purpose (a cache) is no code; a new module not yet added is
    untracked = _git("ls-files", "--others", "--exclude-standard", "--full-name", "--", *CODE) if commit else None
    device = jax.devices()[0]
    return Environment(
        versions={"phenom_jax": phenom_jax.__version__, "python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in RECORDED},
        commit=commit,
        modified=bool(commit and _git("status", "--porcelain", "--untracked-files=no", "--", *CODE)),
        platform=device.platform,
        device=device.device_kind,
        device_count=jax.device_count(),
        processor=_processor(),
        untracked=tuple((untracked or "").splitlines()),
    )


def _processor() -> str:
    """Returns the name of this machine's processor and its cores."""
    named = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{named or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git(*arguments: str) -> str | None:
    """Returns what git says of the checkout this package lies in, or None where there is no git or no checkout."""
    here = Path(phenom_jax.__file__).parent
    try:
        asked = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True)
    except OSError:
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None
