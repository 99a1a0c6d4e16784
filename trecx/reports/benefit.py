"""Benefit curves of one or several methods: the picture, the reductions, the comparison."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from trecx.errors import InputError
from trecx.policies.benefit import LOSSES, BenefitCurve, paired_difference
from trecx.policies.bootstrap import Estimate, Resamples
from trecx.policies.evaluation import Evaluation
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

WIDEST = 1.25
"""Costs beyond this multiple of the reference are left out of the picture."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One method. What is added, is added to the model without exits; None: unknown.

    group: the network that the policy runs on; entries of one group share a colour, and all
    but the first are compared with the first.
    fixed: the test figures of a method that is published with fixed thresholds.
    """

    name: str
    curve: BenefitCurve
    parameters_added: int | None = None
    flash_added: int | None = None
    ram_added: int | None = None
    group: str = ""
    fixed: Evaluation | None = None


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

    def area_difference(self, entry: Entry, other: Entry | None = None) -> Estimate:
        """Area of an entry minus that of another (the first), paired over the resamples."""
        a, b = entry.curve, (other or self.entries[0]).curve
        value = a.area.value - b.area.value
        return paired_difference(a.draws.area, b.draws.area, value, self.resamples)

    def reduction_difference(
        self, entry: Entry, i: int, other: Entry | None = None
    ) -> Estimate | None:
        """Reduction of an entry's pick at LOSSES[i] minus that of another's (the first), paired."""
        a, b = entry.curve, (other or self.entries[0]).curve
        if a.picks[i] is None or b.picks[i] is None:
            return None
        value = a.picks[i].reduction.value - b.picks[i].reduction.value
        return paired_difference(
            a.draws.reductions[i], b.draws.reductions[i], value, self.resamples
        )

    def share_ahead(self, entry: Entry, other: Entry | None = None) -> float:
        """Share of the costs from the area's start to 100 % at which an entry is at least as
        accurate as another (the first)."""
        return float(np.mean(self._is_ahead(entry, other or self.entries[0])))

    def behind(self, entry: Entry, other: Entry) -> list[tuple[float, float]]:
        """The ranges of relative costs at which an entry is less accurate than another; ranges
        that are less than a point of cost apart are one."""
        spans: list[tuple[float, float]] = []
        for cost in self._grid[~self._is_ahead(entry, other)].tolist():
            joined = bool(spans) and cost - spans[-1][1] < 0.01
            spans = [*spans[:-1], (spans[-1][0], cost)] if joined else [*spans, (cost, cost)]
        return spans

    @property
    def best(self) -> Entry:
        """The entry with the largest area."""
        return max(self.entries, key=lambda e: e.curve.area.value)

    @property
    def _grid(self) -> np.ndarray:
        return np.linspace(self.entries[0].curve.area_from, 1.0, 400)

    def _is_ahead(self, entry: Entry, other: Entry) -> np.ndarray:
        accuracy = entry.curve.accuracy_at(self._grid)
        return accuracy >= other.curve.accuracy_at(self._grid) - 1e-9

    def networks(self) -> list[Entry]:
        """One entry for each network: those that are not another policy on the same one."""
        others = [entry for entry, _ in self.rivals()]
        return [entry for entry in self.entries if entry not in others]

    def rivals(self) -> list[tuple[Entry, Entry]]:
        """(entry, first entry of its group) for every other policy on the same network."""
        first = {e.group: e for e in reversed(self.entries) if e.group}
        return [(e, first[e.group]) for e in self.entries if e.group and first[e.group] is not e]

    def to_json(self) -> dict:
        methods = [
            {
                "name": e.name,
                "parameters_added": e.parameters_added,
                "flash_added": e.flash_added,
                "ram_added": e.ram_added,
                "area_minus_first": asdict(self.area_difference(e)),
                "share_ahead_of_first": self.share_ahead(e),
                "reduction_minus_first": [
                    None if d is None else asdict(d) for d in self._reduction_differences(e)
                ],
                "fixed": None if e.fixed is None else e.fixed.to_json(),
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
            "policies": [self._rivals_json(e, own) for e, own in self.rivals()],
            "best": {
                "name": self.best.name,
                "against": {
                    e.name: {
                        "area_difference": asdict(self.area_difference(self.best, e)),
                        "share_ahead": self.share_ahead(self.best, e),
                        "behind_at_costs": self.behind(self.best, e),
                    }
                    for e in self.entries
                    if e is not self.best
                },
            },
        }

    def _rivals_json(self, entry: Entry, own: Entry) -> dict:
        differences = self._reduction_differences(entry, own)
        return {
            "name": entry.name,
            "against": own.name,
            "area_difference": asdict(self.area_difference(entry, own)),
            "reduction_differences": [None if d is None else asdict(d) for d in differences],
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
            blocks.append(self._best_table())
        if self.rivals():
            blocks.append(self._rivals_table())
        if any(e.fixed is not None for e in self.entries):
            blocks.append(self._fixed_table())
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

    def curve_blocks(self) -> list[Block]:
        """The picture and the reductions alone."""
        return [Figure(self.svg(), f"{self.title}: {self.caption}"), self._pick_table(self.title)]

    @property
    def caption(self) -> str:
        return "test accuracy against mean cost; dots: settings that calibration picked"

    def svg(self) -> str:
        """The benefit curves; a single one with its band (several share most of theirs)."""
        lines = self._lines()
        shown = [line for line, _ in lines if line.points]
        xs = [x for line in shown for x, _ in line.points]
        ys = [y for line in shown for _, y in (*line.points, *line.marks)]
        ys += [y for line in shown for pair in line.band for y in pair]
        curve = self.entries[0].curve
        reference = 100 * curve.reference_accuracy.value
        plot = Plot(
            (min([*xs, 100.0]), max([*xs, 100.0])),
            (min([*ys, reference]), max([*ys, reference])),
            f"mean {curve.cost_unit}, % of the reference",
            "test accuracy, %",
        )
        plot.horizontal(reference, f"{curve.reference} model {reference:.2f} %")
        plot.vertical(100.0)
        for line, colour in lines:
            plot.line(line, colour)
        return plot.svg(self.title)

    def _lines(self) -> list[tuple[Line, str]]:
        """The curve of every entry and its colour."""
        groups = list(dict.fromkeys(e.group or e.name for e in self.entries))
        rivals = [entry for entry, _ in self.rivals()]
        alone = len(self.entries) == 1
        return [
            (
                _line(e, with_band=alone, dashed=e in rivals),
                COLOURS[groups.index(e.group or e.name) % len(COLOURS)],
            )
            for e in self.entries
        ]

    def _accuracy_table(self) -> Table:
        depth = max(len(e.curve.segment_accuracy) for e in self.entries)
        names = [f"exit {k + 1}" for k in range(depth - 1)]
        rows = []
        for e in self.networks():
            *exits, full = (interval(a) for a in e.curve.segment_accuracy)
            costs = " / ".join(percent(c / e.curve.reference_cost) for c in e.curve.path_costs)
            rows.append((e.name, *exits, *[""] * (depth - 1 - len(exits)), full, costs))
        columns = ("method", *names, "full depth", "cost of the paths")
        numeric = frozenset(range(1, len(columns)))
        return Table(columns, tuple(rows), numeric, "Accuracy of each exit on all test samples")

    def _pick_table(self, of: str = "") -> Table:
        rows = []
        for e in self.entries:
            cells = [
                "-" if p is None else f"{interval(p.reduction, 1)}, loses {100 * p.loss.value:.2f}"
                for p in e.curve.picks
            ]
            rows.append((e.name, e.curve.policy, *cells))
        title = "Reduction at a largest loss in points: chosen on calibration, measured on test"
        title = f"{of}. {title}" if of else title
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
                percent(self.share_ahead(e)) if i else "",
            )
            for i, e in enumerate(self.entries)
        )
        start = percent(self.entries[0].curve.area_from)
        title = f"Area: mean of the best accuracy over costs from {start} to 100 %"
        first = self.entries[0].name
        columns = ("method", "area", f"minus {first}", f"at least {first} on")
        return Table(columns, rows, frozenset({1, 2, 3}), title)

    def _difference_table(self) -> Table:
        rows = tuple(
            (e.name, *(interval(d, 1, "points") for d in self._reduction_differences(e)))
            for e in self.entries[1:]
        )
        columns = ("method", *(f"{loss:g}" for loss in LOSSES))
        title = f"Reduction of the picks minus that of {self.entries[0].name}"
        return Table(columns, rows, frozenset(range(1, 1 + len(LOSSES))), title)

    def _reduction_differences(
        self, entry: Entry, other: Entry | None = None
    ) -> list[Estimate | None]:
        return [self.reduction_difference(entry, i, other) for i in range(len(LOSSES))]

    def _best_table(self) -> Table:
        best = self.best
        rows = tuple(
            (
                e.name,
                interval(self.area_difference(best, e), unit="points"),
                percent(self.share_ahead(best, e)),
                ", ".join(_range(*span) for span in self.behind(best, e)) or "nowhere",
            )
            for e in self.entries
            if e is not best
        )
        columns = ("against", "area gained", "at least as accurate on", "less accurate at costs")
        title = f"The largest area: {best.name}"
        return Table(columns, rows, frozenset({1, 2}), title)

    def _rivals_table(self) -> Table:
        rows = tuple(
            (
                e.name,
                own.curve.policy,
                *(interval(d, 1, "points") for d in self._reduction_differences(e, own)),
                interval(self.area_difference(e, own), unit="points"),
            )
            for e, own in self.rivals()
        )
        columns = ("method", "instead of", *(f"{loss:g}" for loss in LOSSES), "area")
        title = "Another exit policy on the same network: reduction of the picks gained"
        return Table(columns, rows, frozenset(range(2, 3 + len(LOSSES))), title)

    def _fixed_table(self) -> Table:
        rows = tuple(
            (
                e.name,
                interval(e.fixed.accuracy),
                interval(e.fixed.reduction),
                " / ".join(percent(rate.value) for rate in e.fixed.exit_rates[:-1]),
            )
            for e in self.entries
            if e.fixed is not None
        )
        columns = ("method", "accuracy", "reduction", "stop at the exits")
        title = "With the thresholds of the publication, without calibration"
        return Table(columns, rows, frozenset({1, 2, 3}), title)

    def _added_table(self) -> Table:
        def cell(value: int | None) -> str:
            return "-" if value is None else f"{value:+,}"

        rows = tuple(
            (e.name, cell(e.parameters_added), cell(e.flash_added), cell(e.ram_added))
            for e in self.networks()
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


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _line(entry: Entry, with_band: bool, dashed: bool) -> Line:
    points = [p for p in entry.curve.points if p.cost <= WIDEST]
    marks = [
        (100 * (1 - p.reduction.value), 100 * p.accuracy.value)
        for p in entry.curve.picks
        if p is not None and 1 - p.reduction.value <= WIDEST
    ]
    beyond = "" if points else f" (above {100 * WIDEST:g} %)"
    return Line(
        entry.name + beyond,
        tuple((100 * p.cost, 100 * p.accuracy.value) for p in points),
        tuple((100 * p.accuracy.low, 100 * p.accuracy.high) for p in points) if with_band else (),
        tuple(marks),
        dashed,
    )
