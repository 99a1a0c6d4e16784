"""Write files and folders so that a reader never sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

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


def require_whole_archive(path: Path) -> None:
    """InputError, with the reason alone as its message, unless all of a zip archive is as it was
    written."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    # zipfile raises RuntimeError for what it takes for encryption or a newer version.
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise InputError(str(error)) from None
    if damaged is not None:
        raise InputError(f"the checksum of {damaged} differs")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file; raises as `require_whole_archive`."""
    require_whole_archive(path)
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def require_replaceable(path: Path, marker: str) -> None:
    """InputError unless `path` is free, empty, or a folder that trecx wrote.

    marker: a file that every folder of this kind contains. A wrong path never deletes a user's
    files; long work calls this first, so that it does not fail at its end.
    """
    path = Path(path)
    if path.exists() and not (
        path.is_dir() and ((path / marker).exists() or not any(path.iterdir()))
    ):
        raise InputError(
            f"{path} exists and was not written by trecx (it has no {marker}): "
            "choose another folder, or remove it first"
        )
    _existing_parent(path)


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """A temporary folder to fill; on success it becomes `path`, on an error it vanishes.

    An existing folder is replaced only as `require_replaceable` allows.
    """
    path = Path(path)
    require_replaceable(path, marker)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=_existing_parent(path)))
    try:
        yield work
        work.chmod(0o755)
        _swap(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _swap(new: Path, path: Path) -> None:
    """Put a folder in the place of another. Two renames: a crash between them loses neither."""
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    try:
        if path.exists():
            os.replace(path, old)
        os.replace(new, path)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _existing_parent(path: Path) -> Path:
    parent = path.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {parent}: {error.strerror}") from error
    if not os.access(parent, os.W_OK):
        raise InputError(f"cannot write to {parent}: permission denied")
    return parent
