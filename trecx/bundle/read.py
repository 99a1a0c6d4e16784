"""Read a bundle and refuse one that is incomplete, altered or of another version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from trecx.bundle.bundle import Bundle
from trecx.bundle.folder import read_file
from trecx.bundle.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    require_valid,
    require_version,
)
from trecx.errors import BundleError


def read_bundle(path: Path) -> Bundle:
    """Read a bundle folder and check its manifest and the hash of every file.

    Raises BundleError when something is missing, altered, of another version or not as the
    schema says; the message names it.
    """
    path = Path(path)
    if not (path / MANIFEST).is_file():
        raise BundleError(f"no bundle at {path}: a folder with a {MANIFEST} is expected")
    raw = read_file(path, MANIFEST, MAX_MANIFEST_BYTES)
    manifest = _parse(path, raw)
    try:
        require_version(manifest)
        require_valid(manifest)
        for entry in _file_entries(manifest):
            _require_hash(path, entry)
    except BundleError as error:
        raise BundleError(f"bundle {path}: {error}") from None
    return Bundle(path, manifest, hashlib.sha256(raw).hexdigest())


def _parse(path: Path, raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path / MANIFEST} is not valid JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _file_entries(manifest: dict) -> list[dict]:
    optional = [manifest["base"], manifest["cascade"]]
    return [manifest["full"], *manifest["segments"], *(e for e in optional if e is not None)]


def _require_hash(path: Path, entry: dict) -> None:
    found = hashlib.sha256(read_file(path, entry["file"])).hexdigest()
    if found != entry["sha256"]:
        raise BundleError(
            f"{entry['file']} does not match its hash in the manifest (found {found[:12]}..., "
            f"expected {entry['sha256'][:12]}...): the file was altered or damaged"
        )
