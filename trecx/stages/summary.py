"""What a bundle is and what it reaches, as a short report."""

from __future__ import annotations

from dataclasses import dataclass

from trecx.bundle import Bundle
from trecx.reports.document import Block, Document, Facts, Note, Table, count, kib, percent


@dataclass(frozen=True)
class EvalSummary:
    """Figures of one split (trecx.policies.evaluation.Evaluation as JSON), and of which data."""

    data: str
    synthetic: bool
    figures: dict

    def to_json(self) -> dict:
        return {"report": "eval", "data": self.data, "synthetic": self.synthetic, **self.figures}

    def document(self) -> Document:
        return Document("Evaluation", evaluation_blocks(self.data, self.synthetic, self.figures))


@dataclass(frozen=True, eq=False)
class BundleSummary:
    """The parts of a bundle and its test figures."""

    bundle: Bundle

    def to_json(self) -> dict:
        return {"report": "bundle", "path": str(self.bundle.path), **self.bundle.manifest}

    def document(self) -> Document:
        bundle = self.bundle
        rows = tuple(
            (s.file, count(s.macs), count(s.parameters), kib(len(bundle.read(s.file))))
            for s in bundle.segments
        )
        columns = ("segment", "MACs", "parameters", "file")
        blocks: list[Block] = [Table(columns, rows, frozenset({1, 2, 3}))]
        if bundle.manifest["test"] is not None:
            data = bundle.data
            blocks += evaluation_blocks(data.name, data.synthetic, bundle.manifest["test"])
        return Document(f"Bundle {bundle.path}", tuple(blocks))


def bundle_summary(bundle: Bundle) -> BundleSummary:
    return BundleSummary(bundle)


def evaluation_blocks(data: str, synthetic: bool, figures: dict) -> tuple[Block, ...]:
    """Accuracy, exit rates and cost of one split; intervals in brackets."""
    rows = [("data", data + (" (SYNTHETIC)" if synthetic else ""))]
    rows.append(("samples", f"{count(figures['samples'])} of the {figures['split']} split"))
    accuracies = figures["segment_accuracy"]
    for k, accuracy in enumerate(accuracies[:-1]):
        rows.append((f"accuracy at exit {k + 1}", _interval(accuracy)))
    rows.append(("accuracy at full depth", _interval(accuracies[-1])))
    if figures["base_accuracy"] is not None:
        rows.append(("accuracy of the base model", _interval(figures["base_accuracy"])))
    if len(accuracies) > 1:
        rows.append(("accuracy with early exit", _interval(figures["accuracy"])))
        for k, rate in enumerate(figures["exit_rates"][:-1]):
            rows.append((f"exit rate at exit {k + 1}", _interval(rate)))
        unit = figures["cost_unit"]
        rows.append((f"average {unit}", f"{count(figures['cost']['value'])}"))
        rows.append((f"{unit} of the base model", count(figures["reference_cost"])))
        rows.append((f"reduction of {unit}", _interval(figures["reduction"])))
    level = figures["interval_level"]
    note = f"In brackets: bootstrap intervals over the samples at level {level:g}."
    return (Facts(tuple(rows)), Note(note))


def _interval(estimate: dict) -> str:
    low, high = percent(estimate["low"]), percent(estimate["high"])
    return f"{percent(estimate['value'])} [{low}, {high}]"
