"""Access to the files of a bundle's folder."""

from __future__ import annotations

from pathlib import Path

from trecx.errors import BundleError


def read_file(folder: Path, name: str, limit: int = 2**31) -> bytes:
    """Bytes of a file of the bundle.

    Raises BundleError when it is missing, over `limit` bytes, or a link out of the folder.
    """
    file = folder / name
    try:
        if file.resolve().parent != folder.resolve():
            raise BundleError(f"{name!r} lies outside the bundle {folder}")
        if file.exists() and not file.is_file():
            raise BundleError(f"{file} is no regular file")
        if file.stat().st_size > limit:
            raise BundleError(f"{file} is over {limit} bytes")
        return file.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {file}: {error.strerror or error}") from None
