"""Find the compilers and the emulator, and say how to install what is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from trecx.errors import ToolMissingError

# Program -> Debian package that contains it.
DEBIAN_PACKAGE = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "arm-none-eabi-addr2line": "binutils-arm-none-eabi",
    "arm-none-eabi-objdump": "binutils-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "gcc": "gcc libc6-dev",
    "addr2line": "binutils",
}

# Kernel family -> extension of the instruction set, and the macro by which compilers offer it.
EXTENSIONS = {
    "dsp": ("DSP extension", "__ARM_FEATURE_DSP"),
    "mve": ("Helium extension (MVE)", "__ARM_FEATURE_MVE"),
}


@cache
def find_tool(name: str) -> str:
    """Absolute path of a program. Raises ToolMissingError that says how to install it."""
    path = shutil.which(name)
    if path is None:
        package = DEBIAN_PACKAGE.get(name, name)
        raise ToolMissingError(
            f"{name} is not installed or not on PATH; on Debian or Ubuntu: "
            f"sudo apt-get install {package}"
        )
    return path


@cache
def tool_version(name: str) -> str:
    """First line that the program prints for --version."""
    done = subprocess.run([find_tool(name), "--version"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        raise ToolMissingError(
            f"{find_tool(name)} --version failed with exit status {done.returncode}: "
            f"{done.stderr.strip()[:200] or 'no output'}"
        )
    return lines[0].strip()


def version_number(name: str) -> tuple[int, ...]:
    """The program's version as numbers, e.g. (7, 2, 22)."""
    text = re.sub(r"\([^)]*\)", " ", tool_version(name))
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


@cache
def require_newlib() -> None:
    """Raise ToolMissingError when the Arm compiler has no C library to link with."""
    gcc = find_tool("arm-none-eabi-gcc")
    done = subprocess.run([gcc, "-print-file-name=libc.a"], capture_output=True, text=True)
    if not Path(done.stdout.strip()).is_file():
        raise ToolMissingError(
            "arm-none-eabi-gcc has no C library; on Debian or Ubuntu: "
            "sudo apt-get install libnewlib-arm-none-eabi"
        )


def compiler_for(core: str) -> str:
    """Path of the C compiler for a board's core ("host": the machine's own gcc)."""
    if core == "host":
        return find_tool("gcc")
    require_newlib()
    return find_tool("arm-none-eabi-gcc")


@cache
def require_extension(compiler: str, isa: str, flags: tuple[str, ...]) -> None:
    """Raise ToolMissingError when a compiler with a board's flags lacks what its kernels need.

    isa: kernel family of the board.
    """
    if isa not in EXTENSIONS:
        return
    extension, macro = EXTENSIONS[isa]
    command = [compiler, *flags, "-dM", "-E", "-x", "c", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode == 0 and f"#define {macro} " in done.stdout:
        return
    said = done.stderr.strip().splitlines()
    raise ToolMissingError(
        f"{compiler} ({tool_version(compiler)}) does not compile for the {extension} with "
        f"{' '.join(flags)}{f': {said[0]}' if said else ''}; install a newer "
        f"{DEBIAN_PACKAGE['arm-none-eabi-gcc'].split()[0]}, 10 or later"
    )
