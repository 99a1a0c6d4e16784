"""docs/RESULTS.md: the tower recipe against T-RecX and the network without exits.

    trecx compare ic --data DATA --methods t-recx,t-recx-no-ev,tower --recipe tower -o DIR/ic
    python -m benchmarks.results DIR/ic DIR/kws --seed DIR/kws-seed1 --seed DIR/kws-seed2

Every folder is one that `trecx compare` wrote, other methods in it or not; those after --seed are
repetitions of one of them with another seed. Nothing in the page is written by hand but this
module's own sentences.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from benchmarks.comparison import DATA_NOTES, DOCS
from trecx.files import write_atomic
from trecx.policies import (
    LOSSES,
    ChainOutputs,
    PathCosts,
    Resamples,
    SplitRole,
    benefit_curve,
)
from trecx.policies.bootstrap import Estimate
from trecx.reports.accuracy import interval
from trecx.reports.benefit import BenefitReport, Entry
from trecx.reports.document import percent

OURS, YARDSTICK = "tower", "t-recx"
NETWORKS = (YARDSTICK, "t-recx-no-ev", OURS)
RESAMPLES = Resamples()
INT8_LIMIT = 0.005

INTRODUCTION = """# Results

Written by `python -m benchmarks.results` from folders of `trecx compare`; do not edit.

A task's networks have the same data, splits, augmentation, optimiser, schedule, epochs and seed:
`base` is the benchmark's network without exits, trained alone; `t-recx` and `t-recx-no-ev` have
T-RecX's exit with and without early-view assistance (arXiv 2207.06613); `tower` is trecx's own
recipe ([TRAINING.md](TRAINING.md)). Figures are of int8 networks unless marked float. A threshold
is chosen on the calibration split, for the loss of accuracy at the head of the column; what stands
in the column was then measured on the test split. FLOPs are those of the mean path against those
of `base`. Intervals: 95 %, bootstrap over the test samples, the same resamples for all; differences
are paired."""


@dataclass(frozen=True, eq=False)
class Study:
    """One folder of `trecx compare`. figures: its comparison.json."""

    folder: Path
    figures: dict

    @staticmethod
    def read(folder: Path) -> Study:
        """Raises OSError and ValueError when there is no comparison."""
        return Study(folder, json.loads((folder / "comparison.json").read_text()))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def title(self) -> str:
        return f"{self.figures['task']} on {self.figures['data']}"

    @cached_property
    def int8(self) -> BenefitReport:
        return self._report("base", "")

    @cached_property
    def float(self) -> BenefitReport:
        return self._report("base", "float-")

    @cached_property
    def own_depth(self) -> BenefitReport:
        """Losses against each network's own full depth, as T-RecX counts them."""
        return self._report("full", "")

    def _report(self, reference: str, kind: str) -> BenefitReport:
        base = self._outputs("base", kind)
        entries = []
        for method in self.figures["benefit"]["methods"]:
            if method["name"] not in NETWORKS:
                continue
            curve = method["curve"]
            costs = PathCosts(tuple(curve["path_costs"]), "FLOPs", curve["reference_cost"])
            splits = self._outputs(method["name"], kind)
            beside = [_with_base(o, b) for o, b in zip(splits, base, strict=True)]
            start = curve["area_from"]
            entries.append(
                Entry(
                    method["name"],
                    benefit_curve(*beside, costs, curve["policy"], reference, start, RESAMPLES),
                )
            )
        title = f"{self.title}, {'float' if kind else 'int8'}"
        return BenefitReport(title, tuple(entries), RESAMPLES)

    def _outputs(self, network: str, kind: str) -> list[ChainOutputs]:
        folder = self.folder / "outputs"
        splits = (SplitRole.CALIBRATION, SplitRole.TEST)
        return [ChainOutputs.load(folder / f"{network}-{kind}{s.value}.npz") for s in splits]

    def entry(self, name: str, report: BenefitReport | None = None) -> Entry:
        return next(e for e in (report or self.int8).entries if e.name == name)

    def above_base(self, name: str) -> Estimate:
        """Full-depth accuracy of a network minus that of the base network, paired."""
        right = self._outputs(name, "")[1].correct()[-1].astype(float)
        base = self._outputs("base", "")[1].correct()[-1].astype(float)
        return RESAMPLES.estimates((right - base)[:, None])[0]


