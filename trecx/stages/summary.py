"""What a bundle is made of and what it reaches on the test split, as a short report."""

from __future__ import annotations

from dataclasses import dataclass

from trecx.bundle import Bundle, TflmModel
from trecx.policies.evaluation import Evaluation
from trecx.reports.accuracy import AccuracyReport, count_interval, interval
from trecx.reports.document import Document, Facts, Table, count, kib


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
            calibration = bundle.manifest["calibration"]
            if calibration is not None:
                blocks.append(calibration_facts(calibration))
            policies = ", ".join(policy.kind for policy in bundle.exit_policies()) or "none"
            accuracy = AccuracyReport(
                bundle.task,
                policies,
                (Evaluation.from_json(bundle.manifest["test"]),),
                bundle.data.synthetic,
            )
            blocks += accuracy.document().blocks
        return Document(f"Bundle {bundle.path}: {bundle.data.name}", tuple(blocks))


def calibration_facts(calibration: dict) -> Facts:
    """How the exit policies were chosen, and what they do on the samples they were chosen on."""
    expected = Evaluation.from_json(calibration["expected"])
    rows = [
        (f"exit {number} stops when", _rule(rule))
        for number, rule in enumerate(calibration["rules"], start=1)
    ]
    if "budget" in calibration:
        rows.append(("budget", _budget(calibration["budget"], expected.cost_unit)))
    rows += [
        ("expected accuracy", interval(expected.accuracy)),
        ("expected loss against full depth", interval(expected.accuracy_loss, unit="points")),
        (f"expected mean {expected.cost_unit}", count_interval(expected.cost)),
    ]
    if calibration.get("guarantee"):
        rows.append(("guarantee", _guarantee(calibration["guarantee"])))
    title = f"calibration split, {count(expected.samples)} samples: the exits were chosen on these"
    return Facts(tuple(rows), title)


def _rule(rule: dict | None) -> str:
    """A rule of `trecx.policies.rules` in words."""
    if rule is None:
        return "never"
    words = {
        "max_softmax": "the largest probability exceeds {threshold:.4f}",
        "class_gate": "the largest probability exceeds the threshold of its class "
        "({low:.4f} to {high:.4f})",
        "entropy": "the entropy is at most {limit:.4f} nats",
        "margin": "the two largest probabilities differ by at least {limit:.4f}",
        "confidence": "the confidence is at least {limit:.4f}",
    }
    limits = rule.get("thresholds", (0.0,))
    return words[rule["rule"]].format(**rule, low=min(limits), high=max(limits))


def _budget(budget: dict, unit: str) -> str:
    parts = []
    if budget["max_accuracy_loss"] is not None:
        reference = budget["reference"]
        against = {"full": "the full depth", "base": "the base model"}.get(reference, reference)
        parts.append(f"at most {budget['max_accuracy_loss']:g} points below {against}")
    if budget["max_cost"] is not None:
        parts.append(f"at most {count(budget['max_cost'])} mean {unit}")
    return " and ".join(parts)


def _guarantee(guarantee: dict) -> str:
    return (
        f"with probability {guarantee['probability']:g} new samples lose at most "
        f"{guarantee['max_accuracy_loss']:g} points ({count(guarantee['samples'])} samples, "
        f"p = {guarantee['p_value']:.2g})"
    )


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
