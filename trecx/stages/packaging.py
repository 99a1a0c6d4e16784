"""A compiled model as a package for somebody's build system, with its measured needs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.codegen.compiler import CompiledModel, write_library
from trecx.errors import ToolMissingError
from trecx.reports.document import Document, Facts, count
from trecx.stages.chain import Chain
from trecx.stages.running import build
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.deploy_path import deploy_path
from trecx.targets.export import ExportFormat, export_library

FORMATS = tuple(kind.value for kind in ExportFormat)
_STACK_SAMPLES = 2


@dataclass(frozen=True)
class PackageSummary:
    """What was written. flash_bytes, stack_bytes: of a minimal firmware; None: no tools here."""

    kind: str
    out: str
    files: tuple[str, ...]
    flash_bytes: int | None
    stack_bytes: int | None

    def to_json(self) -> dict:
        return {
            "report": "package",
            "format": self.kind,
            "out": self.out,
            "files": list(self.files),
            "flash_bytes": self.flash_bytes,
            "stack_bytes": self.stack_bytes,
        }

    def document(self) -> Document:
        rows = (
            ("package", f"{self.out}, {len(self.files)} files"),
            ("flash of a minimal firmware", _measured(self.flash_bytes)),
            ("stack", _measured(self.stack_bytes)),
            ("how to use it", f"{self.out}/README.md"),
        )
        return Document(f"Exported as {self.kind}", (Facts(rows),))


def export_package(
    chain: Chain, model: CompiledModel, target: str, out: Path, kind: str, version: str
) -> PackageSummary:
    """Compile, measure, and write the package; see trecx.targets.export."""
    board = load_board(target)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library"
        write_library(model, deploy_path(), library)
        flash = stack = None
        if not board.is_host:
            flash, stack = _needs(chain, model, target, Path(folder))
        files = export_library(
            library, out, kind, board, version=version, flash_bytes=flash, stack_bytes=stack
        )
    names = tuple(str(path.relative_to(out)) for path in files)
    return PackageSummary(kind, str(out), names, flash, stack)


def _needs(
    chain: Chain, model: CompiledModel, target: str, work: Path
) -> tuple[int | None, int | None]:
    """Flash of a minimal firmware, and the stack that a few inferences reach."""
    try:
        flash = build(model, target, work / "minimal", app="minimal").flash_bytes
        runner = build(model, target, work / "batch")
        shape = (_STACK_SAMPLES, chain.graphs[0].inputs[0].size)
        x = np.random.default_rng(0).integers(-128, 128, shape, np.int8)
        return flash, run_batch(runner, runner.board, x, jobs=1).stack_used
    except ToolMissingError:
        return None, None


def _measured(size: int | None) -> str:
    return "not measured (no compiler or emulator here)" if size is None else f"{count(size)} bytes"
