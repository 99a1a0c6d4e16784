"""What happened when samples ran on a target: answers, exits, instructions, memory, exactness."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from trecx.reports.document import SYNTHETIC, Document, Facts, Table, count, kib, percent


@dataclass(frozen=True)
class PathInstructions:
    """Instructions of the inferences that took one path; p50, p95 and worst are of real samples."""

    path: str
    samples: int
    mean: float
    p50: int
    p95: int
    worst: int


@dataclass(frozen=True)
class Memory:
    """Bytes on the target. flash: section -> bytes. stack_used: high-water mark; None: unknown."""

    flash: dict[str, int]
    static_ram: int
    arena: int
    stack_used: int | None = None
    stack_size: int | None = None

    @property
    def flash_total(self) -> int:
        return sum(self.flash.values())


@dataclass(frozen=True)
class Exactness:
    """Comparison with an oracle. differing: indices of samples whose exit or output differs."""

    oracle: str
    compared: int
    differing: tuple[int, ...]


@dataclass(frozen=True)
class RunReport:
    """A batch of samples on one target.

    accuracy: None without labels. exit_rates: share of samples that stopped at each segment.
    instructions: one row a path that was taken, then all; empty where they are not counted.
    """

    model: str
    target: str
    data: str
    synthetic_data: bool
    samples: int
    accuracy: float | None
    exit_rates: tuple[float, ...]
    instructions: tuple[PathInstructions, ...]
    memory: Memory | None
    exactness: Exactness | None

    def to_json(self) -> dict:
        data = {"report": "run"} | asdict(self)
        if self.exactness is not None:
            data["exactness"]["bit_exact"] = not self.exactness.differing
        if self.memory is not None:
            data["memory"]["flash_total"] = self.memory.flash_total
        return data

    def document(self) -> Document:
        blocks = [self._facts()]
        if self.instructions:
            blocks.append(self._instruction_table())
        if self.memory is not None:
            blocks.append(self._memory_facts())
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        return Document(f"{self.model} on {self.target}", tuple(blocks))

    def _facts(self) -> Facts:
        label = f"{self.data} (synthetic)" if self.synthetic_data else self.data
        rows = [("data", label), ("samples", count(self.samples))]
        if self.accuracy is not None:
            rows.append(("accuracy", percent(self.accuracy, 2)))
        for k, rate in enumerate(self.exit_rates[:-1]):
            rows.append((f"stopped at exit {k + 1}", percent(rate, 2)))
        if self.exactness is not None:
            rows.append((f"bit-exact to {self.exactness.oracle}", _exactness_text(self.exactness)))
        return Facts(tuple(rows))

    def _instruction_table(self) -> Table:
        rows = tuple(
            (i.path, count(i.samples), count(i.mean), count(i.p50), count(i.p95), count(i.worst))
            for i in self.instructions
        )
        columns = ("path", "samples", "mean", "p50", "p95", "worst")
        return Table(columns, rows, frozenset(range(1, 6)), "Instructions of an inference")

    def _memory_facts(self) -> Facts:
        memory = self.memory
        rows = [(f"flash {name}", count(size)) for name, size in memory.flash.items()]
        rows += [
            ("flash, all", f"{count(memory.flash_total)} ({kib(memory.flash_total)})"),
            ("arena", f"{count(memory.arena)} ({kib(memory.arena)})"),
            ("static RAM, arena included", count(memory.static_ram)),
        ]
        if memory.stack_used is not None:
            of = "" if memory.stack_size is None else f" of {count(memory.stack_size)}"
            rows.append(("stack used", count(memory.stack_used) + of))
        return Facts(tuple(rows), "Bytes")


def run_report(
    model: str,
    target: str,
    data: str,
    exit_index: np.ndarray,
    class_index: np.ndarray,
    segments: int,
    *,
    labels: np.ndarray | None = None,
    instructions: np.ndarray | None = None,
    memory: Memory | None = None,
    exactness: Exactness | None = None,
    synthetic_data: bool = False,
) -> RunReport:
    """Summarise a run.

    exit_index, class_index: int (N,), segment that answered and its class. labels: true classes,
    int (N,). instructions: int (N,), of each whole inference; None where they are not counted.
    """
    rates = tuple(float((exit_index == k).mean()) for k in range(segments))
    accuracy = None if labels is None else float((class_index == labels).mean())
    rows = [] if instructions is None else _by_path(exit_index, instructions, segments)
    return RunReport(
        model,
        target,
        data,
        synthetic_data,
        len(exit_index),
        accuracy,
        rates,
        tuple(rows),
        memory,
        exactness,
    )


def _by_path(
    exit_index: np.ndarray, instructions: np.ndarray, segments: int
) -> list[PathInstructions]:
    names = [f"exit {k + 1} taken" for k in range(segments - 1)] + ["full depth"]
    rows = [
        _statistics(name, instructions[exit_index == k])
        for k, name in enumerate(names)
        if (exit_index == k).any()
    ]
    return [*rows, _statistics("all", instructions)] if segments > 1 else rows


def _statistics(path: str, values: np.ndarray) -> PathInstructions:
    p50, p95 = np.percentile(values, [50, 95], method="inverted_cdf")
    return PathInstructions(
        path, len(values), float(values.mean()), int(p50), int(p95), int(values.max())
    )


def _exactness_text(exactness: Exactness) -> str:
    wrong = len(exactness.differing)
    if not wrong:
        return f"yes, all {count(exactness.compared)} samples"
    shown = ", ".join(str(i) for i in exactness.differing[:5])
    more = ", ..." if wrong > 5 else ""
    return f"NO: {count(wrong)} of {count(exactness.compared)} differ (samples {shown}{more})"
