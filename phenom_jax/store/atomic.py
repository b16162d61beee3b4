"""Files that are there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes `content` beside `path` and moves it there; a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    beside.write_bytes(content if isinstance(content, bytes) else content.encode())
    beside.replace(path)
