"""Where the operations of a chain go: by layer, by segment, by path, against the base model."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.ir.ops import macs, parameters, small_flops
from trecx.reports.document import Document, Facts, Note, Table, count, percent
from trecx.reports.roles import Role, roles


@dataclass(frozen=True)
class OperatorCost:
    """One operator. small_flops: operations that are not multiply-accumulates."""

    segment: int
    role: str
    kind: str
    output: str
    output_shape: tuple[int, ...]
    macs: int
    small_flops: int
    parameters: int

    @property
    def flops(self) -> int:
        """2 x MACs plus the named small operators."""
        return 2 * self.macs + self.small_flops


@dataclass(frozen=True)
class Cost:
    """A sum over operators."""

    macs: int = 0
    flops: int = 0
    parameters: int = 0

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.macs - other.macs, self.flops - other.flops, self.parameters - other.parameters
        )


@dataclass(frozen=True)
class FlopsReport:
    """Operations of every path through a chain.

    segments: names. paths[k]: everything that runs when an inference stops at segment k.
    base: the model without exits. base_is_given: False when it was computed by leaving out exit
    heads and exit assistance. exit_rates: share of samples that stops at each segment, or None.
    """

    segments: tuple[str, ...]
    operators: tuple[OperatorCost, ...]
    paths: tuple[Cost, ...]
    base: Cost
    base_is_given: bool
    exit_rates: tuple[float, ...] | None = None
    exit_rates_source: str = ""

    @property
    def full(self) -> Cost:
        """The path through all segments: what an inference costs when no exit is taken."""
        return self.paths[-1]

    def of_role(self, role: Role) -> Cost:
        return total([op for op in self.operators if op.role == role.value])

    def break_even(self, k: int) -> float | None:
        """Share of inferences that must stop at exit k, no other exit being taken, for the mean
        cost to equal the base model's; None when even all of them would not do."""
        if self.full.flops <= self.base.flops:
            return 0.0
        saved = self.full.flops - self.paths[k].flops
        added = self.full.flops - self.base.flops
        return added / saved if added <= saved else None

    @property
    def expected_flops(self) -> float | None:
        """Mean cost of an inference at the exit rates."""
        if self.exit_rates is None:
            return None
        return sum(r * p.flops for r, p in zip(self.exit_rates, self.paths, strict=True))

    @property
    def expected_reduction(self) -> float | None:
        """1 - expected cost / base cost."""
        expected = self.expected_flops
        return None if expected is None else 1 - expected / self.base.flops

    def to_json(self) -> dict:
        exits = range(len(self.segments) - 1)
        return {
            "report": "flops",
            "segments": list(self.segments),
            "operators": [asdict(op) | {"flops": op.flops} for op in self.operators],
            "paths": [asdict(p) for p in self.paths],
            "base": asdict(self.base) | {"given": self.base_is_given},
            "roles": {role.value: asdict(self.of_role(role)) for role in Role},
            "path_relative_to_base": [p.flops / self.base.flops for p in self.paths],
            "break_even_exit_rate": [self.break_even(k) for k in exits],
            "exit_rates": None if self.exit_rates is None else list(self.exit_rates),
            "expected_flops": self.expected_flops,
            "expected_reduction": self.expected_reduction,
        }

    def document(self) -> Document:
        blocks = [self._operator_table(), self._segment_table()]
        if len(self.segments) > 1:
            blocks += [self._path_table(), self._exit_facts()]
        blocks.append(
            Note(
                "FLOPs = 2 x MACs + small operators (additions, ReLU, pooling, softmax). MACs are "
                "counted densely, padding included."
            )
        )
        return Document("Operations", tuple(blocks))

    def _operator_table(self) -> Table:
        whole = self.full.flops
        rows = tuple(
            (
                self.segments[op.segment],
                op.role,
                op.kind,
                "x".join(map(str, op.output_shape[1:])) or "1",
                count(op.macs),
                count(op.flops),
                count(op.parameters),
                percent(op.flops / whole if whole else 0.0),
            )
            for op in self.operators
        )
        columns = ("segment", "part", "operator", "output", "MACs", "FLOPs", "parameters", "share")
        return Table(columns, rows, frozenset({4, 5, 6, 7}), "By layer")

    def _segment_table(self) -> Table:
        rows = []
        for k, name in enumerate(self.segments):
            for role in Role:
                ops = [op for op in self.operators if op.segment == k and op.role == role.value]
                if ops:
                    rows.append((name, role.value, *self._cells(total(ops))))
        rows.append(("all", "", *self._cells(self.full)))
        columns = ("segment", "part", "MACs", "FLOPs", "parameters", "share")
        return Table(columns, tuple(rows), frozenset({2, 3, 4, 5}), "By segment")

    def _cells(self, cost: Cost) -> tuple[str, ...]:
        share = cost.flops / self.full.flops if self.full.flops else 0.0
        return count(cost.macs), count(cost.flops), count(cost.parameters), percent(share)

    def _path_table(self) -> Table:
        rows = []
        for k, path in enumerate(self.paths):
            last = k == len(self.paths) - 1
            name = "full depth" if last else f"exit {k + 1} taken"
            relative = percent(path.flops / self.base.flops)
            needed = "" if last else percent(self.break_even(k))
            rows.append((name, count(path.macs), count(path.flops), relative, needed))
        label = "base model" if self.base_is_given else "without exits (computed)"
        rows.append((label, count(self.base.macs), count(self.base.flops), "100.0 %", ""))
        columns = ("path", "MACs", "FLOPs", "of base", "break-even exit rate")
        return Table(columns, tuple(rows), frozenset({1, 2, 3, 4}), "By path")

    def _exit_facts(self) -> Facts:
        head, assistance = self.of_role(Role.HEAD), self.of_role(Role.ASSISTANCE)
        added = self.full - self.base
        rows = [
            ("exit heads", f"{count(head.flops)} FLOPs, {count(head.parameters)} parameters"),
            (
                "exit assistance",
                f"{count(assistance.flops)} FLOPs, {count(assistance.parameters)} parameters",
            ),
            (
                "added when no exit is taken",
                f"{count(added.flops)} FLOPs ({percent(added.flops / self.base.flops)} of base), "
                f"{count(added.parameters)} parameters",
            ),
        ]
        if self.exit_rates is not None:
            rates = ", ".join(percent(r) for r in self.exit_rates[:-1])
            source = f" ({self.exit_rates_source})" if self.exit_rates_source else ""
            rows += [
                ("exit rate" + source, rates),
                ("expected FLOPs", count(self.expected_flops)),
                ("reduction against base", percent(self.expected_reduction)),
            ]
        return Facts(tuple(rows), "Exits")


