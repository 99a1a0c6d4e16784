"""Compile and link a firmware: generated model, kernels, application and board."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from trecx.errors import CapacityError, InputError, ToolMissingError, VerificationError
from trecx.targets.boards import Board, load_board
from trecx.targets.cache import cache_folder, prune, touch
from trecx.targets.deploy_path import deploy_path
from trecx.targets.elf import ElfImage, Section, read_elf
from trecx.targets.toolchain import (
    compiler_for,
    find_tool,
    require_extension,
    tool_version,
)

OPTIMIZE_LEVELS = ("Os", "O1", "O2", "O3")

_WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror")
_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_SANITIZE = (
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
)


@dataclass(frozen=True, eq=False)
class Firmware:
    """A linked program.

    elf: path of the file. model: C symbol of its trecx_model. build: what made it, for reports.
    rebuild: builds the same model with other arguments of build_firmware.
    """

    elf: Path
    board: Board
    app: str
    model: str | None = None
    build: dict[str, str] = field(default_factory=dict)
    rebuild: Callable[..., Firmware] | None = None

    @cached_property
    def image(self) -> ElfImage:
        return read_elf(self.elf)

    @property
    def sections(self) -> tuple[Section, ...]:
        return self.image.sections

    def section_bytes(self, name: str) -> int:
        return sum(s.size for s in self.sections if s.name == name)

    @property
    def flash_bytes(self) -> int:
        """Code, constants and the initial values of variables."""
        return sum(s.size for s in self.sections if s.stored)

    @property
    def ram_bytes(self) -> int:
        """Variables, arena and the stack regions."""
        return sum(s.size for s in self.sections if s.writable)

    def source_line(self, address: int) -> str:
        """ "function (file:line)" of a code address, or "" when nothing is known."""
        return source_lines(self, [address])[address]


def build_firmware(
    sources: Iterable[Path],
    board: Board | str,
    app: str | Path,
    out_dir: Path,
    *,
    model: str | None = None,
    include_dirs: Iterable[Path] = (),
    defines: Mapping[str, str] | None = None,
    optimize: str = "O2",
    flags: Iterable[str] = (),
    sanitize: bool = False,
    flash_bytes: int = 0,
    ram_bytes: int = 0,
    jobs: int = 2,
) -> Firmware:
    """Compile `sources`, the application and the board's own files; link them to out_dir/APP.elf.

    Args:
        sources: C files of the model: generated code, kernels, exit policies.
        board: a Board or its name.
        app: an application under deploy/firmware ("batch"), or the path of a C file that defines
            trecx_app.
        model: symbol of the trecx_model that the application runs, e.g. "kws_model".
        optimize: one of OPTIMIZE_LEVELS.
        flags: further compiler flags.
        sanitize: address and undefined-behaviour sanitizers; host only.
        flash_bytes, ram_bytes: what the model is known to need (weights; arena); checked against
            the board before anything is compiled.

    Objects are cached by the contents of everything that they are made from.

    Raises: CapacityError when the program does not fit; InputError for wrong arguments;
    ToolMissingError without a compiler; VerificationError when the C code does not compile.
    """
    board = load_board(board) if isinstance(board, str) else board
    sources, include_dirs, flags = list(sources), list(include_dirs), list(flags)

    def rebuild(**changes) -> Firmware:
        same = {
            "sources": sources,
            "board": board,
            "app": app,
            "out_dir": out_dir,
            "model": model,
            "include_dirs": include_dirs,
            "defines": defines,
            "optimize": optimize,
            "flags": flags,
            "sanitize": sanitize,
            "jobs": jobs,
        }
        return build_firmware(**{**same, **changes})

    board.check_capacity(flash_bytes=flash_bytes, ram_bytes=ram_bytes)
    if optimize not in OPTIMIZE_LEVELS:
        raise InputError(f"optimize must be one of {', '.join(OPTIMIZE_LEVELS)}; got {optimize!r}")
    if sanitize and not board.is_host:
        raise InputError(f"sanitizers run on the host only; got board {board.name!r}")
    name = _app_sources(app)[0].stem
    compiler = compiler_for(board.core)
    require_extension(compiler, board.isa, tuple(board.flags))

    definitions = {**({"TRECX_MODEL": model} if model else {}), **(defines or {})}
    common = [
        *board.flags,
        *(() if board.is_host else ("-mthumb",)),
        *_WARNINGS,
        f"-{optimize}",
        "-g",
        *_SECTIONS,
        *(_SANITIZE if sanitize else ()),
        *flags,
    ]
    # A compiled library brings the headers that it was made with.
    own_headers = [Path(folder) / "include" for folder in include_dirs]
    includes = [*(p for p in own_headers if p.is_dir()), deploy_path() / "include"]
    includes += map(Path, include_dirs)
    includes = [path.resolve() for path in includes]
    own = [f"-D{key}={value}" for key, value in sorted(definitions.items())]
    units = [(Path(s), common) for s in dict.fromkeys(map(Path, sources))]
    units += [(s, [*common, *_rates(board)]) for s in board.sources]
    units += [(s, [*common, *own]) for s in _app_sources(app)]
    objects = _compile(compiler, units, includes, jobs)

    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    elf = out_dir / f"{name}.elf"
    _link(compiler, board, common, objects, elf)
    build = {
        "compiler": tool_version(compiler),
        "flags": " ".join(common),
        "defines": " ".join(own),
    }
    return Firmware(elf, board, name, model, build, rebuild)


def source_lines(firmware: Firmware, addresses: Iterable[int]) -> dict[int, str]:
    """ "function (file:line)" for each code address; "" where nothing is known."""
    addresses = list(dict.fromkeys(addresses))
    if not addresses:
        return {}
    prefix = "" if firmware.board.is_host else "arm-none-eabi-"
    command = [find_tool(f"{prefix}addr2line"), "-f", "-s", "-e", str(firmware.elf)]
    done = subprocess.run(
        command,
        input="\n".join(f"{a:#x}" for a in addresses) + "\n",
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    found = {}
    for i, address in enumerate(addresses):
        function, place = (*lines[2 * i : 2 * i + 2], "??", "??")[:2]
        place = re.sub(r" \(discriminator \d+\)", "", place)
        known = not function.startswith("??")
        found[address] = f"{function} ({place})" if known else ""
    return found


def _app_sources(app: str | Path) -> list[Path]:
    """The application's file, those of its own folder, and what the applications share."""
    path = Path(app)
    if path.suffix == ".c":
        if not path.is_file():
            raise InputError(f"there is no application {path}")
        return [path]
    folder = deploy_path() / "firmware"
    path = folder / f"{app}.c"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.c")))
        raise InputError(f"there is no application {str(app)!r} (applications: {known})")
    more = [folder / str(app), folder / "common"]
    return [path, *(source for place in more for source in sorted(place.glob("*.c")))]


