"""Time each layer with the board's counter, in a build that reports where functions begin and end.

For machines without a host compiler, where the profiler's plugin cannot be built.
"""

from __future__ import annotations

import struct
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from trecx.errors import InputError, TargetError, TargetTimeoutError
from trecx.targets.boards import Board
from trecx.targets.build import Firmware
from trecx.targets.elf import FunctionFinder
from trecx.targets.faults import error_from_exit, hang_place
from trecx.targets.qemu import Emulator, instructions_from_ticks

_HEADER = struct.Struct("<4I")
_MAGIC = 0x314C5254
# Parts of the paths of sources that are not generated code; only that is timed.
_NOT_GENERATED = ("/kernels/", "/runtime/", "/include/", "/firmware/", "/boards/")
_BEGIN = 1  # bit 0 of an event's function address


def time_layers(
    firmware: Firmware, board: Board, inputs: np.ndarray, *, timeout: float
) -> list[dict[str, int]]:
    """For each sample: function name -> instructions between its begin and its end.

    Functions of the generated code only, those they call included. To within a few instructions:
    the instrumented functions differ a little in entry and exit from the real ones.
    """
    if firmware.rebuild is None:
        raise InputError("this firmware cannot be built again with instrumentation")
    with tempfile.TemporaryDirectory(prefix="trecx-layers-") as name:
        folder = Path(name)
        flags = [
            "-finstrument-functions",
            f"-finstrument-functions-exclude-file-list={','.join(_NOT_GENERATED)}",
        ]
        instrumented = firmware.rebuild(app="layers", out_dir=folder, flags=flags)
        np.ascontiguousarray(inputs, dtype=np.int8).tofile(folder / "in")
        words = ["layers", "in", "out", "0", str(len(inputs))]
        with Emulator(board, instrumented.elf, folder, words=words) as emulator:
            status = emulator.wait(timeout)
            if status is None:
                place = hang_place(instrumented, emulator.registers())
                raise TargetTimeoutError(f"the instrumented firmware hangs{place}")
            error = error_from_exit(instrumented, status, emulator.console(), "")
            if error is not None:
                raise error
        return _read_events((folder / "out").read_bytes(), instrumented, len(inputs))


def _read_events(data: bytes, firmware: Firmware, samples: int) -> list[dict[str, int]]:
    magic, counter_hz, empty, nested = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise TargetError("the instrumented firmware's output does not begin as expected")
    find = FunctionFinder(firmware.image)
    offset, found = _HEADER.size, []
    for _ in range(samples):
        (count,) = struct.unpack_from("<I", data, offset)
        events = np.frombuffer(data, "<u4", 2 * count, offset + 4).reshape(count, 2)
        offset += 4 + events.nbytes
        found.append(_durations(events, counter_hz, empty, nested, find))
    return found


def _durations(events, counter_hz: int, empty: int, nested: int, find) -> dict[str, int]:
    """Instructions by function, from begin and end events; recursion does not occur.

    empty: ticks of a pair of events; nested: of a pair around another pair. Both are taken off.
    """
    total: Counter = Counter()
    begun: dict[int, tuple[int, int]] = {}  # address -> ticks, pairs that had ended before
    ended = 0
    for word, ticks in events.tolist():
        address = word & ~_BEGIN
        if word & _BEGIN:
            begun[address] = (ticks, ended)
            continue
        start, ended_before = begun.pop(address)
        spent = (ticks - start - empty - (ended - ended_before) * (nested - empty)) % 2**32
        ended += 1
        symbol = find(address)
        name = symbol.name.split(".")[0] if symbol else "?"
        total[name] += int(instructions_from_ticks(np.uint32(spent), counter_hz))
    return dict(total)
