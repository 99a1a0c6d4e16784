"""Where a board's time goes: paths, steps, kernels, classes of instructions, source lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trecx.reports.document import (
    SYNTHETIC,
    Document,
    Facts,
    Figure,
    Note,
    Table,
    count,
    percent,
)
from trecx.reports.latency import LatencyReport
from trecx.reports.run import PathInstructions

# Source lines and functions beyond these cost little, and a screen is only so high.
_MOST_ROWS = 12


@dataclass(frozen=True)
class Bounds:
    """An estimate: low, nominal, high."""

    low: float
    nominal: float
    high: float


@dataclass(frozen=True)
class BoardTime:
    """Estimated cost of a mean inference on a real board. basis: how it was estimated.

    microjoules: of the whole board; None where nothing is published. path_cycles: nominal mean of
    each path that was taken, in the order of `ProfileReport.paths`.
    """

    board: str
    clock_hz: int
    basis: str
    cycles: Bounds
    milliseconds: Bounds
    microjoules: Bounds | None
    path_cycles: tuple[float, ...]


@dataclass(frozen=True)
class Share:
    """Mean instructions of an inference that one function, class or source line executes."""

    name: str
    instructions: float


@dataclass(frozen=True)
class Profiled:
    """One network's inferences. paths: one row a path that was taken, then all."""

    name: str
    paths: tuple[PathInstructions, ...]
    time: BoardTime | None

    @property
    def mean(self) -> float:
        return self.paths[-1].mean


@dataclass(frozen=True)
class ProfileReport:
    """Exact instruction counts of a model on a board, with an estimate of its time.

    steps: one inference through the whole network. method: how layers were counted; note: what to
    know of it. base: the network without exits on the same samples.
    """

    network: Profiled
    target: str
    data: str
    synthetic_data: bool
    samples: int
    steps: LatencyReport
    method: str
    note: str
    functions: tuple[Share, ...]
    mix: tuple[Share, ...]
    hot_spots: tuple[Share, ...]
    base: Profiled | None = None

    def to_json(self) -> dict:
        fields = asdict(self)
        fields["steps"] = self.steps.to_json()
        return {"report": "profile"} | fields

    def document(self) -> Document:
        whole = self.network.mean
        blocks = [self._facts(), self._paths()]
        blocks += [b for b in self.steps.document().blocks if isinstance(b, (Table, Figure))]
        blocks += [
            _shares("By function", self.functions, whole),
            _shares("By class of instruction", self.mix, whole),
            _shares("Source lines", self.hot_spots, whole),
            Note(f"Instructions: {self.note}."),
        ]
        if self.network.time is not None:
            blocks.append(Note(f"Time and energy: {self.network.time.basis}."))
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        title = f"Profile of {self.network.name} on {self.target}"
        return Document(title, tuple(block for block in blocks if block is not None))

    def _facts(self) -> Facts:
        label = f"{self.data} (synthetic)" if self.synthetic_data else self.data
        rows = [("data", label), ("samples", count(self.samples))]
        networks = [self.network] + ([self.base] if self.base else [])
        for network in networks:
            if network.time is None:
                continue
            for what, bounds, unit in (
                ("cycles", network.time.cycles, ""),
                ("time", network.time.milliseconds, " ms"),
                ("energy", network.time.microjoules, " uJ"),
            ):
                if bounds is not None:
                    name = f"{network.name}: {what} on {network.time.board}, estimated"
                    rows.append((name, _range(bounds, unit)))
        if self.base is not None:
            saved = 1 - self.network.mean / self.base.mean
            rows.append(("instructions saved against the base network", percent(saved)))
        return Facts(tuple(rows))

    def _paths(self) -> Table:
        columns = ["path", "samples", "mean", "p50", "p95", "worst"]
        networks = [self.network] + ([self.base] if self.base else [])
        timed = self.network.time is not None
        rows = []
        for network in networks:
            cycles = _cycles_by_row(network) if timed else [None] * len(network.paths)
            for p, estimate in zip(network.paths, cycles, strict=True):
                name = f"{network.name}: {p.path}" if self.base else p.path
                row = [name, count(p.samples), count(p.mean), count(p.p50), count(p.p95)]
                row.append(count(p.worst))
                if timed:
                    row.append("" if estimate is None else count(estimate))
                rows.append(tuple(row))
        columns += ["mean cycles (est.)"] if timed else []
        return Table(
            tuple(columns), tuple(rows), frozenset(range(1, 7)), "Instructions of an inference"
        )


def _cycles_by_row(network: Profiled) -> list[float | None]:
    """Nominal mean cycles for each row of the paths."""
    if network.time is None:
        return [None] * len(network.paths)
    by_path = list(network.time.path_cycles)
    whole = [network.time.cycles.nominal] if len(network.paths) > len(by_path) else []
    return by_path + whole


def _range(bounds: Bounds, unit: str) -> str:
    digits = 0 if bounds.nominal >= 1000 else 2
    low, nominal, high = (f"{v:,.{digits}f}" for v in asdict(bounds).values())
    return f"{nominal}{unit} ({low} to {high})"


def _shares(title: str, shares: tuple[Share, ...], whole: float) -> Table | None:
    if not shares:
        return None
    rows = [(s.name, count(s.instructions), percent(s.instructions / whole)) for s in shares]
    return Table(("", "instructions", "share"), tuple(rows[:_MOST_ROWS]), frozenset({1, 2}), title)
