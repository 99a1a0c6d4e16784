"""A search as a report: every trial, the Pareto front, the choice and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass

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


@dataclass(frozen=True)
class SearchRow:
    """One trial. accuracy: with its exits, at the budget. cost: relative to the base model.

    place: "front" (no other is both cheaper and more accurate), "dominated", "dropped" (did not
    reach the last rung) or "failed" (error says why).
    """

    title: str
    epochs: int
    accuracy: float
    full_accuracy: float
    cost: float
    exit_rates: tuple[float, ...]
    parameters_added: int
    place: str
    error: str | None = None


@dataclass(frozen=True)
class SearchReport:
    """rows: all trials. choice: index of the recommended one; None when every trial failed.

    max_accuracy_loss: points against each candidate's own full depth; max_cost: mean MACs. At
    least one of the two limits is there.
    """

    model: str
    data: str
    synthetic_data: bool
    max_accuracy_loss: float | None
    rows: tuple[SearchRow, ...]
    choice: int | None
    max_cost: float | None = None

    def to_json(self) -> dict:
        return {"report": "search"} | asdict(self)

    def document(self) -> Document:
        blocks: list[Block] = [self._choice_facts()]
        if any(row.place in ("front", "dominated") for row in self.rows):
            blocks.append(Figure(self.svg(), "trials of the last rung; line: the Pareto front"))
        blocks.append(self._table())
        failed = [row for row in self.rows if row.error is not None]
        if failed:
            rows = tuple((row.title, row.error) for row in failed)
            blocks.append(Table(("candidate", "reason"), rows, title="Not possible"))
        blocks.append(
            Note(
                f"Cost: mean MACs relative to the base model, at {self._setting}. "
                "Figures are of calibration samples that did not choose the setting, after short "
                "training: they rank candidates, train the chosen one fully before quoting any."
            )
        )
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        return Document(f"Search for exits of {self.model}", tuple(blocks))

    def _choice_facts(self) -> Facts:
        rows = [("data", self.data), ("trials", count(len(self.rows)))]
        if self.choice is None:
            return Facts((*rows, ("choice", "none: no trial worked")))
        chosen = self.rows[self.choice]
        on_front = sorted((r for r in self.rows if r.place == "front"), key=lambda r: r.cost)
        rows += [("choice", chosen.title), ("because it is", self._reason(chosen, on_front))]
        cheaper = [r for r in on_front if r.cost < chosen.cost]
        dearer = [r for r in on_front if r.cost > chosen.cost]
        for name, others in (("next cheaper", cheaper[-1:]), ("next dearer", dearer[:1])):
            rows += [(name, _against(other, chosen)) for other in others]
        return Facts(tuple(rows))

    def _reason(self, chosen: SearchRow, on_front: list[SearchRow]) -> str:
        cost = f"{percent(chosen.cost)} of the base model"
        if self.max_accuracy_loss is None:
            return f"the most accurate within the budget ({percent(chosen.accuracy, 2)} for {cost})"
        best = percent(max(r.accuracy for r in on_front), 2)
        return (
            f"the cheapest of the front ({cost}) within {self.max_accuracy_loss:g} points of its "
            f"most accurate ({best})"
        )

    @property
    def _setting(self) -> str:
        """The exit setting that every candidate is measured at."""
        parts = []
        if self.max_accuracy_loss is not None:
            loss = f"{self.max_accuracy_loss:g} points"
            parts.append(f"loses at most {loss} against the candidate's own full depth")
        if self.max_cost is not None:
            parts.append(f"has a mean cost of at most {self.max_cost:.6g} MACs")
        return "the setting that " + " and ".join(parts)

    def _table(self) -> Table:
        order = sorted(
            (i for i, row in enumerate(self.rows) if row.error is None),
            key=lambda i: (-self.rows[i].epochs, self.rows[i].place != "front", self.rows[i].cost),
        )
        columns = ("candidate", "epochs", "accuracy", "full depth", "cost", "exit rate")
        return Table(
            (*columns, "parameters", "place"),
            tuple(self._cells(i) for i in order),
            frozenset({1, 2, 3, 4, 5, 6}),
            "Trials",
        )

    def _cells(self, i: int) -> tuple[str, ...]:
        row = self.rows[i]
        return (
            row.title,
            str(row.epochs),
            percent(row.accuracy, 2),
            percent(row.full_accuracy, 2),
            percent(row.cost),
            " / ".join(percent(r) for r in row.exit_rates[:-1]),
            f"{row.parameters_added:+,}",
            "choice" if i == self.choice else row.place,
        )

    def svg(self) -> str:
        """Accuracy against cost of the trials of the last rung."""
        last = [row for row in self.rows if row.place in ("front", "dominated")]
        points = {id(row): (100 * row.cost, 100 * row.accuracy) for row in last}
        xs, ys = zip(*points.values(), strict=True)
        margin_x, margin_y = 0.05 * (max(xs) - min(xs)) + 0.1, 0.05 * (max(ys) - min(ys)) + 0.1
        plot = Plot(
            (min(xs) - margin_x, max(xs) + margin_x),
            (min(ys) - margin_y, max(ys) + margin_y),
            "mean MACs, % of the base model",
            "accuracy with exits, %",
        )
        on_front = sorted(points[id(row)] for row in last if row.place == "front")
        dominated = tuple(points[id(row)] for row in last if row.place == "dominated")
        plot.line(Line("Pareto front", tuple(on_front), marks=tuple(on_front)), COLOURS[0])
        plot.line(Line("dominated", (), marks=dominated), COLOURS[6])
        if self.choice is not None:
            mark = points[id(self.rows[self.choice])]
            plot.line(Line("choice", (), marks=(mark,)), COLOURS[1])
        return plot.svg(f"Search for exits of {self.model}")


def _against(other: SearchRow, chosen: SearchRow) -> str:
    points = 100 * (other.accuracy - chosen.accuracy)
    return (
        f"{other.title}: {percent(other.cost)} of the base model, {points:+.2f} points of accuracy"
    )