def flops_report(
    chain: list[Graph],
    base: Graph | None = None,
    exit_rates: tuple[float, ...] | None = None,
    exit_rates_source: str = "",
) -> FlopsReport:
    """Count the operations of a chain of segments (a chain of one: no exits).

    base: the model without exits; None: the chain's own backbone, exit heads and exit assistance
    left out. exit_rates: share of samples that stops at each segment, summing to 1; source says
    where they come from ("calibration split"). InputError when the rates do not fit.
    """
    if exit_rates is not None and (
        len(exit_rates) != len(chain) or abs(sum(exit_rates) - 1) > 1e-6 or min(exit_rates) < 0
    ):
        raise InputError(
            f"exit rates must be {len(chain)} shares that sum to 1 (the last: no exit taken), "
            f"got {exit_rates}"
        )
    operators = tuple(
        operator_cost(k, role, op)
        for k, (graph, its_roles) in enumerate(zip(chain, roles(chain), strict=True))
        for op, role in zip(graph.operators, its_roles, strict=True)
    )
    paths = tuple(total([op for op in operators if op.segment <= k]) for k in range(len(chain)))
    if base is not None:
        base_cost = total([operator_cost(0, Role.BACKBONE, op) for op in base.operators])
    else:
        base_cost = total([op for op in operators if op.role == Role.BACKBONE.value])
    return FlopsReport(
        segments=tuple(graph.name for graph in chain),
        operators=operators,
        paths=paths,
        base=base_cost,
        base_is_given=base is not None,
        exit_rates=exit_rates,
        exit_rates_source=exit_rates_source,
    )


def operator_cost(segment: int, role: Role, op) -> OperatorCost:
    return OperatorCost(
        segment,
        role.value,
        op.kind,
        op.output.name,
        op.output.shape,
        macs(op),
        small_flops(op),
        parameters(op),
    )


def total(operators: list[OperatorCost]) -> Cost:
    return Cost(
        sum(op.macs for op in operators),
        sum(op.flops for op in operators),
        sum(op.parameters for op in operators),
    )
