"""Boards: one folder under deploy/boards with board.json and board.c."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trecx.errors import CapacityError, InputError
from trecx.targets.deploy_path import deploy_path

HOST = "host"


@dataclass(frozen=True)
class Board:
    """What board.json says. Sizes in bytes; the host has no memory map and no machine.

    core: cortex-m0, -m3, -m4, -m7, -m33, -m55 or host. isa: kernel family (ref, dsp, mve).
    flags: compiler flags that select the core. machine: QEMU's name. clock_hz: of the
    processor and the UART. counter_hz: ticks a second of board_counter (the FPGA's I/O block has
    its own clock on some boards, and under the emulator). stack_bytes: size of the stack region.
    """

    name: str
    title: str
    core: str
    isa: str
    flags: tuple[str, ...]
    machine: str | None = None
    clock_hz: int = 0
    counter_hz: int = 0
    flash_origin: int = 0
    flash_bytes: int = 0
    ram_origin: int = 0
    ram_bytes: int = 0
    stack_bytes: int = 0

    @property
    def is_host(self) -> bool:
        return self.core == HOST

    @property
    def folder(self) -> Path:
        return deploy_path() / "boards" / self.name

    @property
    def sources(self) -> tuple[Path, ...]:
        """The C files that bring this board up."""
        common = deploy_path() / "boards" / "common"
        shared = () if self.is_host else (common / "startup.c", common / "semihosting.c")
        return (self.folder / "board.c", *shared)

    def check_capacity(self, *, flash_bytes: int, ram_bytes: int) -> None:
        """Raise CapacityError when that much flash and RAM (besides the stack) cannot fit."""
        if self.is_host:
            return
        for kind, need, have in (
            ("flash", flash_bytes, self.flash_bytes),
            ("RAM", ram_bytes + self.stack_bytes, self.ram_bytes),
        ):
            if need > have:
                stack = f" ({self.stack_bytes:,} of them stack)" if kind == "RAM" else ""
                raise CapacityError(
                    f"the firmware needs at least {need:,} bytes of {kind}{stack}, but board "
                    f"{self.name} has {have:,}; choose a larger board or a smaller model"
                )

    def fits(self, *, flash_bytes: int, ram_bytes: int) -> bool:
        """Whether that much flash and RAM (besides the stack) is there."""
        try:
            self.check_capacity(flash_bytes=flash_bytes, ram_bytes=ram_bytes)
        except CapacityError:
            return False
        return True


@cache
def board_names() -> tuple[str, ...]:
    """Every board, the host included, sorted."""
    found = (deploy_path() / "boards").glob("*/board.json")
    return tuple(sorted(path.parent.name for path in found))


def list_boards() -> list[Board]:
    return [load_board(name) for name in board_names()]


@cache
def load_board(name: str) -> Board:
    """The board of that name. Raises InputError, with the nearest names, when there is none."""
    if name not in board_names():
        near = difflib.get_close_matches(name, board_names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"there is no board {name!r}{hint} (boards: {', '.join(board_names())})")
    path = deploy_path() / "boards" / name / "board.json"
    try:
        fields = json.loads(path.read_text())
        for key in ("flash_origin", "ram_origin"):
            if key in fields:
                fields[key] = int(fields[key], 16)
        fields["flags"] = tuple(fields["flags"])
        return Board(name=name, **fields)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a valid board description: {error}") from error
