"""Benefit curves of one or several methods: the picture, the reductions, the comparison."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trecx.errors import InputError
from trecx.policies.benefit import LOSSES, BenefitCurve, paired_difference
from trecx.policies.bootstrap import Estimate, Resamples
from trecx.reports.accuracy import interval
from trecx.reports.document import (
    SYNTHETIC,
    Block,
    Document,
    Facts,
    Figure,
    Note,
    Table,
    count,
    percent,
)
from trecx.reports.svg import COLOURS, Line, Plot


@dataclass(frozen=True, eq=False)
class Entry:
    """One method. What is added, is added to the model without exits; None: unknown."""

    name: str
    curve: BenefitCurve
    parameters_added: int | None = None
    flash_added: int | None = None
    ram_added: int | None = None


@dataclass(frozen=True, eq=False)
class BenefitReport:
    """Entries on the same test samples; the first is what the others are compared with."""

    title: str
    entries: tuple[Entry, ...]
    resamples: Resamples
    synthetic_data: bool = False

    def __post_init__(self) -> None:
        if not self.entries:
            raise InputError("a comparison needs at least one method")
        for what, of in _COMMON.items():
            values = {of(e.curve) for e in self.entries}
            if len(values) > 1:
                raise InputError(f"methods cannot be compared over different {what}: {values}")

    def area_difference(self, entry: Entry) -> Estimate:
        """Area of an entry minus that of the first, paired over the resamples."""
        a, b = entry.curve, self.entries[0].curve
        value = a.area.value - b.area.value
        return paired_difference(a.draws.area, b.draws.area, value, self.resamples)

    def reduction_difference(self, entry: Entry, i: int) -> Estimate | None:
        """Reduction of an entry's pick at LOSSES[i] minus that of the first entry's, paired."""
        a, b = entry.curve, self.entries[0].curve
        if a.picks[i] is None or b.picks[i] is None:
            return None
        value = a.picks[i].reduction.value - b.picks[i].reduction.value
        return paired_difference(
            a.draws.reductions[i], b.draws.reductions[i], value, self.resamples
        )

    def to_json(self) -> dict:
        methods = [
            {
                "name": e.name,
                "parameters_added": e.parameters_added,
                "flash_added": e.flash_added,
                "ram_added": e.ram_added,
                "area_minus_first": asdict(self.area_difference(e)),
                "reduction_minus_first": [
                    None if d is None else asdict(d) for d in self._reduction_differences(e)
                ],
                "curve": e.curve.to_json(),
            }
            for e in self.entries
        ]
        return {
            "report": "benefit",
            "title": self.title,
            "synthetic_data": self.synthetic_data,
            "interval_level": self.resamples.level,
            "methods": methods,
        }

    def document(self) -> Document:
        curve = self.entries[0].curve
        facts = Facts(
            (
                (
                    f"reference: {curve.reference} model, accuracy",
                    interval(curve.reference_accuracy),
                ),
                (f"reference cost, {curve.cost_unit}", count(curve.reference_cost)),
                (
                    "samples",
                    f"{count(curve.calibration_samples)} calibration, "
                    f"{count(curve.test_samples)} test",
                ),
            )
        )
        blocks: list[Block] = [facts, Figure(self.svg(), self.caption), self._accuracy_table()]
        blocks += [self._pick_table(), self._reading_table(), self._area_table()]
        if len(self.entries) > 1:
            blocks.append(self._difference_table())
        if any(e.ram_added is not None or e.parameters_added is not None for e in self.entries):
            blocks.append(self._added_table())
        blocks.append(
            Note(
                f"Intervals: {100 * self.resamples.level:g} %, bootstrap over the test samples, "
                "the same resamples for all. A reduction is of the mean cost, against the "
                "reference cost."
            )
        )
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        return Document(self.title, tuple(blocks))

    @property
    def caption(self) -> str:
        return "test accuracy against mean cost; dots: settings that calibration picked"

    def svg(self) -> str:
        """The benefit curves; a single one with its band (several share most of theirs)."""
        lines = [_line(e, len(self.entries) == 1) for e in self.entries]
        xs = [x for line in lines for x, _ in line.points]
        ys = [y for line in lines for _, y in (*line.points, *line.marks)]
        ys += [y for line in lines for pair in line.band for y in pair]
        curve = self.entries[0].curve
        reference = 100 * curve.reference_accuracy.value
        plot = Plot(
            (min(xs), max(*xs, 100.0)),
            (min(*ys, reference), max(*ys, reference)),
            f"mean {curve.cost_unit}, % of the reference",
            "test accuracy, %",
        )
        plot.horizontal(reference, f"{curve.reference} model {reference:.2f} %")
        plot.vertical(100.0)
        for i, line in enumerate(lines):
            plot.line(line, COLOURS[i % len(COLOURS)])
        return plot.svg(self.title)

    def _accuracy_table(self) -> Table:
        depth = max(len(e.curve.segment_accuracy) for e in self.entries)
        names = [f"exit {k + 1}" for k in range(depth - 1)]
        rows = []
        for e in self.entries:
            *exits, full = (interval(a) for a in e.curve.segment_accuracy)
            costs = " / ".join(percent(c / e.curve.reference_cost) for c in e.curve.path_costs)
            rows.append((e.name, *exits, *[""] * (depth - 1 - len(exits)), full, costs))
        columns = ("method", *names, "full depth", "cost of the paths")
        numeric = frozenset(range(1, len(columns)))
        return Table(columns, tuple(rows), numeric, "Accuracy of each exit on all test samples")

    def _pick_table(self) -> Table:
        rows = []
        for e in self.entries:
            cells = [
                "-" if p is None else f"{interval(p.reduction, 1)}, loses {100 * p.loss.value:.2f}"
                for p in e.curve.picks
            ]
            rows.append((e.name, e.curve.policy, *cells))
        title = "Reduction at a largest loss in points: chosen on calibration, measured on test"
        return Table(
            ("method", "policy", *(f"{loss:g}" for loss in LOSSES)),
            tuple(rows),
            frozenset(range(2, 2 + len(LOSSES))),
            title,
        )

    def _reading_table(self) -> Table:
        rows = tuple((e.name, *(interval(r, 1) for r in e.curve.readings)) for e in self.entries)
        title = "The same read off the test curve, as publications do (optimistic)"
        columns = ("method", *(f"{loss:g}" for loss in LOSSES))
        return Table(columns, rows, frozenset(range(1, 1 + len(LOSSES))), title)

    def _area_table(self) -> Table:
        rows = tuple(
            (
                e.name,
                interval(e.curve.area),
                interval(self.area_difference(e), unit="points") if i else "",
            )
            for i, e in enumerate(self.entries)
        )
        start = percent(self.entries[0].curve.area_from)
        title = f"Area: mean of the best accuracy over costs from {start} to 100 %"
        columns = ("method", "area", f"minus {self.entries[0].name}")
        return Table(columns, rows, frozenset({1, 2}), title)

    def _difference_table(self) -> Table:
        rows = tuple(
            (e.name, *(interval(d, 1, "points") for d in self._reduction_differences(e)))
            for e in self.entries[1:]
        )
        columns = ("method", *(f"{loss:g}" for loss in LOSSES))
        title = f"Reduction of the picks minus that of {self.entries[0].name}"
        return Table(columns, rows, frozenset(range(1, 1 + len(LOSSES))), title)

    def _reduction_differences(self, entry: Entry) -> list[Estimate | None]:
        return [self.reduction_difference(entry, i) for i in range(len(LOSSES))]

    def _added_table(self) -> Table:
        def cell(value: int | None) -> str:
            return "-" if value is None else f"{value:+,}"

        rows = tuple(
            (e.name, cell(e.parameters_added), cell(e.flash_added), cell(e.ram_added))
            for e in self.entries
        )
        columns = ("method", "parameters", "flash bytes", "RAM bytes")
        return Table(columns, rows, frozenset({1, 2, 3}), "Added to the model without exits")


_COMMON = {
    "test samples": lambda c: c.test_samples,
    "references": lambda c: c.reference,
    "reference accuracies": lambda c: c.reference_accuracy.value if c.reference == "base" else None,
    "reference costs": lambda c: c.reference_cost,
    "cost units": lambda c: c.cost_unit,
    "area ranges": lambda c: c.area_from,
}


def _line(entry: Entry, with_band: bool) -> Line:
    points = [(100 * p.cost, p.accuracy.scaled(100)) for p in entry.curve.points]
    marks = [
        (100 * (1 - p.reduction.value), 100 * p.accuracy.value)
        for p in entry.curve.picks
        if p is not None
    ]
    return Line(
        entry.name,
        tuple((x, a.value) for x, a in points),
        tuple((a.low, a.high) for _, a in points) if with_band else (),
        tuple(marks),
    )
