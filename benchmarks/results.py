"""docs/RESULTS.md: trecx's own recipes against T-RecX and the network without exits.

    trecx compare ic --data DATA --methods t-recx,t-recx-no-ev,tower --recipe tower -o DIR/ic
    python -m benchmarks.results DIR/ic DIR/ic-seed1
    python -m benchmarks.results

Every folder is one that `trecx compare` wrote, other methods in it or not. Its figures go to
docs/results/NAME.json, and the page is written from all that stand there; studies that differ in
their seed alone become one section. Nothing in the page is written by hand but this module's own
sentences.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.comparison import DATA_NOTES, DOCS
from benchmarks.study import NETWORKS, YARDSTICK, Study, by_title
from trecx.files import write_atomic
from trecx.policies import LOSSES
from trecx.policies.bootstrap import Estimate
from trecx.reports.accuracy import interval
from trecx.reports.document import percent

INT8_LIMIT = 0.005
LEAST_SAVED = {"ic": 0.15, "kws": 0.30}

INTRODUCTION = """# Results

Written by `python -m benchmarks.results` from the figures in docs/results; do not edit.

A task's networks have the same data, splits, augmentation, optimiser, schedule, epochs and seed:
`base` is the benchmark's network without exits, trained alone; `t-recx` and `t-recx-no-ev` have
T-RecX's exit with and without early-view assistance (arXiv 2207.06613); `tower` is trecx's own
recipe ([TRAINING.md](TRAINING.md)). For vww there are too few images to train on: there `base` is
the network that MLCommons Tiny gives, all others start from it, T-RecX with its published
augmentation and schedule and the labels, and `fine-tuned` is our own recipe, without labels.

Figures are of int8 networks unless marked float. A threshold is chosen on the calibration split,
for the loss of accuracy at the head of the column; what stands in the column was then measured on
the test split. FLOPs are those of the mean path against those of `base`. Intervals: 95 %, bootstrap
over the test samples, the same resamples for all; differences are paired. A seed draws the weights,
the order of the samples, their augmentation and, on ic, the calibration split.

A study is one command, `--seed` added for another seed, and its figures are then taken over by
`python -m benchmarks.results FOLDER`:

    trecx compare ic --data cifar-10-batches-bin --data-option "name=CIFAR-10, JPEG copy" \\
        --methods t-recx,t-recx-no-ev,tower --recipe tower --epochs 24 -o ic
    trecx compare kws --data speech_commands --data-option "name=spoken digits" \\
        --methods t-recx,t-recx-no-ev,tower --recipe tower --epochs 50 -o kws
    trecx compare kws --data speech_commands --data-option calibration_speakers=jackson \\
        --data-option test_speakers=nicolas \\
        --data-option "name=spoken digits, speakers held out" \\
        --methods t-recx,t-recx-no-ev,tower --recipe tower --epochs 50 -o kws-speakers
    trecx compare vww --model vww_96.h5 --data coco-person-256/train \\
        --data-option test_path=coco-person-256/val --data-option large_side=256 \\
        --data-option calibration_of_test=0.5 --data-option views=8 \\
        --data-option "name=COCO person, 231 images" \\
        --methods t-recx.json,fine-tuned.json --epochs 60 -o vww

