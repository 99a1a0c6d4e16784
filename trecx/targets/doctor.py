"""Is everything there that trecx needs, and what to install when it is not."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trecx.errors import TrecxError
from trecx.targets.blocks import count_instructions, plugin_library
from trecx.targets.boards import list_boards, load_board
from trecx.targets.build import build_firmware
from trecx.targets.cache import cache_folder
from trecx.targets.deploy_path import deploy_path
from trecx.targets.qemu import require_qemu
from trecx.targets.toolchain import compiler_for, find_tool, require_newlib, tool_version

# Distributions, of which one is enough; what needs them; whether trecx needs them at all.
_PACKAGES = (
    (("numpy",), "everything", True),
    (("click",), "the command line", True),
    (("rich",), "the command line", True),
    (("tflite-runtime", "ai-edge-litert"), "checking bundles against TensorFlow Lite", False),
    (("tensorflow",), "training and conversion to .tflite", False),
    (("tflite-micro",), "comparing with TensorFlow Lite Micro", False),
)

_TRIAL_BOARD = "mps2-an386"
_TRIAL = '#include "trecx/board.h"\n\nint trecx_app(void) {\n  return 0;\n}\n'


@dataclass(frozen=True)
class Check:
    """One finding. found: version or what is wrong. needed_for: who misses it. fix: what to do.

    required: trecx is of little use without it; else only the named function is missing.
    """

    name: str
    ok: bool
    found: str
    needed_for: str
    required: bool
    fix: str = ""

    def to_json(self) -> dict:
        return {
            "name": self.name,
            "ok": self.ok,
            "found": self.found,
            "needed_for": self.needed_for,
            "required": self.required,
            "fix": self.fix,
        }


def run_checks() -> list[Check]:
    """Every check, in the order in which to repair: sources, tools, emulator, plugin, packages."""
    checks = [
        _attempt("C sources", "compiling models", True, lambda: str(deploy_path())),
        _attempt("cache folder", "building", True, lambda: str(cache_folder("objects").parent)),
        _attempt("gcc", "the host target, the profiler's plugin", True, _version("gcc")),
        _attempt("arm-none-eabi-gcc", "building for boards", True, _arm_gcc),
        _attempt("newlib", "building for boards", True, _newlib),
        _attempt("arm-none-eabi-objdump", "profiles", False, _version("arm-none-eabi-objdump")),
        _attempt(
            "arm-none-eabi-addr2line", "source lines", False, _version("arm-none-eabi-addr2line")
        ),
        _attempt(
            "qemu-system-arm", "running on boards", True, lambda: tool_version(require_qemu())
        ),
        _attempt("emulated boards", "running on boards", True, _machines),
        _attempt(
            "profiler plugin", "exact profiles by kernel", False, lambda: plugin_library().name
        ),
    ]
    if all(check.ok for check in checks):
        checks.append(_attempt("trial run", "all of the above together", True, _trial))
    return checks + [_package(*entry) for entry in _PACKAGES]


def all_required_ok(checks: list[Check]) -> bool:
    return all(check.ok for check in checks if check.required)


def _attempt(name: str, needed_for: str, required: bool, find: Callable[[], str]) -> Check:
    """A check that succeeds unless it raises; the message of the error says what to do."""
    try:
        return Check(name, True, find(), needed_for, required)
    except TrecxError as error:
        what, _, fix = str(error).partition("; ")
        return Check(name, False, what, needed_for, required, fix)


def _version(tool: str) -> Callable[[], str]:
    return lambda: tool_version(find_tool(tool))


def _arm_gcc() -> str:
    return tool_version(find_tool("arm-none-eabi-gcc"))


def _newlib() -> str:
    require_newlib()
    return f"with {compiler_for('cortex-m4')}"


def _machines() -> str:
    """All boards' machines, as this emulator knows them."""
    done = subprocess.run([require_qemu(), "-machine", "help"], capture_output=True, text=True)
    known = set(re.findall(r"^(\S+)", done.stdout, re.MULTILINE))
    boards = [board for board in list_boards() if board.machine]
    missing = [board.name for board in boards if board.machine not in known]
    if missing:
        raise TrecxError(
            f"this emulator does not know the machine of {', '.join(missing)}; "
            "install qemu-system-arm 7.2 or later"
        )
    return f"{len(boards)} boards"


def _trial() -> str:
    """Build a program, run it, and count its instructions."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "trial.c"
        source.write_text(_TRIAL)
        firmware = build_firmware([], load_board(_TRIAL_BOARD), source, Path(folder))
        counts = count_instructions(firmware.elf, _TRIAL_BOARD, timeout=60)
    executed = sum(count.instructions for count in counts.values())
    return f"{executed:,} instructions counted on {_TRIAL_BOARD}"


def _package(names: tuple[str, ...], needed_for: str, required: bool) -> Check:
    for name in names:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return Check(f"Python package {name}", True, version, needed_for, required)
    name = names[0]
    fix = f"python -m pip install {name}"
    return Check(f"Python package {name}", False, "not installed", needed_for, required, fix)
