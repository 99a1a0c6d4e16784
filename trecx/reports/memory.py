"""The plan of the arena: which buffer lies where, when."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trecx.reports.document import Document, Facts, Figure, Table, count, kib
from trecx.reports.svg import COLOURS, Box, Plot

KIND_COLOURS = {
    "input": COLOURS[5],
    "activation": COLOURS[0],
    "handoff": COLOURS[1],
    "output": COLOURS[2],
    "scratch": COLOURS[6],
}


@dataclass(frozen=True)
class PlannedBuffer:
    """Bytes offset .. offset + size of the arena, from step `first` to step `last`, inclusive."""

    name: str
    kind: str
    size: int
    offset: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryReport:
    """One arena for the whole chain.

    steps: name of each step in order. boundaries: for each exit, the first step of what follows it.
    handoff_bytes: what stays alive across each exit decision. lower_bound: no plan can be smaller.
    weights: bytes of weights of each segment in flash, optional.
    """

    model: str
    buffers: tuple[PlannedBuffer, ...]
    steps: tuple[str, ...]
    boundaries: tuple[int, ...]
    arena_bytes: int
    lower_bound: int
    handoff_bytes: tuple[int, ...]
    weights: tuple[int, ...] = ()

    @property
    def peak_steps(self) -> tuple[int, ...]:
        """Steps whose live buffers reach the highest address."""
        highest = max((b.offset + b.size for b in self.buffers), default=0)
        at_end = [b for b in self.buffers if b.offset + b.size == highest]
        return tuple(
            t for t in range(len(self.steps)) if any(b.first <= t <= b.last for b in at_end)
        )

    def to_json(self) -> dict:
        return {"report": "memory"} | asdict(self) | {"peak_steps": list(self.peak_steps)}

    def document(self) -> Document:
        slack = self.arena_bytes - self.lower_bound
        rows = [
            ("arena", f"{count(self.arena_bytes)} bytes ({kib(self.arena_bytes)})"),
            ("lower bound", f"{count(self.lower_bound)} bytes (plan is {count(slack)} above)"),
            ("largest at", ", ".join(self.steps[t] for t in self.peak_steps)),
        ]
        for k, size in enumerate(self.handoff_bytes):
            rows.append((f"kept across exit {k + 1}", f"{count(size)} bytes"))
        for k, size in enumerate(self.weights):
            rows.append((f"weights of segment {k}", f"{count(size)} bytes of flash"))
        table = Table(
            ("buffer", "kind", "bytes", "offset", "from step", "to step"),
            tuple(
                (b.name, b.kind, count(b.size), count(b.offset), str(b.first), str(b.last))
                for b in sorted(self.buffers, key=lambda b: (b.first, b.offset))
            ),
            frozenset({2, 3, 4, 5}),
            "Buffers",
        )
        figure = Figure(self.svg(), "arena by step: each box is a buffer, its height its bytes")
        return Document(f"Memory of {self.model}", (Facts(tuple(rows)), figure, table))

    def svg(self) -> str:
        """Steps to the right, addresses upwards."""
        plot = Plot(
            (0, max(len(self.steps), 1)), (0, self.arena_bytes), "step", "address in the arena"
        )
        for b in sorted(self.buffers, key=lambda b: b.kind == "scratch"):
            name = b.name.rsplit("/", 1)[-1]
            tooltip = (
                f"{b.name} ({b.kind}): {b.size} bytes at {b.offset}, steps {b.first} to {b.last}"
            )
            colour = KIND_COLOURS.get(b.kind, COLOURS[3])
            plot.box(Box(b.first, b.last + 1, b.offset, b.offset + b.size, colour, tooltip, name))
        for k, step in enumerate(self.boundaries):
            plot.vertical(step, f"exit {k + 1}")
        for kind in dict.fromkeys(b.kind for b in self.buffers):
            plot.key(kind, KIND_COLOURS.get(kind, COLOURS[3]))
        return plot.svg(f"Arena of {self.model}")
