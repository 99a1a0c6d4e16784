"""Start QEMU for a firmware, watch it, and never leave it behind."""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np

from trecx.errors import InputError, ToolMissingError
from trecx.targets.boards import Board
from trecx.targets.toolchain import find_tool, tool_version, version_number

# Under -icount shift=N, QEMU's clock advances by 2**N ns with every instruction. With N = 7 an
# instruction lasts at least two ticks of every board's counter (the slowest has 16 MHz, 62.5 ns),
# so a difference of two readings, off by less than one tick, rounds to the exact number.
ICOUNT_SHIFT = 7
NANOSECONDS_PER_INSTRUCTION = 1 << ICOUNT_SHIFT

OLDEST_QEMU = (7, 0)


def instructions_from_ticks(ticks: np.ndarray, counter_hz: int) -> np.ndarray:
    """Executed instructions from differences of the board's counter.

    ticks: unsigned integers of any shape. counter_hz: rate of the counter. Exact, see
    ICOUNT_SHIFT.
    """
    ratio = Fraction(10**9, counter_hz * NANOSECONDS_PER_INSTRUCTION)
    ticks = np.asarray(ticks, dtype=np.int64)
    return (2 * ticks * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)


def most_instructions(counter_hz: int) -> int:
    """The longest run that the 32-bit counter can measure."""
    return int(instructions_from_ticks(np.uint32(2**32 - 2), counter_hz))


@dataclass(frozen=True)
class Plugin:
    """A TCG plugin: the shared object and its arguments."""

    path: Path
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def option(self) -> str:
        return ",".join([str(self.path), *(f"{k}={v}" for k, v in self.arguments.items())])


def require_qemu() -> str:
    """Path of the emulator. Raises ToolMissingError when it is missing or too old."""
    qemu = find_tool("qemu-system-arm")
    if version_number(qemu) < OLDEST_QEMU:
        oldest = ".".join(map(str, OLDEST_QEMU))
        raise ToolMissingError(
            f"qemu-system-arm must be version {oldest} or later; found {tool_version(qemu)}"
        )
    return qemu


def plugin_interface() -> int:
    """Version of the plugin interface that the emulator speaks.

    Raises ToolMissingError when it was built without plugins.
    """
    qemu = require_qemu()
    if not _takes_plugins(qemu):
        raise ToolMissingError(
            f"{qemu} was built without plugins; install one that has them, such as Debian's "
            "qemu-system-arm"
        )
    return 1 if version_number(qemu) < (9,) else 2


@cache
def _takes_plugins(qemu: str) -> bool:
    """Its help lists the option only when it is there."""
    done = subprocess.run([qemu, "-help"], capture_output=True, text=True)
    return re.search(r"^-plugin ", done.stdout, re.MULTILINE) is not None


class Emulator:
    """One QEMU process. Use it as a context manager: leaving the block ends the process.

    words: the guest's command line. workdir: current folder of the process; guest file names are
    relative to it. serial: what the board's UART is connected to, as QEMU's -serial takes it.
    Create it in a thread that lives as long as it does: the kernel ends it with that thread.
    """

    def __init__(
        self,
        board: Board,
        elf: Path,
        workdir: Path,
        *,
        words: Iterable[str] = (),
        plugin: Plugin | None = None,
        serial: str = "null",
    ):
        words = list(words)
        if any(" " in word or "," in word for word in words):
            raise InputError(f"guest arguments must have no space and no comma; got {words!r}")
        qemu = require_qemu()
        self._control = Path(tempfile.mkdtemp(prefix="trecx-"))
        command = [
            *_tied_to_us(),
            qemu,
            *("-machine", board.machine),
            *("-display", "none"),
            *("-monitor", "none"),
            *("-serial", serial),
            *("-icount", f"shift={ICOUNT_SHIFT},align=off,sleep=off"),
            *("-qmp", f"unix:{self._control / 'qmp'},server=on,wait=off"),
            *("-semihosting-config", _semihosting(words)),
            *(("-plugin", plugin.option) if plugin else ()),
            *("-kernel", str(Path(elf).resolve())),
        ]
        self._console = (self._control / "console").open("w+b")
        self.process = subprocess.Popen(
            command,
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
        )
        _running.add(self)

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def wait(self, timeout: float) -> int | None:
        """The exit status, or None when it still runs after `timeout` seconds."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def console(self) -> str:
        """What the guest and QEMU itself have printed so far."""
        return (self._control / "console").read_bytes().decode("utf-8", "replace")

    def registers(self) -> dict[str, int]:
        """The guest's core registers (names as QEMU prints them: R00 to R15), or nothing."""
        try:
            text = self._monitor("info registers")
        except (OSError, ValueError, KeyError):
            return {}
        return parse_registers(text)

    def close(self) -> None:
        """End the process if it runs, and remove what belongs to it."""
        _running.discard(self)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._console.close()
        for path in self._control.glob("*"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._control.rmdir()

    def _monitor(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(self._control / "qmp"))
            stream = link.makefile("rw")
            stream.readline()  # the greeting
            answer = None
            for command in (
                {"execute": "qmp_capabilities"},
                {"execute": "human-monitor-command", "arguments": {"command-line": line}},
            ):
                stream.write(json.dumps(command) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
            return answer["return"]


@cache
def _tied_to_us() -> tuple[str, ...]:
    """Words before a command that make Linux end it when this process dies, even by SIGKILL.

    setpriv is part of util-linux; where it is missing, only an orderly end takes emulators along.
    """
    setpriv = shutil.which("setpriv")
    words = (setpriv or "", "--pdeathsig", "KILL", "--")
    works = setpriv and subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if works else ()


def parse_registers(text: str) -> dict[str, int]:
    """Core registers in a dump of QEMU ("R15=00000144")."""
    return {name: int(value, 16) for name, value in re.findall(r"(R\d\d)=([0-9a-f]{8})", text)}


def _semihosting(words: list[str]) -> str:
    return ",".join(["enable=on,target=native", *(f"arg={word}" for word in words)])


_running: weakref.WeakSet[Emulator] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    for emulator in list(_running):
        emulator.close()
