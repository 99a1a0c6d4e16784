"""The folder for things that can be made again: objects, the profiler's plugin."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from trecx.errors import InputError

_KEEP_SECONDS = 30 * 24 * 3600


def cache_folder(kind: str) -> Path:
    """A folder under $TRECX_CACHE, $XDG_CACHE_HOME/trecx or ~/.cache/trecx; created if needed."""
    base = os.environ.get("TRECX_CACHE")
    if not base:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trecx"
    folder = Path(base) / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot create the cache folder {folder}: {error.strerror}; "
            "set TRECX_CACHE to a folder that can be written"
        ) from error
    return folder


def touch(path: Path) -> None:
    """Mark as used now, so that `prune` keeps it."""
    with contextlib.suppress(OSError):
        os.utime(path)


def prune(folder: Path) -> None:
    """Delete files that were not used for a month."""
    oldest = time.time() - _KEEP_SECONDS
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
