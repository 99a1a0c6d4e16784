"""Overthinking as a report: how much there is, what recovers it, and what cannot be beaten."""

from __future__ import annotations

from dataclasses import dataclass

from trecx.policies.overthinking import Overthinking
from trecx.reports.accuracy import interval
from trecx.reports.document import SYNTHETIC, Document, Facts, Note, Table, count, percent


@dataclass(frozen=True)
class OverthinkingReport:
    model: str
    analysis: Overthinking
    synthetic_data: bool = False

    def to_json(self) -> dict:
        extra = {"model": self.model, "synthetic_data": self.synthetic_data}
        return self.analysis.to_json() | extra

    def document(self) -> Document:
        a = self.analysis
        last = len(a.segment_accuracy) - 1
        rows = [
            ("full depth" if k == last else f"exit {k + 1}", interval(accuracy))
            for k, accuracy in enumerate(a.segment_accuracy)
        ]
        rows += [
            ("an exit right, full depth wrong", interval(a.overthought)),
            ("an exit right, full depth right", interval(a.needless)),
            ("full depth alone right", interval(a.only_full)),
            ("none right", interval(a.none)),
        ]
        oracle = (
            ("accuracy", interval(a.oracle_accuracy)),
            (f"mean {a.cost_unit}", count(a.oracle_cost)),
            ("reduction", percent(a.oracle_reduction)),
        )
        blocks = [
            Facts(tuple(rows), f"{a.split} split, {count(a.samples)} samples"),
            Facts(oracle, "Oracle: stop at the first exit that is right"),
        ]
        if a.mitigations:
            blocks.append(self._mitigations())
        blocks.append(
            Note(
                "Overthinking: an exit is right and the full depth is wrong. Recovered: such "
                "samples that the mitigation answers right; broken: samples that only the full "
                "depth without it answers right."
            )
        )
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        return Document(f"Overthinking of {self.model}", tuple(blocks))

    def _mitigations(self) -> Table:
        rows = tuple(
            (
                m.name,
                interval(m.accuracy),
                interval(m.gain, unit="points"),
                f"{count(m.recovered)} of {count(m.overthought)}",
                count(m.broken),
            )
            for m in self.analysis.mitigations
        )
        columns = ("mitigation", "accuracy", "gain over full depth", "recovered", "broken")
        return Table(columns, rows, frozenset({1, 2, 3, 4}), "Mitigations")
