"""Exact counts of executed translation blocks, by a small QEMU plugin."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from trecx.errors import TargetError, TargetTimeoutError, ToolMissingError
from trecx.targets.boards import Board, load_board
from trecx.targets.cache import cache_folder, touch
from trecx.targets.deploy_path import deploy_path
from trecx.targets.elf import FunctionFinder, read_elf
from trecx.targets.qemu import Emulator, Plugin, plugin_interface
from trecx.targets.toolchain import find_tool, tool_version


@dataclass(frozen=True)
class Block:
    """Consecutive instructions that run together. address: of the first."""

    address: int
    instructions: int


@dataclass(frozen=True)
class Edge:
    """`to` ran `count` times after `before`, in a region, in inferences of a path."""

    path: int
    region: int
    before: Block | None
    to: Block
    count: int


@dataclass(frozen=True)
class DataAccesses:
    """Loads and stores of a region on a path by where they went, and cache misses.

    extra_transfers: bus transfers that unaligned accesses add. jump_misses, sequential_misses:
    instruction fetches that missed the modelled cache of the flash, after a branch and in straight
    line. load_misses: loads from flash that missed.
    """

    path: int
    region: int
    flash_accesses: int
    flash_bytes: int
    other_accesses: int
    other_bytes: int
    extra_transfers: int
    jump_misses: int
    sequential_misses: int
    load_misses: int


@dataclass
class BlockCounts:
    """What one run of the plugin found. samples: (path, instructions) of each inference."""

    edges: list[Edge] = field(default_factory=list)
    data: list[DataAccesses] = field(default_factory=list)
    samples: list[tuple[int, int]] = field(default_factory=list)

    @property
    def instructions(self) -> int:
        return sum(e.count * e.to.instructions for e in self.edges)


@dataclass(frozen=True)
class FunctionCount:
    instructions: int
    calls: int


@cache
def plugin_library() -> Path:
    """The compiled plugin, built with the host's C compiler at first use.

    Raises ToolMissingError without a compiler, or an emulator that takes plugins.
    """
    source = deploy_path() / "qemu" / "count_blocks.c"
    compiler = find_tool("gcc")
    interface = f"-DPLUGIN_VERSION={plugin_interface()}"
    text = source.read_bytes()
    key = hashlib.sha256(text + (interface + tool_version(compiler)).encode()).hexdigest()
    target = cache_folder("plugins") / f"count_blocks-{key[:24]}.so"
    if target.is_file():
        touch(target)
        return target
    handle, work = tempfile.mkstemp(suffix=".so", dir=target.parent)
    os.close(handle)
    flags = ("-std=c99", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", interface)
    try:
        done = subprocess.run(
            [compiler, *flags, str(source), "-o", work], capture_output=True, text=True
        )
        if done.returncode != 0:
            raise ToolMissingError(
                f"the profiler's plugin does not compile with {compiler}; on Debian or Ubuntu: "
                f"sudo apt-get install gcc libc6-dev ({done.stderr.strip()[:300]})"
            )
        os.chmod(work, 0o755)
        os.replace(work, target)
    finally:
        Path(work).unlink(missing_ok=True)
    return target


def read_counts(path: Path) -> BlockCounts:
    """Parse the plugin's output file. Raises TargetError when it is missing or cut short."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as error:
        raise TargetError(f"the profiler's plugin wrote no output: {error.strerror}") from error
    if not lines or lines[-1] != "end":
        raise TargetError("the profiler's output is not complete: the emulator was interrupted")
    rows = [line.split() for line in lines[:-1]]
    blocks = {int(r[1]): Block(int(r[2], 16), int(r[3])) for r in rows if r[0] == "block"}
    counts = BlockCounts()
    for kind, *values in rows:
        if kind == "edge":
            run, region, before, to, count = map(int, values)
            counts.edges.append(Edge(run, region, blocks[before], blocks[to], count))
        elif kind == "data":
            counts.data.append(DataAccesses(*map(int, values)))
        elif kind == "sample":
            counts.samples.append((int(values[0]), int(values[1])))
    return counts


def count_instructions(
    elf: Path,
    board: Board | str,
    *,
    words: Iterable[str] = (),
    workdir: Path | None = None,
    timeout: float = 120.0,
) -> dict[str, FunctionCount]:
    """Run any firmware once and count the executed instructions of each of its functions.

    Args:
        elf: a program for the board's machine that ends itself through semihosting.
        words: its command line. workdir: folder in which it finds its files.

    Exact but for instructions that access a peripheral: QEMU starts their block again, so each
    such access may count its block twice.

    Returns: function name -> own instructions (callees not included) and calls.
    Raises: TargetTimeoutError when it does not end; TargetError when it ends with a failure.
    """
    board = load_board(board) if isinstance(board, str) else board
    find = FunctionFinder(read_elf(elf))
    with tempfile.TemporaryDirectory(prefix="trecx-count-") as folder:
        out = Path(folder) / "counts"
        plugin = Plugin(plugin_library(), {"out": str(out)})
        with Emulator(board, elf, workdir or Path(folder), words=words, plugin=plugin) as emulator:
            status = emulator.wait(timeout)
            if status is None:
                raise TargetTimeoutError(f"{elf} did not end within {timeout:g} s")
            if status != 0:
                raise TargetError(
                    f"{elf} ended with exit status {status}: {emulator.console().strip()[-300:]}"
                )
        counts = read_counts(out)
    instructions: dict[str, int] = {}
    calls: dict[str, int] = {}
    for edge in counts.edges:
        function = find(edge.to.address)
        name = function.name if function else "?"
        instructions[name] = instructions.get(name, 0) + edge.count * edge.to.instructions
        is_entry = function is not None and edge.to.address == function.address
        if is_entry and (edge.before is None or find(edge.before.address) is not function):
            calls[name] = calls.get(name, 0) + edge.count
    return {name: FunctionCount(n, calls.get(name, 0)) for name, n in instructions.items()}
