"""The demonstration: every stage once, on the embedded synthetic data of a task."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from trecx import pipeline
from trecx.errors import InputError
from trecx.files import write_atomic
from trecx.policies.calibration import Budget
from trecx.reports.document import Document, Facts
from trecx.reports.html import to_html
from trecx.stages.calibrating import Choice
from trecx.stages.data import DataChoice
from trecx.stages.running import require_tools
from trecx.stages.summary import BundleSummary
from trecx.stages.training import recipe_for
from trecx.task import find_task

SAMPLES = 200


@dataclasses.dataclass(frozen=True)
class _Files:
    """What the demonstration leaves behind."""

    out: Path

    def document(self) -> Document:
        rows = (
            ("trained networks", str(self.out / "run")),
            ("bundle", str(self.out / "bundle")),
            ("C library", str(self.out / "c")),
            ("report page", str(self.out / "report.html")),
        )
        return Document("Written", (Facts(rows),))


def run_demo(
    out: Path, task_name: str, target: str, seed: int, progress, training
) -> Iterator[object]:
    """Run every stage in `out`, yielding each report as it is ready.

    Finished training runs in `out` are used again. Raises the errors of every stage; what a later
    one needs (board, compiler, emulator) is looked for before the training.
    """
    task, data = find_task(task_name), DataChoice(seed=seed)
    if task.kind != "classification":
        raise InputError(f"task {task.name!r} is no classification: the demo has no exit to show")
    require_tools(target)
    run, base_run, bundle_path = out / "run", out / "base-run", out / "bundle"
    demo = recipe_for(task, "demo")
    base = dataclasses.replace(demo, name="demo-base", method="base", exits=())
    for folder, recipe in ((run, demo), (base_run, base)):
        if not (folder / "run.json").exists():
            pipeline.train_recipe(
                task, recipe, data, run_dir=folder, resume=True, progress=training
            )
    bundle = pipeline.export(
        run,
        bundle_path,
        Choice(Budget(max_accuracy_loss=1.0)),
        data,
        base_run=base_run,
        progress=progress,
    )
    found = [BundleSummary(bundle)]
    yield found[-1]
    found.append(pipeline.flops(bundle_path))
    yield found[-1]
    pipeline.compile(bundle_path, target, out / "c")
    found.append(pipeline.memory(bundle_path, target))
    oracle = "tflm" if importlib.util.find_spec("tflite_micro") else "interpreter"
    found.append(
        pipeline.run(
            bundle_path, target, data=data, limit=SAMPLES, oracle=oracle, progress=progress
        )
    )
    yield found[-1]
    page = to_html(
        f"trecx demo: {task.title}",
        [report.document() for report in found],
        f"Synthetic data. Bundle {bundle.digest[:16]}.",
    )
    write_atomic(out / "report.html", page)
    yield _Files(out)
