"""docs/COMPARISON.md: the exit methods on the benchmark's tasks, from finished comparisons.

    trecx compare ic --data DATA ... -o build/compare/ic
    trecx compare kws --data DATA ... -o build/compare/kws
    python -m benchmarks.comparison build/compare/ic build/compare/kws

Each folder is one that `trecx compare` wrote. Nothing in the page is written by hand but this
module's own sentences.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import click

from trecx.files import write_atomic

DOCS = Path(__file__).parent.parent / "docs"

INTRODUCTION = """# Exit methods compared

Written by `python -m benchmarks.comparison` from the results of `trecx compare`; do not edit.

Within a task, all networks have the same backbone, data, splits, augmentation, optimiser, schedule,
epochs and seed, and each method its own head, loss, training procedure and exit rule as published
(`trecx/stages/recipes.py` says where its exits stand). PTEENet starts from the trained base network
and trains its branches for as many epochs again. Every figure is of the int8 network on the integer
interpreter, which is bit-exact to the device. Thresholds are chosen on the calibration split; the
test split is only measured. The reference is the network without exits, trained alone: a loss is
against its accuracy, a reduction against its cost. A method whose full depth is less accurate than
the reference cannot make that up by any threshold, and shows a dash.
"""

# What must be known of a data set beside a figure.
DATA_NOTES = {
    "CIFAR-10, JPEG copy": "all images of CIFAR-10, re-encoded as JPEG (quality 75, 4:2:0 chroma). "
    "Harder than the original; no figure here is comparable with published figures of CIFAR-10.",
    "spoken digits": "the Free Spoken Digit Dataset (3,000 recordings of ten words by six "
    "speakers, CC BY-SA 4.0), split by takes: the speakers of the test split are heard in "
    "training. Far smaller and easier than Speech Commands: one test clip is 0.3 points.",
    "spoken digits, speakers held out": "the Free Spoken Digit Dataset (3,000 recordings of ten "
    "words by six speakers, CC BY-SA 4.0); the speakers of calibration and test are heard in no "
    "other split. One voice each: what a threshold saves and loses there depends on the seed of "
    "the training more than on the method.",
    "COCO person, 231 images": "photographs of COCO 2017, their longer side 256 pixels; person: a "
    "person's box covers more than 2.5 % of the image. 113 of train2017 for training, 118 of "
    "val2017 for the rest: one test image is 1.7 points, so intervals are wide.",
}


@dataclass(frozen=True)
class Result:
    """One folder of `trecx compare`. name: of its section and pictures. pictures: SVG by file."""

    name: str
    figures: dict
    page: str
    pictures: dict[str, str]

    @property
    def methods(self) -> list[dict]:
        return self.figures["benefit"]["methods"]

    @property
    def published(self) -> set[str]:
        """Names of the networks that a published method trained."""
        ours = ("distilled", "base")
        return {t["name"] for t in self.figures["trainings"] if t["method"] not in ours}


def read_result(folder: Path) -> Result:
    """Read a comparison's files. Raises OSError and ValueError when they are not there."""
    return Result(
        folder.name,
        json.loads((folder / "comparison.json").read_text()),
        (folder / "comparison.md").read_text(),
        {path.name: path.read_text() for path in sorted(folder.glob("comparison*.svg"))},
    )


def page(results: list[Result]) -> str:
    """The whole page in Markdown."""
    parts = [INTRODUCTION, _data_table(results), "## Summary", _summary(results)]
    parts += [_verdict(result) for result in results]
    parts += [_section(result) for result in results]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _data_table(results: list[Result]) -> str:
    rows = []
    for result in results:
        curve = result.methods[0]["curve"]
        name = result.figures["data"]
        samples = f"{curve['calibration_samples']:,} / {curve['test_samples']:,}"
        base = _percent(curve["reference_accuracy"]["value"], 2)
        note = "synthetic" if result.figures["synthetic_data"] else DATA_NOTES.get(name, "")
        rows.append(f"| {result.name} | {name}: {note} | {samples} | {base} |")
    head = (
        "| task | data | calibration / test samples | accuracy without exits |\n|---|---|---:|---:|"
    )
    return "\n".join([head, *rows])


def _summary(results: list[Result]) -> str:
    losses = results[0].methods[0]["curve"]["losses"]
    columns = ["task", "method", "policy", *(f"{loss:g} points" for loss in losses), "area"]
    lines = [
        "Reduction of the mean cost at a largest loss of accuracy against the network without "
        "exits (chosen on calibration, measured on test), and the area under the benefit curve.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---|---|---|" + "---:|" * (len(losses) + 1),
    ]
    for result in results:
        for method in result.methods:
            curve = method["curve"]
            picks = [
                "-" if p is None else _percent(p["reduction"]["value"], 1) for p in curve["picks"]
            ]
            name = method["name"].split(",")[0]
            cells = [
                result.name,
                name,
                curve["policy"],
                *picks,
                _percent(curve["area"]["value"], 2),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _verdict(result: Result) -> str:
    """Whether the best is ahead of every published method on the whole curve, and where not."""
    best = result.figures["benefit"]["best"]
    behind = {}
    for name, against in best["against"].items():
        if name.split(",")[0] in result.published and against["behind_at_costs"]:
            spans = (f"{100 * a:.0f} to {100 * b:.0f} %" for a, b in against["behind_at_costs"])
            behind[name] = ", ".join(spans)
    own = best["name"].split(",")[0] in result.published
    said = f"**{result.name}**: the largest area has {best['name']}"
    said += " (published)" if own else " (trecx's own)"
    if not behind:
        return said + ", at least as accurate as every published method at every cost."
    listed = "; ".join(f"{name} at {where}" for name, where in behind.items())
    return f"{said}; less accurate at the same cost than {listed}."


def _section(result: Result) -> str:
    """The comparison's own page as a section, its picture beside this page."""
    text = result.page
    for name in result.pictures:
        text = text.replace(f"({name})", f"({picture_name(result, name)})")
    text = re.sub(r"^# .*$", f"## {result.name}: {result.figures['data']}", text, flags=re.M)
    return text


def picture_name(result: Result, name: str) -> str:
    """Of a picture beside the page: comparison.svg of the folder kws is comparison-kws.svg."""
    return name.replace("comparison", f"comparison-{result.name}", 1)


def _percent(fraction: float, digits: int) -> str:
    return f"{100 * fraction:.{digits}f} %"


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--docs", type=click.Path(path_type=Path), default=DOCS, show_default=True)
def main(folders: tuple[Path, ...], docs: Path) -> None:
    """Write COMPARISON.md and its pictures into the documentation."""
    results = [read_result(folder) for folder in folders]
    for result in results:
        for name, picture in result.pictures.items():
            write_atomic(docs / picture_name(result, name), picture)
    write_atomic(docs / "COMPARISON.md", page(results))
    click.echo(docs / "COMPARISON.md")


if __name__ == "__main__":
    main()
