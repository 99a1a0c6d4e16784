"""Several exit methods on one task: how they were trained, what they cost and gain."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trecx.policies.overthinking import Overthinking
from trecx.reports.accuracy import interval
from trecx.reports.benefit import BenefitReport
from trecx.reports.document import Block, Document, Facts, Note, Table, percent
from trecx.reports.quantisation import ExitPrecision, precision_table


@dataclass(frozen=True)
class Training:
    """How one network was trained. places: layer and share of the network's cost of each exit.

    starts_from: the run whose weights it starts from, or empty.
    """

    name: str
    method: str
    heads: tuple[str, ...]
    places: tuple[str, ...]
    epochs: int
    seed: int
    policy: str


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """trainings: in the order of the entries, the base network first. overthinking: by name.

    target: what RAM and flash were computed for. notes: what a reader must know beside.
    precisions: every exit of every network before and after quantisation. float_benefit: the
    benefit before quantisation.
    """

    task: str
    data: str
    synthetic_data: bool
    target: str
    trainings: tuple[Training, ...]
    benefit: BenefitReport
    overthinking: tuple[tuple[str, Overthinking], ...]
    precisions: tuple[ExitPrecision, ...]
    float_benefit: BenefitReport
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict:
        return {
            "report": "comparison",
            "task": self.task,
            "data": self.data,
            "synthetic_data": self.synthetic_data,
            "target": self.target,
            "trainings": [asdict(t) for t in self.trainings],
            "benefit": self.benefit.to_json(),
            "overthinking": {name: a.to_json() for name, a in self.overthinking},
            "precisions": [p.to_json() for p in self.precisions],
            "float_benefit": self.float_benefit.to_json(),
            "notes": list(self.notes),
        }

    def pictures(self) -> dict[str, str]:
        """SVG by file name, in the order of the document's figures."""
        return {
            "comparison.svg": self.benefit.svg(),
            "comparison-float.svg": self.float_benefit.svg(),
        }

    def document(self) -> Document:
        facts = Facts(
            (
                ("task", self.task),
                ("data", self.data),
                ("RAM and flash for", self.target),
                ("all networks", "int8, thresholds from the calibration split, figures of test"),
            )
        )
        blocks: list[Block] = [facts, *self.benefit.document().blocks, self._training_table()]
        if self.overthinking:
            blocks += [self._overthinking_table(), OVERTHINKING]
        blocks += [precision_table(self.precisions), *self.float_benefit.curve_blocks()]
        blocks += [Note(note) for note in self.notes]
        return Document(f"Exit methods on {self.task}", tuple(blocks))

    def _training_table(self) -> Table:
        rows = tuple(
            (
                t.name,
                t.method,
                ", ".join(dict.fromkeys(t.heads)),
                ", ".join(t.places),
                t.policy if t.places else "",
                str(t.epochs),
                str(t.seed),
            )
            for t in self.trainings
        )
        columns = ("network", "method", "head", "exits behind", "published policy", "epochs")
        return Table((*columns, "seed"), rows, frozenset({5, 6}), "Training")

    def _overthinking_table(self) -> Table:
        rows = []
        for name, a in self.overthinking:
            by_name = {m.name.split(" (")[0]: m for m in a.mitigations}
            cells = [_recovered(by_name.get(kind)) for kind in MITIGATIONS]
            oracle = f"{percent(a.oracle_accuracy.value, 2)} for {percent(1 - a.oracle_reduction)}"
            rows.append((name, interval(a.overthought), *cells, oracle))
        columns = ("method", "overthought", *MITIGATIONS, "oracle")
        return Table(columns, tuple(rows), frozenset(range(1, 6)), "Overthinking")


OVERTHINKING = Note(
    "Overthought: an exit is right and the full depth is wrong. Of a mitigation: samples that it "
    "recovers (+) and breaks (-), and its accuracy minus that of the full depth, in points; exit "
    "assistance is measured against the network trained without it. Oracle: accuracy and cost of "
    "stopping at the first exit that is right."
)
MITIGATIONS = ("calibrated exit", "both outputs at the end", "exit assistance")


def _recovered(mitigation) -> str:
    if mitigation is None:
        return "-"
    gain = 100 * mitigation.gain.value
    return f"+{mitigation.recovered} -{mitigation.broken}, {gain:+.2f}"
