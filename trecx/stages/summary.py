"""What a bundle is made of and what it reaches on the test split, as a short report."""

from __future__ import annotations

from dataclasses import dataclass

from trecx.bundle import Bundle, TflmModel
from trecx.policies.evaluation import Evaluation
from trecx.reports.accuracy import AccuracyReport
from trecx.reports.document import Document, Table, count, kib


@dataclass(frozen=True, eq=False)
class BundleSummary:
    """The parts of a bundle and the test figures of its manifest."""

    bundle: Bundle

    def to_json(self) -> dict:
        return {"report": "bundle", "path": str(self.bundle.path), **self.bundle.manifest}

    def document(self) -> Document:
        bundle = self.bundle
        rows = tuple(
            (s.file, count(s.macs), count(s.parameters), kib(len(bundle.read(s.file))))
            for s in bundle.segments
        )
        parts = Table(("segment", "MACs", "parameters", "file"), rows, frozenset({1, 2, 3}))
        blocks = [parts]
        if bundle.manifest["test"] is not None:
            policies = ", ".join(policy.kind for policy in bundle.exit_policies()) or "none"
            accuracy = AccuracyReport(
                bundle.task,
                policies,
                (Evaluation.from_json(bundle.manifest["test"]),),
                bundle.data.synthetic,
            )
            blocks += accuracy.document().blocks
        return Document(f"Bundle {bundle.path}: {bundle.data.name}", tuple(blocks))


@dataclass(frozen=True)
class TflmSummary:
    """A bundle's models as sources for TensorFlow Lite Micro, with their arenas."""

    models: tuple[TflmModel, ...]
    out: str

    def to_json(self) -> dict:
        models = [
            {
                "name": model.name,
                "file_bytes": model.file_bytes,
                "arena_bytes": None if model.arena is None else model.arena.total,
            }
            for model in self.models
        ]
        return {"report": "tflm", "out": self.out, "models": models}

    def document(self) -> Document:
        rows = tuple(
            (
                m.name,
                count(m.file_bytes),
                "not measured" if m.arena is None else count(m.arena.total),
            )
            for m in self.models
        )
        table = Table(("model", "bytes", "arena bytes (64-bit host)"), rows, frozenset({1, 2}))
        return Document(f"For TensorFlow Lite Micro: {self.out}", (table,))
