"""Run a model over many samples on a board, in several processes."""

from __future__ import annotations

import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from trecx.errors import InputError, TargetError, TargetTimeoutError
from trecx.targets.boards import Board
from trecx.targets.build import Firmware
from trecx.targets.faults import error_from_exit, hang_place, is_firmware_status
from trecx.targets.qemu import Emulator, Plugin, instructions_from_ticks

# Instructions of the empty function that the firmware measures to know its own cost: set the
# result to 0 and return.
_EMPTY_INSTRUCTIONS = 2

_HEADER = struct.Struct("<7I")
_RECORD = struct.Struct("<iiI")
_TRAILER = struct.Struct("<2I")
_MAGIC = 0x31425254

# Shorter chunks balance better over the processes, longer ones start fewer emulators.
_CHUNKS_PER_JOB = 3
_POLL_SECONDS = 0.05
# What a busy machine may take to start an emulator, before its program can count as hung.
_START_SECONDS = 60.0


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What a board computed for N samples, in the order of the samples.

    exit_index, class_index: int32 (N,). outputs: int8 (N, output_count).
    instructions: int64 (N,), executed from the call of the model's invoke function to its return,
    exact; None on the host. stack_used: largest over all processes, in bytes; None on the host.
    """

    board: str
    exit_index: np.ndarray
    class_index: np.ndarray
    outputs: np.ndarray
    instructions: np.ndarray | None
    stack_size: int | None
    stack_used: int | None
    arena_bytes: int
    segment_count: int
    seconds: float

    def __len__(self) -> int:
        return len(self.exit_index)


@dataclass
class _Chunk:
    """Samples first to first + count - 1, and what is known of them so far."""

    first: int
    count: int
    header: tuple[int, ...] = ()
    records: list[bytes] = field(default_factory=list)
    stack: tuple[int, int] = (0, 0)

    @property
    def next_sample(self) -> int:
        return self.first + len(self.records)

    @property
    def left(self) -> int:
        return self.count - len(self.records)


@dataclass(frozen=True)
class _Settings:
    firmware: Firmware
    input_file: Path
    plugin: Callable[[int], Plugin] | None
    timeout: float


class _Stopped(Exception):
    """Another process failed; this one was ended."""


def run_batch(
    firmware: Firmware,
    board: Board,
    inputs: np.ndarray,
    *,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
    timeout: float = 120.0,
    plugin: Callable[[int], Plugin] | None = None,
) -> BatchResult:
    """Run every sample and collect the results; the same for any number of processes.

    Args:
        firmware: built from the application "batch" for `board`.
        inputs: int8, (N, ...); a sample's bytes in the order in which they lie in memory.
        jobs: processes at a time.
        progress: called with (samples done, N), from any thread, one at a time.
        timeout: seconds without a finished sample after which a started program counts as hung.
        plugin: gives the TCG plugin for the process that begins with a given sample.

    An emulator that dies or hangs is started again, once, from the sample where it stopped.

    Raises: InputError for inputs of the wrong size; FaultError, MemoryGuardError,
    TargetTimeoutError or TargetError when the program failed; ToolMissingError without an emulator.
    """
    inputs = np.ascontiguousarray(inputs)
    if inputs.dtype != np.int8 or inputs.ndim < 1 or len(inputs) == 0:
        raise InputError(
            f"inputs must be a non-empty int8 array of samples; got {inputs.dtype} of shape "
            f"{inputs.shape}"
        )
    if firmware.board != board:
        raise InputError(f"the firmware is for {firmware.board.name}, not for {board.name}")
    total = len(inputs)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trecx-batch-") as folder:
        input_file = Path(folder) / "input"
        inputs.tofile(input_file)
        settings = _Settings(firmware, input_file, plugin, timeout)
        chunks = _chunks(total, jobs)
        _run_chunks(settings, chunks, jobs, _Progress(progress, total), inputs[0].size)
    return _join(firmware, chunks, time.monotonic() - started)


class _Progress:
    """Adds up the finished samples of all processes."""

    def __init__(self, report: Callable[[int, int], None] | None, total: int):
        self._report, self._total, self._done = report, total, 0
        self._lock = threading.Lock()

    def add(self, samples: int) -> None:
        if self._report is None or samples == 0:
            return
        with self._lock:
            self._done += samples
            self._report(self._done, self._total)


def _chunks(total: int, jobs: int) -> list[_Chunk]:
    parts = 1 if jobs <= 1 else min(total, jobs * _CHUNKS_PER_JOB)
    bounds = np.linspace(0, total, parts + 1).astype(int)
    return [_Chunk(int(a), int(b - a)) for a, b in pairwise(bounds)]


def _run_chunks(settings, chunks: list[_Chunk], jobs: int, progress, sample_bytes: int) -> None:
    stop = threading.Event()
    errors: list[BaseException] = []

    def work(chunk: _Chunk) -> None:
        if stop.is_set():
            return
        try:
            _run_chunk(settings, chunk, progress, stop, sample_bytes)
        except _Stopped:
            pass
        except BaseException as error:
            errors.append(error)
            stop.set()

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            list(pool.map(work, chunks))
        except BaseException:  # e.g. KeyboardInterrupt in this thread: end the processes first
            stop.set()
            raise
    if errors:
        raise errors[0]


def _run_chunk(settings, chunk: _Chunk, progress, stop, sample_bytes: int) -> None:
    failure = None
    for _ in range(2):
        failure = _run_process(settings, chunk, progress, stop, sample_bytes)
        if failure is None:
            return
    raise failure


def _run_process(settings, chunk: _Chunk, progress, stop, sample_bytes) -> TargetError | None:
    """Run what is left of a chunk. Returns an error that is worth another try; raises others."""
    firmware, first, count = settings.firmware, chunk.next_sample, chunk.left
    with tempfile.TemporaryDirectory(prefix="trecx-run-") as folder:
        workdir = Path(folder)
        (workdir / "in").symlink_to(settings.input_file)
        words = ["batch", "in", "out", str(first), str(count)]
        with _start(settings, workdir, words, first) as process:
            reader = _RecordReader(workdir / "out", chunk, sample_bytes)
            status = _watch(process, reader, progress, stop, settings.timeout)
            where = f" in sample {chunk.next_sample}"
            if status is None:
                place = hang_place(firmware, process.registers())
                return TargetTimeoutError(
                    f"no result for {settings.timeout:g} s{where}: the program hangs{place}"
                )
            console = process.console()
    error = error_from_exit(firmware, status, console, where)
    if error is None and (chunk.left or not reader.finished):
        error = TargetError(f"the firmware ended without all its results{where}")
    if error is not None and is_firmware_status(status, console):
        raise error
    return error


def _start(settings, workdir: Path, words: list[str], first: int):
    firmware = settings.firmware
    if firmware.board.is_host:
        return _HostProcess(firmware.elf, workdir, words)
    return Emulator(
        firmware.board,
        firmware.elf,
        workdir,
        words=words,
        plugin=settings.plugin(first) if settings.plugin else None,
    )


def _watch(process, reader: _RecordReader, progress, stop, timeout: float) -> int | None:
    """Wait for the end, collecting records. None when no record came for `timeout` seconds."""
    last = time.monotonic()
    while True:
        status = process.wait(_POLL_SECONDS)
        was_started = reader.started
        fresh = reader.collect()
        progress.add(fresh)
        if status is not None:
            return status
        if stop.is_set():
            raise _Stopped
        now = time.monotonic()
        if fresh or reader.started != was_started:
            last = now
        elif now - last > (timeout if reader.started else max(timeout, _START_SECONDS)):
            return None


class _RecordReader:
    """Takes complete records off the growing output file of one process."""

    def __init__(self, path: Path, chunk: _Chunk, sample_bytes: int):
        self._path, self._chunk, self._sample_bytes = path, chunk, sample_bytes
        self.started = False
        self._pending = b""
        self._offset = 0
        self.finished = False

    def collect(self) -> int:
        """Number of records that are new."""
        if not self._path.exists():
            return 0
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        self._pending += data
        if not self.started and len(self._pending) >= _HEADER.size:
            self._read_header()
        return self._read_records() if self.started else 0

    def _read_header(self) -> None:
        header = _HEADER.unpack_from(self._pending)
        if header[0] != _MAGIC:
            raise TargetError("the firmware's output does not begin as that of a batch run")
        if header[1] != self._sample_bytes:
            raise InputError(
                f"the model takes {header[1]:,} input bytes a sample; got {self._sample_bytes:,}"
            )
        self._chunk.header = header
        self._pending = self._pending[_HEADER.size :]
        self.started = True

    def _read_records(self) -> int:
        size = _RECORD.size + self._chunk.header[2]
        fresh = min(len(self._pending) // size, self._chunk.left)
        for i in range(fresh):
            self._chunk.records.append(self._pending[i * size : (i + 1) * size])
        self._pending = self._pending[fresh * size :]
        if self._chunk.left == 0 and len(self._pending) >= _TRAILER.size:
            self._chunk.stack = _TRAILER.unpack_from(self._pending)
            self.finished = True
        return fresh


class _HostProcess:
    """The same program as a process of this machine."""

    def __init__(self, elf: Path, workdir: Path, words: list[str]):
        self._console = (workdir / "console").open("w+b")
        self._process = subprocess.Popen(
            [str(Path(elf).resolve()), *words[1:]],
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> _HostProcess:
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._console.close()

    def wait(self, timeout: float) -> int | None:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def registers(self) -> dict[str, int]:
        return {}

    def console(self) -> str:
        self._console.seek(0)
        return self._console.read().decode("utf-8", "replace")


def _join(firmware: Firmware, chunks: list[_Chunk], seconds: float) -> BatchResult:
    _, _, output_count, segments, arena, counter_hz, empty = chunks[0].header
    layout = np.dtype(
        [("exit", "<i4"), ("class", "<i4"), ("ticks", "<u4"), ("output", "i1", (output_count,))]
    )
    records = np.frombuffer(b"".join(r for c in chunks for r in c.records), layout)
    instructions = None
    if counter_hz:
        cost = int(instructions_from_ticks(np.uint32(empty), counter_hz)) - _EMPTY_INSTRUCTIONS
        instructions = instructions_from_ticks(records["ticks"], counter_hz) - cost
    on_board = bool(counter_hz)
    return BatchResult(
        board=firmware.board.name,
        exit_index=records["exit"].copy(),
        class_index=records["class"].copy(),
        outputs=records["output"].copy(),
        instructions=instructions,
        stack_size=chunks[0].stack[0] if on_board else None,
        stack_used=max(c.stack[1] for c in chunks) if on_board else None,
        arena_bytes=arena,
        segment_count=segments,
        seconds=seconds,
    )