def _compile(compiler, units, includes: list[Path], jobs: int) -> list[Path]:
    folder = cache_folder("objects").resolve()
    prune(folder)

    def one(unit) -> Path:
        source, flags = unit
        return _compile_one(compiler, source, flags, includes, folder)

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        return list(pool.map(one, units))


def _compile_one(compiler, source: Path, flags, includes: list[Path], folder: Path) -> Path:
    """The object of a C file, from the cache or compiled.

    The key is the preprocessed text, so that it covers every header that matters and none that
    does not; names of folders do not count, neither here nor in the debug information, so that
    one model gives one file wherever it is built. Includes and the cache folder are absolute.
    """
    if not source.is_file():
        raise InputError(f"cannot read C source {source}: there is no such file")
    source = source.resolve()
    search = [f"-I{path}" for path in includes]
    text = _run_compiler([compiler, *flags, *search, "-E", str(source)], source, folder)
    text = re.sub(r'^(# \d+ ")[^"\n]*/', r"\1", text, flags=re.MULTILINE)
    key = hashlib.sha256()
    for part in (tool_version(compiler), *flags, source.name, text):
        key.update(part.encode() + b"\0")
    target = folder / f"{key.hexdigest()}.o"
    if target.is_file():
        touch(target)
        return target
    maps = [f"-ffile-prefix-map={path}={i}" for i, path in enumerate((*includes, source.parent))]
    maps.insert(0, f"-ffile-prefix-map={folder}=.")  # the compiler's current folder
    handle, work = tempfile.mkstemp(suffix=".o", dir=folder)
    os.close(handle)
    try:
        command = [compiler, *flags, *search, *maps, "-c", str(source), "-o", work]
        _run_compiler(command, source, folder)
        os.replace(work, target)
    finally:
        Path(work).unlink(missing_ok=True)
    return target


def _run_compiler(command: list[str], source: Path, folder: Path) -> str:
    """Standard output; VerificationError with the compiler's messages when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise VerificationError(
            f"{source} does not compile ({Path(command[0]).name}):\n{done.stderr.strip()}"
        )
    return done.stdout


def _link(compiler, board: Board, flags, objects: list[Path], elf: Path) -> None:
    handle, work = tempfile.mkstemp(prefix=f".{elf.name}.", dir=elf.parent)
    os.close(handle)
    command = [compiler, *flags, *map(str, objects), "-Wl,--gc-sections", "-o", work]
    if not board.is_host:
        command += ["-nostartfiles", "-T", str(deploy_path() / "boards" / "common" / "link.ld")]
        command += [f"-Wl,--defsym={name}={value:#x}" for name, value in _memory_map(board)]
        command += ["-Wl,--no-warn-rwx-segments"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            _raise_link_error(board, done.stderr)
        os.chmod(work, 0o755)
        os.replace(work, elf)
    finally:
        Path(work).unlink(missing_ok=True)


def _rates(board: Board) -> list[str]:
    """Clock rates for the board's own files."""
    rates = {"BOARD_CLOCK_HZ": board.clock_hz, "BOARD_COUNTER_HZ": board.counter_hz}
    return [] if board.is_host else [f"-D{name}={value}u" for name, value in rates.items()]


def _memory_map(board: Board) -> list[tuple[str, int]]:
    return [
        ("BOARD_FLASH_ORIGIN", board.flash_origin),
        ("BOARD_FLASH_BYTES", board.flash_bytes),
        ("BOARD_RAM_ORIGIN", board.ram_origin),
        ("BOARD_RAM_BYTES", board.ram_bytes),
        ("BOARD_STACK_BYTES", board.stack_bytes),
    ]


def _raise_link_error(board: Board, stderr: str) -> None:
    for region, have in (("FLASH", board.flash_bytes), ("RAM", board.ram_bytes)):
        found = re.search(rf"region `{region}' overflowed by (\d+) bytes", stderr)
        if found:
            kind = "flash" if region == "FLASH" else "RAM"
            raise CapacityError(
                f"the firmware needs {have + int(found.group(1)):,} bytes of {kind}, but board "
                f"{board.name} has {have:,}; choose a larger board or a smaller model"
            )
    if "cannot find -lc" in stderr or "crt0.o" in stderr:
        raise ToolMissingError(
            "arm-none-eabi-gcc cannot link with the C library; on Debian or Ubuntu: "
            "sudo apt-get install libnewlib-arm-none-eabi"
        )
    raise VerificationError(f"the firmware for {board.name} does not link:\n{stderr.strip()}")