The two .json files are vww's recipes `t-recx` and `fine-tuned` with their exits at the layers of
that network: `activation_6` and `activation_10`."""


def page(studies: Sequence[dict]) -> str:
    """The whole page in Markdown, from the figures of studies (`Study.figures`)."""
    groups = by_title(studies)
    parts = [
        INTRODUCTION,
        "## What was to be reached",
        "Judged by the mean over the seeds.",
        _claims(groups),
    ]
    parts += [_section(title, group) for title, group in groups.items()]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _section(title: str, group: Sequence[dict]) -> str:
    study = group[0]
    note = DATA_NOTES.get(study["data"], "")
    about = (
        f"Data: {study['data']}: {note} {study['calibration_samples']:,} samples for calibration, "
        f"{study['test_samples']:,} for test; {study['epochs']} epochs, seed {study['seed']}."
    )
    name = study["name"]
    parts = [
        f"## {title}",
        about,
        _accuracy_table(study),
        f"![accuracy against mean FLOPs, int8](results-{name}.svg)",
        f"![accuracy against mean FLOPs, float](results-{name}-float.svg)",
        "FLOPs saved against `base`, at a largest loss against the accuracy of `base`. A dash: no "
        "threshold was that accurate on the calibration split.",
        _pick_table(study, ("int8", "float")),
        "FLOPs saved at a largest loss against the network's own full depth, the way in which "
        "T-RecX counts:",
        _pick_table(study, ("own full depth",)),
        f"`{study['ours']}` minus the others, in points of FLOPs saved:",
        _difference_table(study),
    ]
    if len(group) > 1:
        seeds = ", ".join(str(s["seed"]) for s in group)
        parts += [f"The same with seeds {seeds}, int8, mean and range:", _seed_table(group)]
    return "\n\n".join(parts)


def _accuracy_table(study: dict) -> str:
    rows = []
    for answer in study["answers"]:
        first = answer["exit"] == "exit 1"
        added = answer["parameters_added"]
        rows.append(
            (
                answer["network"],
                answer["exit"],
                percent(answer["cost"]),
                interval(Estimate(**answer["float"])),
                interval(Estimate(**answer["int8"])),
                interval(Estimate(**answer["change"]), unit="points"),
                f"{added:+,}" if first and added is not None else "",
            )
        )
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


def _pick_table(study: dict, kinds: Sequence[str]) -> str:
    rows = [
        (network, "float" if kind == "float" else "int8", *map(_pick, picks))
        for kind in kinds
        for network, picks in study["picks"][kind].items()
    ]
    return _table(("network", "", *_loss_heads()), rows)


def _pick(pick: dict | None) -> str:
    if pick is None:
        return "-"
    return f"{interval(Estimate(**pick['reduction']), 1)}; loses {100 * pick['loss']:.2f}"


def _difference_table(study: dict) -> str:
    rows = [
        (network, reference, *(interval(d and Estimate(**d), 1, "points") for d in found))
        for reference, networks in study["differences"].items()
        for network, found in networks.items()
    ]
    return _table(("against", "loss against", *_loss_heads()), rows)


def _seed_table(group: Sequence[dict]) -> str:
    rows = []
    for name in ("base", *NETWORKS):
        found = [s for s in group if any(a["network"] == name for a in s["answers"])]
        if not found:
            continue
        answers = [[a["int8"]["value"] for a in s["answers"] if a["network"] == name]
                   for s in found]  # fmt: skip
        exits = _spread([a[0] for a in answers]) if name != "base" else ""
        cells = [exits, _spread([a[-1] for a in answers])]
        for i in range(len(LOSSES)):
            picks = [s["picks"]["int8"][name][i] for s in found if name != "base"]
            kept = [p["reduction"]["value"] for p in picks if p is not None]
            none = len(picks) - len(kept)
            cells.append(_spread(kept) + (f"; none for {none}" if none and kept else ""))
        rows.append((name, str(len(found)), *cells))
    return _table(("network", "seeds", "exit", "full depth", *_loss_heads()), rows)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, high = (100 * f(values) for f in (min, max))
    return f"{100 * statistics.mean(values):.2f} % ({low:.2f} to {high:.2f})"


@dataclass(frozen=True)
class Aim:
    """What was to be reached, by one study. least: of the value; both are fractions.

    value: None where the network has no threshold for it, which reaches nothing unless `beaten`.
    beaten: whether the other network has none, and ours has.
    where: the exit that it is about, where there are several.
    """

    text: str
    value: Estimate | None
    least: float
    unit: str = "points"
    digits: int = 1
    beaten: bool = False
    where: str = ""


def _claims(groups: dict[str, Sequence[dict]]) -> str:
    """The aims, each with what was measured."""
    rows = [
        (title, seeds[0].text, _measured(group, seeds), "yes" if _reached(seeds) else "no")
        for title, group in groups.items()
        for seeds in _hardest(list(zip(*map(_aims, group), strict=True)))
    ]
    return _table(("task", "aim", "measured", "reached"), rows)


def _hardest(aims: Sequence[Sequence[Aim]]) -> list[Sequence[Aim]]:
    """Of the aims with the same text, which hold for every exit, the one with the lowest mean."""
    texts = dict.fromkeys(seeds[0].text for seeds in aims)
    return [
        min((a for a in aims if a[0].text == text), key=lambda a: _mean(a) or 0.0) for text in texts
    ]


def _measured(group: Sequence[dict], seeds: Sequence[Aim]) -> str:
    first = seeds[0]
    measured = first.where + _shown(first, interval(first.value, first.digits, first.unit))
    if len(seeds) == 1:
        return measured
    others = [
        f"seed {study['seed']}: {_shown(aim, _number(aim.value and aim.value.value, aim))}"
        for study, aim in zip(group[1:], seeds[1:], strict=True)
    ]
    return "; ".join([measured, *others, f"mean {_number(_mean(seeds), first)} {first.unit}"])


def _shown(aim: Aim, value: str) -> str:
    return f"{YARDSTICK} finds no threshold" if aim.beaten else value


def _number(value: float | None, aim: Aim) -> str:
    return "-" if value is None else f"{100 * value:.{aim.digits}f}"


def _mean(seeds: Sequence[Aim]) -> float | None:
    found = [aim.value.value for aim in seeds if aim.value is not None]
    return statistics.mean(found) if found else None


def _reached(seeds: Sequence[Aim]) -> bool:
    mean = _mean(seeds)
    found = all(aim.value is not None or aim.beaten for aim in seeds)
    return found and (mean is None or mean >= seeds[0].least)


def _aims(study: dict) -> Iterator[Aim]:
    ours = study["picks"]["int8"][study["ours"]]
    theirs = study["picks"]["int8"][YARDSTICK]
    gains = study["differences"]["base"][YARDSTICK]
    for loss in (0.0, 1.0):
        i = LOSSES.index(loss)
        least = 5 if loss else 0
        aim = f"at least {least} points of FLOPs more than T-RecX at {loss:g} points of loss"
        beaten = theirs[i] is None and ours[i] is not None
        yield Aim(aim, gains[i] and Estimate(**gains[i]), least / 100, beaten=beaten)
    least = LEAST_SAVED.get(study["task"])
    if least is not None:
        saved = ours[0] and Estimate(**ours[0]["reduction"])
        aim = f"at least {100 * least:g} % of the FLOPs saved at zero loss"
        yield Aim(aim, saved, least, unit="%")
    above = Estimate(**study["above_base"])
    yield Aim("full depth not below the base network", above, 0.0, digits=2)
    aim = f"int8 loses at most {100 * INT8_LIMIT:g} points at every exit"
    for answer in study["answers"]:
        if answer["network"] in ("base", study["ours"]):
            where = f"{answer['network']}, {answer['exit']}: "
            yield Aim(aim, Estimate(**answer["change"]), -INT8_LIMIT, digits=2, where=where)


def _loss_heads() -> list[str]:
    return [f"{loss:g} points" for loss in LOSSES]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--docs", type=click.Path(path_type=Path), default=DOCS, show_default=True)
def main(folders: tuple[Path, ...], docs: Path) -> None:
    """Take over the figures of FOLDERS, and write RESULTS.md from all there are."""
    (docs / "results").mkdir(exist_ok=True)
    read = {}
    for folder in folders:
        study = Study.read(folder)
        figures = json.dumps({"name": folder.name, **study.figures()}, indent=1) + "\n"
        write_atomic(docs / "results" / f"{folder.name}.json", figures)
        read[folder.name] = study
    studies = [json.loads(path.read_text()) for path in (docs / "results").glob("*.json")]
    for first, *_ in by_title(studies).values():
        if study := read.get(first["name"]):
            write_atomic(docs / f"results-{first['name']}.svg", study.int8.svg())
            write_atomic(docs / f"results-{first['name']}-float.svg", study.float.svg())
    write_atomic(docs / "RESULTS.md", page(studies))
    click.echo(docs / "RESULTS.md")


if __name__ == "__main__":
    main()
