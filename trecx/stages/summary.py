"""What a bundle is made of and what it reaches on the test split, as a short report."""

from __future__ import annotations

from dataclasses import dataclass

from trecx.bundle import Bundle
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
