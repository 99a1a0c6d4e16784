"""Where the instructions of an inference go, layer by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trecx.reports.document import Document, Facts, Figure, Note, Table, count, percent
from trecx.reports.svg import COLOURS, bars


@dataclass(frozen=True)
class StepTime:
    """One step of the generated code, or another function that runs in an inference.

    part: "backbone", "exit head", "exit assistance", "exit decision" or "other".
    instructions: executed in one inference, exact. cycles: from the core's cycle model, estimated.
    only_when_taken: whether it runs only in inferences that end at its segment.
    """

    segment: int
    name: str
    kind: str
    scheme: str
    part: str
    instructions: int
    macs: int = 0
    cycles: int | None = None
    only_when_taken: bool = False

    def runs_until(self, segment: int) -> bool:
        """Whether it is part of an inference that ends at `segment`."""
        return self.segment == segment if self.only_when_taken else self.segment <= segment


@dataclass(frozen=True)
class LatencyReport:
    """Instructions of one inference through all segments.

    calibrated_exit_rates: share of samples that stops at each segment, or None.
    """

    model: str
    target: str
    steps: tuple[StepTime, ...]
    segments: int
    exit_rates: tuple[float, ...] | None = None
    cycle_model: str = ""

    @property
    def paths(self) -> tuple[int, ...]:
        """Instructions of an inference that stops at segment k."""
        return tuple(
            sum(s.instructions for s in self.steps if s.runs_until(k)) for k in range(self.segments)
        )

    @property
    def expected(self) -> float | None:
        """Mean instructions at the exit rates."""
        if self.exit_rates is None:
            return None
        return sum(r * p for r, p in zip(self.exit_rates, self.paths, strict=True))

    @property
    def decision_share(self) -> float | None:
        """Instructions of the first exit decision, as a share of the first exit's path."""
        decision = [s for s in self.steps if s.part == "exit decision" and s.segment == 0]
        return sum(s.instructions for s in decision) / self.paths[0] if decision else None

    def to_json(self) -> dict:
        return (
            {"report": "latency"}
            | asdict(self)
            | {
                "path_instructions": list(self.paths),
                "expected_instructions": self.expected,
                "exit_decision_share": self.decision_share,
            }
        )

    def document(self) -> Document:
        blocks = [self._facts(), self._table(), Figure(self.svg(), "instructions by step")]
        if self.has_cycles:
            source = f" ({self.cycle_model})" if self.cycle_model else ""
            blocks.append(Note(f"Cycles are estimated by a model of the core{source}."))
        return Document(f"Instructions of {self.model} on {self.target}", tuple(blocks))

    @property
    def has_cycles(self) -> bool:
        return any(s.cycles is not None for s in self.steps)

    def svg(self) -> str:
        parts = list(dict.fromkeys(s.part for s in self.steps))
        whole = self.paths[-1] or 1
        rows = [
            (
                f"{s.segment}: {s.name}",
                float(s.instructions),
                f"{count(s.instructions)} ({percent(s.instructions / whole)})",
                COLOURS[parts.index(s.part) % len(COLOURS)],
            )
            for s in self.steps
        ]
        return bars(rows, f"Instructions of {self.model} on {self.target}")

    def _facts(self) -> Facts:
        names = [f"exit {k + 1} taken" for k in range(self.segments - 1)] + ["full depth"]
        rows = [
            (name, f"{count(path)} instructions")
            for name, path in zip(names, self.paths, strict=True)
        ]
        if self.expected is not None:
            rows.append(("expected at the exit rates", f"{count(self.expected)} instructions"))
        if self.decision_share is not None:
            rows.append(("exit decision, of the exit path", percent(self.decision_share, 3)))
        return Facts(tuple(rows))

    def _table(self) -> Table:
        whole = self.paths[-1] or 1
        rows = []
        for s in self.steps:
            rate = f"{s.macs / s.instructions:.3f}" if s.macs and s.instructions else ""
            row = [str(s.segment), s.name, s.kind, s.scheme, s.part, count(s.instructions)]
            row += [percent(s.instructions / whole), rate]
            if self.has_cycles:
                row.append("" if s.cycles is None else count(s.cycles))
            rows.append(tuple(row))
        columns = ["segment", "step", "operator", "scheme", "part", "instructions", "share"]
        columns += ["MAC/instr."] + (["cycles (est.)"] if self.has_cycles else [])
        return Table(tuple(columns), tuple(rows), frozenset({5, 6, 7, 8}), "By step")
