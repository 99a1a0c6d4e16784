"""Load what the later stages start from: a bundle, or a single .tflite file, as a chain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trecx.bundle import Bundle, read_bundle
from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.policies import DevicePolicy, from_manifest
from trecx.tflite.importer import read_graph, read_model
from trecx.tflite.link import is_cascade, unlink


@dataclass(frozen=True, eq=False)
class Chain:
    """A network ready to be evaluated or compiled.

    graphs: the segments in order; a single .tflite file is a chain of one. policies: one for each
    early exit. digest: sha256 of the manifest or of the file. contents: the segments' .tflite
    files. bundle: None for a single file.
    """

    name: str
    graphs: list[Graph]
    policies: tuple[DevicePolicy, ...]
    digest: str
    contents: list[bytes]
    bundle: Bundle | None = None


def load_chain(path: Path) -> Chain:
    """Read a bundle folder or a .tflite file; a one-file cascade is taken apart into its segments.

    Raises InputError and its kinds.
    """
    path = Path(path)
    if path.is_dir():
        bundle = read_bundle(path)
        return Chain(
            bundle.task,
            bundle.graphs(),
            bundle.exit_policies(),
            bundle.digest,
            bundle.segment_bytes(),
            bundle,
        )
    if not path.exists():
        raise InputError(f"{path} does not exist: a bundle folder or a .tflite file is needed")
    with naming(path):
        return _chain_of_file(path.stem, path.read_bytes())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name in front of what an InputError says."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def _chain_of_file(name: str, content: bytes) -> Chain:
    parts, policies = [content], []
    if is_cascade(read_model(content)):
        parts, policies = unlink(content)
    return Chain(
        name,
        [read_graph(part) for part in parts],
        tuple(from_manifest(policy) for policy in policies),
        hashlib.sha256(content).hexdigest(),
        parts,
    )
