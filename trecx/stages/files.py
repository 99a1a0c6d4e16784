"""Inspect, cut and verify .tflite files and bundles: reports around the tools of their parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.bundle.verify import Verification, verify_bundle
from trecx.errors import DataError
from trecx.files import atomic_folder
from trecx.reports.document import Block, Document, Facts, Note, Table, count, kib
from trecx.stages.chain import naming
from trecx.tflite.cut import cut, cut_at_tensor, segment_names
from trecx.tflite.inspect import Inspection, SubgraphInfo, TensorInfo, inspect_model

CUT_MARKER = "segments.txt"


@dataclass(frozen=True)
class InspectionReport:
    name: str
    found: Inspection

    def to_json(self) -> dict:
        return {"report": "inspect", "file": self.name} | self.found.to_json()

    def document(self) -> Document:
        found = self.found
        facts = Facts(
            (
                ("file", f"{count(found.file_bytes)} bytes"),
                ("weights", f"{count(found.weight_bytes)} bytes"),
                ("subgraphs", count(len(found.subgraphs))),
                ("one-file cascade of trecx", "yes" if found.is_cascade else "no"),
            )
        )
        blocks: list[Block] = [facts]
        for number, subgraph in enumerate(found.subgraphs):
            blocks += _subgraph_blocks(number, subgraph)
        return Document(f"Model {self.name}", tuple(blocks))


@dataclass(frozen=True)
class VerificationReport:
    found: Verification

    @property
    def passed(self) -> bool:
        return self.found.passed

    def to_json(self) -> dict:
        return {"report": "verify"} | self.found.to_json()

    def document(self) -> Document:
        rows = tuple(
            (check.name, "yes" if check.passed else "NO", check.detail)
            for check in self.found.checks
        )
        exits = ", ".join(count(n) for n in self.found.exits)
        facts = Facts((("samples", count(self.found.samples)), ("stopped at segment", exits)))
        table = Table(("check", "agrees", "found"), rows)
        return Document(f"Verification of {self.found.bundle}", (facts, table))


def inspect_file(path: Path) -> InspectionReport:
    return InspectionReport(path.name, inspect_model(path))


def cut_file(
    path: Path, out: Path, *, tensor: str | None = None, exits: Sequence[str] = ()
) -> list[Path]:
    """Write the segments of a .tflite file to a folder; returns their paths, first to last."""
    content = path.read_bytes()
    with naming(path):
        parts = cut_at_tensor(content, tensor) if tensor is not None else cut(content, exits)
    names = [f"{name}.tflite" for name in segment_names(len(parts))]
    with atomic_folder(out, CUT_MARKER) as folder:
        for name, part in zip(names, parts, strict=True):
            (folder / name).write_bytes(part)
        (folder / CUT_MARKER).write_text("\n".join(names) + "\n")
    return [out / name for name in names]


def verify_files(
    path: Path, input_file: Path | None = None, *, samples: int = 500, progress=None
) -> VerificationReport:
    """Verify a bundle on random int8 samples, or on those of a .npy file."""
    inputs = None if input_file is None else _int8_samples(input_file)
    say = None if progress is None else lambda done, total: progress("verifying", done, total)
    return VerificationReport(verify_bundle(path, inputs, samples=samples, progress=say))


def _int8_samples(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a .npy file: {error}") from None
    if found.dtype != np.int8:
        raise DataError(f"{path}: samples to verify must be int8, got {found.dtype}")
    return found


def _short(name: str) -> str:
    """The first of the names that the converter joined; `trecx cut --at` takes it, too."""
    return name.split(";", 1)[0]


def _quantisation(tensor: TensorInfo) -> str:
    """Element type, and scale and zero point of a tensor that has one of each."""
    if len(tensor.scales) == len(tensor.zero_points) == 1:
        return f"{tensor.type} {tensor.scales[0]:.4g} ({tensor.zero_points[0]})"
    return tensor.type


def _subgraph_blocks(number: int, subgraph: SubgraphInfo) -> list[Block]:
    tensors = {t.index: t for t in subgraph.tensors}
    rows = tuple(
        (
            str(op.index),
            op.kind,
            "x".join(map(str, tensors[op.outputs[0]].shape)) if op.outputs else "",
            "" if op.macs is None else count(op.macs),
            "" if op.parameters is None else count(op.parameters),
            "" if op.supported else "UNSUPPORTED",
            _quantisation(tensors[op.outputs[0]]) if op.outputs else "",
            _short(tensors[op.outputs[0]].name) if op.outputs else "",
        )
        for op in subgraph.operators
    )
    facts_of_output = ("scale (zero point)", "output tensor")
    columns = ("index", "operator", "output", "MACs", "parameters", "", *facts_of_output)
    title = f"Subgraph {number} {subgraph.name}".rstrip()
    blocks: list[Block] = [Table(columns, rows, frozenset({0, 3, 4}), title)]
    if subgraph.unsupported:
        blocks.append(Note(f"Cannot be compiled: {subgraph.unsupported}"))
    facts = [("largest working set of activations", kib(subgraph.peak_activation_bytes))]
    if subgraph.macs is not None:
        facts.append(("MACs", count(subgraph.macs)))
    blocks.append(Facts(tuple(facts)))
    points = tuple(
        (_short(p.tensor), count(p.handoff_bytes), count(p.macs_before), count(p.macs_after))
        for p in subgraph.cut_points
        if p.possible
    )
    if points:
        columns = ("cut behind", "hand-off bytes", "MACs before", "MACs after")
        blocks.append(Table(columns, points, frozenset({1, 2, 3}), "Where it can be cut"))
    return blocks
