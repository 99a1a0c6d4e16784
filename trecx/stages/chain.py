"""Load what the later stages start from: a bundle, or a single .tflite file, as a chain."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from trecx.bundle import Bundle, read_bundle
from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.policies import DevicePolicy
from trecx.tflite.importer import read_graph


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
    """Read a bundle folder or a .tflite file. Raises InputError and its kinds."""
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
    content = path.read_bytes()
    graph = read_graph(content)
    return Chain(path.stem, [graph], (), hashlib.sha256(content).hexdigest(), [content])