def _with_base(outputs: ChainOutputs, base: ChainOutputs) -> ChainOutputs:
    return ChainOutputs(
        outputs.outputs, outputs.labels, outputs.split, outputs.quants, base.outputs[-1]
    )


def page(studies: Sequence[Study], repeats: Sequence[Study]) -> str:
    """The whole page in Markdown."""
    parts = [INTRODUCTION, "## What was to be reached", _claims(studies)]
    parts += [_section(study, [r for r in repeats if _repeats(r, study)]) for study in studies]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _repeats(a: Study, b: Study) -> bool:
    return a.title == b.title and a.folder != b.folder


def _section(study: Study, repeats: Sequence[Study]) -> str:
    curve = study.int8.entries[0].curve
    trainings = {t["name"]: t for t in study.figures["trainings"]}
    note = DATA_NOTES.get(study.figures["data"], "")
    about = (
        f"Data: {study.figures['data']}: {note} {curve.calibration_samples:,} samples for "
        f"calibration, {curve.test_samples:,} for test; {trainings['base']['epochs']} epochs, "
        f"seed {trainings['base']['seed']}."
    )
    parts = [
        f"## {study.title}",
        about,
        _accuracy_table(study),
        f"![accuracy against mean FLOPs, int8](results-{study.name}.svg)",
        f"![accuracy against mean FLOPs, float](results-{study.name}-float.svg)",
        "FLOPs saved against `base`, at a largest loss against the accuracy of `base`. A dash: no "
        "threshold was that accurate on the calibration split.",
        _pick_table({"int8": study.int8, "float": study.float}),
        "FLOPs saved at a largest loss against the network's own full depth, the way in which "
        "T-RecX counts:",
        _pick_table({"int8": study.own_depth}),
        f"`{OURS}` minus the others, in points of FLOPs saved:",
        _difference_table(study),
    ]
    if repeats:
        seeds = [study, *repeats]
        parts += [f"The same with {len(seeds)} seeds, mean and range:", _seed_table(seeds)]
    return "\n\n".join(parts)


def _accuracy_table(study: Study) -> str:
    methods = {m["name"]: m for m in study.figures["benefit"]["methods"]}
    rows = []
    for network in ("base", *NETWORKS):
        found = [p for p in study.figures["precisions"] if p["name"] == network]
        curve = methods[network]["curve"] if network in methods else None
        for k, exit_ in enumerate(found):
            cost = 1.0 if curve is None else curve["path_costs"][k] / curve["reference_cost"]
            added = methods[network]["parameters_added"] if curve and not k else None
            cells = [
                interval(Estimate(**exit_[key])) for key in ("float_accuracy", "int8_accuracy")
            ]
            change = interval(Estimate(**exit_["change"]), unit="points")
            parameters = "" if added is None else f"{added:+,}"
            rows.append((network, exit_["exit"], percent(cost), *cells, change, parameters))
    head = (
        "network",
        "answer of",
        "FLOPs",
        "float",
        "int8",
        "int8 minus float",
        "parameters added",
    )
    return _table(head, rows)


def _pick_table(reports: dict[str, BenefitReport]) -> str:
    rows = [
        (
            entry.name,
            kind,
            *(
                "-" if p is None else f"{interval(p.reduction, 1)}; loses {100 * p.loss.value:.2f}"
                for p in entry.curve.picks
            ),
        )
        for kind, report in reports.items()
        for entry in report.entries
    ]
    return _table(("network", "", *_loss_heads()), rows)


