"""A bundle in memory: its manifest, and the models it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.bundle.folder import read_file
from trecx.ir.graph import Graph
from trecx.policies import DevicePolicy, from_manifest
from trecx.tflite.importer import read_graph


@dataclass(frozen=True)
class DataFacts:
    """The data set behind the figures; synthetic data are always labelled so."""

    name: str
    synthetic: bool


@dataclass(frozen=True)
class Quantised:
    """An int8 output: number of values, and real = scale * (q - zero_point)."""

    units: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Segment:
    """One segment of the chain. handoff: names of the tensors it gives to the next one."""

    file: str
    sha256: str
    macs: int
    parameters: int
    output: Quantised
    handoff: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose manifest and hashes have been checked.

    path: its folder. manifest: the parsed manifest.json. digest: sha256 of manifest.json; as it
    holds the hashes of the other files, it identifies the bundle.
    """

    path: Path
    manifest: dict
    digest: str

    @property
    def task(self) -> str:
        return self.manifest["task"]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.manifest["labels"])

    @property
    def data(self) -> DataFacts:
        return DataFacts(**self.manifest["data"])

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(
            Segment(
                s["file"],
                s["sha256"],
                s["macs"],
                s["parameters"],
                Quantised(**s["output"]),
                tuple(t["name"] for t in s["handoff"]),
            )
            for s in self.manifest["segments"]
        )

    def exit_policies(self) -> tuple[DevicePolicy, ...]:
        """The exit policy behind each segment but the last."""
        return tuple(from_manifest(entry) for entry in self.manifest["policies"])

    def segment_bytes(self) -> list[bytes]:
        """The segments' .tflite files."""
        return [self.read(s.file) for s in self.segments]

    def graphs(self) -> list[Graph]:
        """The segments as graphs, first to last."""
        return [read_graph(data) for data in self.segment_bytes()]

    def full_graph(self) -> Graph:
        """The uncut network; its outputs are in the file's order, not by depth."""
        return read_graph(self.read(self.manifest["full"]["file"]))

    def base_graph(self) -> Graph | None:
        """The network without exits, or None."""
        base = self.manifest["base"]
        return None if base is None else read_graph(self.read(base["file"]))

    def cascade_bytes(self) -> bytes | None:
        """The one-file cascade, or None when the policy cannot be expressed in one."""
        cascade = self.manifest["cascade"]
        return None if cascade is None else self.read(cascade["file"])

    def read(self, name: str) -> bytes:
        """Bytes of one of the bundle's files. Raises BundleError when it cannot be read."""
        return read_file(self.path, name)

    def quantise_input(self, x: np.ndarray) -> np.ndarray:
        """Real-valued inputs (N, ...) as int8 (N, *input shape without batch).

        round(x / scale) + zero_point in float32, ties to even, clipped, as TFLite's converter does.
        """
        entry = self.manifest["input"]
        q = np.rint(np.asarray(x, np.float32) / np.float32(entry["scale"])) + entry["zero_point"]
        return np.clip(q, -128, 127).astype(np.int8).reshape(-1, *entry["shape"][1:])
