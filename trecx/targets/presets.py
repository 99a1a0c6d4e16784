"""Real boards for the cycle model: clock, flash wait states, caches, energy.

Wait states and caches are from the vendors' reference manuals; energy a cycle is derived from the
published MLPerf Tiny results of the same boards, where it is constant within 6 % over the four
models. Currents of data sheets are 2 to 4 times too low for this and are not used.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from trecx.errors import InputError
from trecx.targets.boards import Board


@dataclass(frozen=True)
class Cache:
    """line_bytes x sets x ways, least recently used line replaced."""

    line_bytes: int
    sets: int
    ways: int

    @property
    def option(self) -> str:
        return f"{self.line_bytes}:{self.sets}:{self.ways}"


@dataclass(frozen=True)
class FlashMemory:
    """How the core sees its flash.

    wait_states: cycles that a read adds. fetch: cache of instructions (or what the flash reads at a
    time). data: cache of loads; None: `fetch` serves both when `unified`, else nothing does.
    """

    wait_states: int
    fetch: Cache
    data: Cache | None = None
    unified: bool = False


@dataclass(frozen=True)
class Preset:
    """A board to estimate for. core: as in board.json.

    flash: None for memory without wait states. error: relative uncertainty (down, up) of cycles,
    when the memory adds to that of the core's model. picojoules: (low, high) energy of a cycle
    for the whole board, None where nothing is published.
    """

    name: str
    title: str
    core: str
    clock_hz: int
    flash_bytes: int
    ram_bytes: int
    flash: FlashMemory | None
    error: tuple[float, float] | None = None
    picojoules: tuple[float, float] | None = None
    note: str = ""


_KB = 1024
_ONE_READ = 8  # bytes that the flash of these boards delivers at a time


_PRESETS = (
    Preset(
        "l4r5",
        "NUCLEO-L4R5ZI, STM32L4R5, 1.8 V",
        "cortex-m4",
        120_000_000,
        2048 * _KB,
        640 * _KB,
        # ART accelerator: 1 KB for instructions, 256 bytes for data, fully associative.
        FlashMemory(5, Cache(_ONE_READ, 1, 128), Cache(_ONE_READ, 1, 32)),
        error=(0.05, 0.20),
        picojoules=(322, 365),
    ),
    Preset(
        "u575",
        "STM32U575, 1.8 V with SMPS",
        "cortex-m33",
        160_000_000,
        2048 * _KB,
        786 * _KB,
        FlashMemory(4, Cache(16, 256, 2), unified=True),
        error=(0.10, 0.15),
        picojoules=(141, 150),
        note="8 KB cache for instructions and constants, no wait on a hit",
    ),
    Preset(
        "h7a3",
        "NUCLEO-H7A3ZI-Q, STM32H7A3, 3.0 V with SMPS",
        "cortex-m7",
        280_000_000,
        2048 * _KB,
        1024 * _KB,
        FlashMemory(6, Cache(32, 256, 2), Cache(32, 128, 4)),
        error=(0.25, 0.30),
        picojoules=(434, 483),
        note="activations in tightly coupled memory",
    ),
    Preset(
        "f746",
        "STM32F746",
        "cortex-m7",
        216_000_000,
        1024 * _KB,
        320 * _KB,
        FlashMemory(7, Cache(32, 64, 2), Cache(32, 32, 4)),
        error=(0.25, 0.30),
        note="activations in tightly coupled memory",
    ),
    Preset(
        "nrf52840",
        "nRF52840",
        "cortex-m4",
        64_000_000,
        1024 * _KB,
        256 * _KB,
        FlashMemory(2, Cache(_ONE_READ, 1, 1)),
        error=(0.30, 0.30),
        note="instruction cache off",
    ),
    Preset(
        "g0b1",
        "STM32G0B1",
        "cortex-m0plus",
        64_000_000,
        512 * _KB,
        144 * _KB,
        FlashMemory(2, Cache(_ONE_READ, 1, 4)),
        error=(0.20, 0.20),
    ),
)


def preset_names() -> tuple[str, ...]:
    return tuple(p.name for p in _PRESETS)


def list_presets(core: str | None = None) -> list[Preset]:
    """All presets, or those of one core."""
    return [p for p in _PRESETS if core is None or p.core == core]


def load_preset(name: str) -> Preset:
    """The preset of that name. Raises InputError, with the nearest name, when there is none."""
    for preset in _PRESETS:
        if preset.name == name:
            return preset
    near = difflib.get_close_matches(name, preset_names(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"there is no preset {name!r}{hint} (presets: {', '.join(preset_names())})")


def zero_wait_preset(board: Board) -> Preset:
    """The emulated board itself, with memory that never waits: the core's own speed."""
    return Preset(
        board.name,
        f"{board.title}, memory without wait states",
        board.core,
        board.clock_hz,
        board.flash_bytes,
        board.ram_bytes,
        None,
    )
