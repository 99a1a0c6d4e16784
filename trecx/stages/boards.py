"""Boards and tools of this machine, as reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from trecx.reports.document import Document, Facts, Note, Table, kib
from trecx.stages.chain import load_chain
from trecx.stages.compiling import compile_for
from trecx.targets.boards import Board, list_boards
from trecx.targets.doctor import Check, all_required_ok, run_checks
from trecx.targets.presets import Preset, list_presets


@dataclass(frozen=True)
class Need:
    """What a model compiled for a board's instruction set needs there, in bytes."""

    flash_bytes: int
    ram_bytes: int
    fits: bool


@dataclass(frozen=True)
class BoardsReport:
    """Emulated boards, what a model needs on each of them, and the real boards to estimate for."""

    boards: tuple[Board, ...]
    presets: tuple[Preset, ...]
    model: str | None = None
    needs: tuple[Need, ...] = ()

    def to_json(self) -> dict:
        boards = [asdict(board) for board in self.boards]
        for entry, need in zip(boards, self.needs, strict=False):
            entry["needs"] = asdict(need)
        presets = [asdict(preset) for preset in self.presets]
        return {"report": "boards", "model": self.model, "boards": boards, "presets": presets}

    def document(self) -> Document:
        columns = ["board", "core", "kernels", "emulator", "flash", "RAM"]
        rows = [
            [b.name, b.core, b.isa, b.machine or "", _size(b.flash_bytes), _size(b.ram_bytes)]
            for b in self.boards
        ]
        blocks = []
        if self.needs:
            columns += ["needs flash", "needs RAM", "fits"]
            for row, need in zip(rows, self.needs, strict=True):
                row += [kib(need.flash_bytes), kib(need.ram_bytes), "yes" if need.fits else "NO"]
            blocks.append(Note("Needs are constants and arena alone; code and stack come on top."))
        table = Table(tuple(columns), tuple(map(tuple, rows)), frozenset({4, 5, 6, 7}))
        return Document(
            "Boards" if self.model is None else f"Boards for {self.model}",
            (table, *blocks, _preset_table(self.presets)),
        )


@dataclass(frozen=True)
class DoctorReport:
    """What is installed, and what to install."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that trecx cannot do without is there."""
        return all_required_ok(list(self.checks))

    def to_json(self) -> dict:
        checks = [check.to_json() for check in self.checks]
        return {"report": "doctor", "passed": self.passed, "checks": checks}

    def document(self) -> Document:
        rows = tuple((c.name, _verdict(c), c.found, c.needed_for) for c in self.checks)
        blocks = [Table(("", "", "found", "needed for"), rows)]
        fixes = tuple((c.name, c.fix) for c in self.checks if c.fix)
        if fixes:
            blocks.append(Facts(fixes, "What to do"))
        return Document("trecx on this machine", tuple(blocks))


def boards_report(path: Path | None = None, **options) -> BoardsReport:
    """All boards, and what a bundle or .tflite file compiled with `options` needs on each."""
    boards, presets = tuple(list_boards()), tuple(list_presets())
    if path is None:
        return BoardsReport(boards, presets)
    chain = load_chain(path)
    needs = {
        isa: _need(compile_for(chain, next(b.name for b in boards if b.isa == isa), **options))
        for isa in sorted({b.isa for b in boards})
    }
    fitting = tuple(
        Need(flash, ram, board.fits(flash_bytes=flash, ram_bytes=ram))
        for board, (flash, ram) in ((board, needs[board.isa]) for board in boards)
    )
    return BoardsReport(boards, presets, str(path), fitting)


def doctor_report() -> DoctorReport:
    return DoctorReport(tuple(run_checks()))


def _need(model) -> tuple[int, int]:
    return model.weight_bytes, model.plan.arena_bytes


def _verdict(check: Check) -> str:
    if check.ok:
        return "ok"
    return "MISSING" if check.required else "missing"


def _size(size: int) -> str:
    return "" if size == 0 else f"{size // 1024} KiB"


def _preset_table(presets: tuple[Preset, ...]) -> Table:
    rows = tuple(
        (
            p.name,
            p.title,
            p.core,
            f"{p.clock_hz / 1e6:g} MHz",
            "no wait" if p.flash is None else f"{p.flash.wait_states} wait states",
            "no" if p.picojoules is None else "yes",
        )
        for p in presets
    )
    columns = ("preset", "board", "core", "clock", "flash", "energy")
    return Table(columns, rows, frozenset({3}), "Real boards that trecx profile can estimate for")