def _difference_table(study: Study) -> str:
    rows = []
    for against, report in (("base", study.int8), ("own full depth", study.own_depth)):
        ours = study.entry(OURS, report)
        for entry in report.entries:
            if entry.name == OURS:
                continue
            found = [report.reduction_difference(ours, i, entry) for i in range(len(LOSSES))]
            rows.append((entry.name, against, *(interval(d, 1, "points") for d in found)))
    return _table(("against", "loss against", *_loss_heads()), rows)


def _seed_table(studies: Sequence[Study]) -> str:
    rows = []
    for name in NETWORKS:
        curves = [study.entry(name).curve for study in studies]
        accuracy = [[a.value for a in c.segment_accuracy] for c in curves]
        cells = [_spread([a[0] for a in accuracy]), _spread([a[-1] for a in accuracy])]
        for i in range(len(LOSSES)):
            picks = [c.picks[i] for c in curves]
            found = [p.reduction.value for p in picks if p is not None]
            none = len(picks) - len(found)
            cells.append(_spread(found) + (f"; none for {none}" if none and found else ""))
        rows.append((name, *cells))
    return _table(("network", "exit", "full depth", *_loss_heads()), rows)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, high = (100 * f(values) for f in (min, max))
    return f"{100 * statistics.mean(values):.1f} % ({low:.1f} to {high:.1f})"


def _claims(studies: Sequence[Study]) -> str:
    """The aims, each with what was measured."""
    rows = [row for study in studies for row in _study_claims(study)]
    return _table(("task", "aim", "measured", "reached"), rows)


def _study_claims(study: Study):
    ours, theirs = study.entry(OURS), study.entry(YARDSTICK)
    zero = {"ic": 0.15, "kws": 0.30}.get(study.figures["task"])
    for loss in (0.0, 1.0):
        i = LOSSES.index(loss)
        least = 5.0 if loss == 1.0 else 0.0
        best = ours.curve.picks[i]
        gain = study.int8.reduction_difference(ours, i, theirs)
        aim = f"at least {least:g} points of FLOPs more than T-RecX at {loss:g} points of loss"
        if gain is None:
            yield (study.title, aim, "T-RecX finds no threshold", _yes(best is not None))
        else:
            yield (study.title, aim, interval(gain, 1, "points"), _yes(100 * gain.value >= least))
    if zero is not None:
        best = ours.curve.picks[0]
        measured = "-" if best is None else interval(best.reduction, 1)
        aim = f"at least {100 * zero:g} % of the FLOPs saved at zero loss"
        yield (study.title, aim, measured, _yes(best is not None and best.reduction.value >= zero))
    above = study.above_base(OURS)
    aim = "full depth not below the base network"
    yield (study.title, aim, interval(above, unit="points"), _yes(above.value >= 0))
    changes = [p["change"] for p in study.figures["precisions"] if p["name"] in ("base", OURS)]
    worst = min(changes, key=lambda change: change["value"])
    aim = f"int8 loses at most {100 * INT8_LIMIT:g} points at every exit"
    measured = interval(Estimate(**worst), unit="points")
    yield (study.title, aim, measured, _yes(worst["value"] >= -INT8_LIMIT))


def _yes(reached: bool) -> str:
    return "yes" if reached else "no"


def _loss_heads() -> list[str]:
    return [f"{loss:g} points" for loss in LOSSES]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=_FOLDER)
@click.option("--seed", "repeats", multiple=True, type=_FOLDER, help="A repetition.")
@click.option("--docs", type=click.Path(path_type=Path), default=DOCS, show_default=True)
def main(folders: tuple[Path, ...], repeats: tuple[Path, ...], docs: Path) -> None:
    """Write RESULTS.md and its pictures into the documentation."""
    studies = [Study.read(folder) for folder in folders]
    for study in studies:
        write_atomic(docs / f"results-{study.name}.svg", study.int8.svg())
        write_atomic(docs / f"results-{study.name}-float.svg", study.float.svg())
    write_atomic(docs / "RESULTS.md", page(studies, [Study.read(folder) for folder in repeats]))
    click.echo(docs / "RESULTS.md")


if __name__ == "__main__":
    main()
