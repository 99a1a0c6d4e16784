"""Build an application around a compiled model: a file to flash, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trecx.codegen.compiler import CompiledModel
from trecx.errors import InputError
from trecx.reports.document import Document, Facts, count
from trecx.stages.benchmark import build_device
from trecx.stages.chain import Chain
from trecx.stages.running import build
from trecx.targets.build import Firmware
from trecx.targets.deploy_path import deploy_path

BENCHMARK = "mlperf"


@dataclass(frozen=True, eq=False)
class BuildSummary:
    """A linked program and its sections."""

    firmware: Firmware
    model: CompiledModel

    def to_json(self) -> dict:
        firmware = self.firmware
        return {
            "report": "build",
            "elf": str(firmware.elf),
            "board": firmware.board.name,
            "application": firmware.app,
            "flash": {s.name: s.size for s in firmware.sections if s.stored},
            "flash_bytes": firmware.flash_bytes,
            "ram_bytes": firmware.ram_bytes,
            "arena_bytes": self.model.plan.arena_bytes,
            "build": firmware.build,
        }

    def document(self) -> Document:
        firmware, board = self.firmware, self.firmware.board
        rows = [("program", str(firmware.elf))]
        if not board.is_host:
            rows += [(f"flash {s.name}", count(s.size)) for s in firmware.sections if s.stored]
            rows += [
                (
                    "flash, all",
                    f"{count(firmware.flash_bytes)} of {count(board.flash_bytes)} bytes",
                ),
                ("RAM", f"{count(firmware.ram_bytes)} of {count(board.ram_bytes)} bytes"),
            ]
        rows += [
            ("arena", f"{count(self.model.plan.arena_bytes)} bytes"),
            ("compiler", firmware.build["compiler"]),
            ("flags", firmware.build["flags"]),
        ]
        return Document(
            f"{firmware.app} with {self.model.prefix} on {board.name}", (Facts(tuple(rows)),)
        )


def build_application(
    chain: Chain, model: CompiledModel, target: str, out: Path, app: str
) -> Firmware:
    """Build `app` around the model in `out`: a name under deploy/firmware, or a C file.

    A C file defines `int trecx_app(void)` (trecx/board.h); TRECX_MODEL is its model's descriptor.
    """
    if app == BENCHMARK:
        return build_device(chain, model, target, out)
    if app.endswith(".c"):
        if not Path(app).is_file():
            raise InputError(f"there is no C file {app}")
    elif app not in applications():
        known = ", ".join(applications())
        raise InputError(f"there is no application {app!r}: give a C file or one of {known}")
    return build(model, target, out, app=app)


def applications() -> list[str]:
    """The applications that trecx brings along."""
    return sorted(path.stem for path in (deploy_path() / "firmware").glob("*.c"))
