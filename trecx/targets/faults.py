"""From a stopped program to one clear error: what happened, where, with which registers."""

from __future__ import annotations

import re

from trecx.errors import FaultError, MemoryGuardError, TargetError, TrecxError, VerificationError
from trecx.targets.build import Firmware
from trecx.targets.qemu import parse_registers

# As in deploy/include/trecx/board.h.
EXIT_OK = 0
EXIT_USAGE = 64
EXIT_IO = 65
EXIT_MODEL = 66
EXIT_ARENA = 67
EXIT_FAULT = 70
EXIT_STACK = 71

# Bits of the Configurable Fault Status Register (Armv7-M and Armv8-M reference manuals).
_CFSR = {
    0: "instruction fetch not permitted",
    1: "data access not permitted",
    3: "memory fault while leaving an exception",
    4: "memory fault while stacking",
    5: "memory fault while saving floating-point state",
    8: "instruction fetch from an address without memory",
    9: "access to an address without memory",
    10: "late bus error",
    11: "bus error while leaving an exception",
    12: "bus error while stacking",
    13: "bus error while saving floating-point state",
    16: "undefined instruction",
    17: "invalid processor state",
    18: "invalid exception return",
    19: "coprocessor not available",
    20: "stack limit exceeded",
    24: "unaligned access",
    25: "division by zero",
}
_EXCEPTIONS = {
    2: "NMI",
    3: "hard fault",
    4: "memory management fault",
    5: "bus fault",
    6: "usage fault",
    7: "secure fault",
    11: "unexpected SVC",
    12: "unexpected debug event",
    14: "unexpected PendSV",
    15: "unexpected SysTick",
}
_SHOWN_REGISTERS = ("r0", "r1", "r2", "r3", "r12", "sp", "lr", "pc", "xpsr", "cfsr", "hfsr")


def error_from_exit(firmware: Firmware, status: int, console: str, where: str) -> TrecxError | None:
    """The error that an exit status of the firmware stands for; None for success.

    console: what the program printed. where: e.g. " in sample 17". A status that the firmware
    cannot have given (the emulator died) is a plain TargetError.
    """
    if status == EXIT_OK:
        return None
    if "ERROR: AddressSanitizer" in console or "runtime error:" in console:
        return FaultError(f"sanitizer report{where}: {_sanitizer_line(console)}")
    if status in (EXIT_FAULT, EXIT_STACK) or "trecx-fault:" in console:
        return _fault(firmware, status, console, where)
    if "Lockup" in console:
        registers = parse_registers(console)
        return FaultError(
            f"processor lock-up{where}{_place(firmware, registers.get('R15'))}: a fault while "
            "handling a fault"
        )
    if status == EXIT_ARENA:
        return MemoryGuardError(
            f"a guard word beside the arena was overwritten{where}: a kernel wrote outside its "
            f"buffers on {firmware.board.name}"
        )
    if status == EXIT_MODEL:
        return TargetError(f"the model returned an error{where}")
    if status == EXIT_IO:
        return TargetError(f"the firmware could not read or write its files{where}")
    if status == EXIT_USAGE:
        return VerificationError("the firmware did not understand its command line")
    return None if status == 0 else _died(status, console, where)


def is_firmware_status(status: int, console: str) -> bool:
    """Whether the program itself ended so (repeating it gives the same), not the emulator."""
    own = (EXIT_OK, EXIT_USAGE, EXIT_IO, EXIT_MODEL, EXIT_ARENA, EXIT_FAULT, EXIT_STACK)
    reported = ("trecx-fault:", "Lockup", "ERROR: AddressSanitizer", "runtime error:")
    return status in own or any(mark in console for mark in reported)


def hang_place(firmware: Firmware, registers: dict[str, int]) -> str:
    """ " at 0x... in function (file:line)" from a dump of the registers."""
    return _place(firmware, registers.get("R15"))


def _died(status: int, console: str, where: str) -> TargetError:
    how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
    lines = [line for line in console.splitlines() if line.strip()]
    said = f": {lines[-1][:300]}" if lines else ""
    return TargetError(f"the program or its emulator ended {how}{where}{said}")


def _fault(firmware: Firmware, status: int, console: str, where: str) -> TrecxError:
    found = re.search(r"trecx-fault:(.*)", console)
    values = dict(re.findall(r"(\w+)=([0-9a-f]{8})", found.group(1))) if found else {}
    numbers = {name: int(text, 16) for name, text in values.items()}
    shown = " ".join(f"{name}={values[name]}" for name in _SHOWN_REGISTERS if name in values)
    if status == EXIT_STACK:
        # A return address is that of the instruction after the call.
        call = numbers["call"] - 3 if numbers.get("call") else None
        return MemoryGuardError(
            f"stack overflow{where}{_place(firmware, numbers.get('pc', call))}: more than "
            f"{firmware.board.stack_bytes:,} bytes of stack on {firmware.board.name} ({shown})"
        )
    kind = _EXCEPTIONS.get(numbers.get("exception", 0) & 0x1FF, "processor fault")
    cfsr = numbers.get("cfsr", 0)
    causes = [text for bit, text in _CFSR.items() if cfsr >> bit & 1]
    cause = f" ({', '.join(causes)})" if causes else ""
    address = f", faulting address 0x{values['address']}" if "address" in values else ""
    place = _place(firmware, numbers.get("pc"))
    return FaultError(f"{kind}{cause}{where}{place}{address}: {shown}")


def _place(firmware: Firmware, pc: int | None) -> str:
    if pc is None:
        return ""
    line = firmware.source_line(pc)
    return f" at 0x{pc:08x}" + (f" in {line}" if line else "")


def _sanitizer_line(console: str) -> str:
    for line in console.splitlines():
        if "ERROR: AddressSanitizer" in line or "runtime error:" in line:
            return line.strip()[:300]
    return ""
