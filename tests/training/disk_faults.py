"""A sweep whose disk fails while it trains: `python disk_faults.py FAULT CHUNKS OUT`, flags of the toy after that.

FAULT is `full` (files may not grow, as on a full disk) or `read-only` (no directory of the run may be written); it
comes with the second chunk and passes after CHUNKS more.
"""

import ctypes
import resource
import sys
from pathlib import Path

from toy import toy

from phenom_jax.cli import main as launch
from phenom_jax.device import layout
from phenom_jax.training import ledger, program, sweep
from phenom_jax.training.stop import Stop


def drop_capabilities() -> None:
    """Makes file modes count for root as well."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)())


def set_full(failing: bool) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 if failing else hard, hard))


def set_read_only(failing: bool) -> None:
    folders = [OUT, *(path for path in OUT.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555 if failing else 0o755)


class Meddling(Stop):
    """Counts chunks, for the host asks once per chunk whether to stop."""

    looks = 0

    @property
    def requested(self) -> str | None:
        Meddling.looks += 1
        if Meddling.looks == 2:
            set_fault(True)
        if Meddling.looks == 2 + CHUNKS:
            set_fault(False)
        return super().requested


if __name__ == "__main__":
    fault, chunks, out, *flags = sys.argv[1:]
    CHUNKS, OUT = int(chunks), Path(out)
    set_fault = {"full": set_full, "read-only": set_read_only}[fault]
    drop_capabilities()
    sweep.Stop = Meddling
    layout.CHUNK_SECONDS = 0.02
    program.RETRY_SECONDS = ledger.RETRY_SECONDS = 0.01
    code = launch.launch(toy, [*flags, f"--out={out}", "--noreport", "--notensorboard"], "the same command")
    set_fault(False)
    sys.exit(code)
