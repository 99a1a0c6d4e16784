"""Write files and folders so that a reader never sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trecx.errors import InputError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write to a temporary name beside `path`, then rename over it."""
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=_existing_parent(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """A temporary folder to fill; on success it becomes `path`, on an error it vanishes.

    marker: a file that every folder of this kind contains. An existing folder is replaced only
    when it is empty or contains the marker, so that a wrong path never deletes a user's files;
    InputError otherwise.
    """
    path = Path(path)
    if path.exists() and not (
        path.is_dir() and ((path / marker).exists() or not any(path.iterdir()))
    ):
        raise InputError(
            f"{path} exists and was not written by trecx (it has no {marker}): "
            "choose another folder, or remove it first"
        )
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=_existing_parent(path)))
    try:
        yield work
        work.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _existing_parent(path: Path) -> Path:
    parent = path.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {parent}: {error.strerror}") from error
    if not os.access(parent, os.W_OK):
        raise InputError(f"cannot write to {parent}: permission denied")
    return parent
