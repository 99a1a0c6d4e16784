"""Our host side of the MLPerf Tiny benchmark: performance and accuracy over a serial line."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import socket
import termios
import time
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.errors import InputError, TargetError, TargetTimeoutError

READY = "m-ready"
BYTES_A_COMMAND = 31

_BAUD_RATES = {rate: getattr(termios, f"B{rate}") for rate in (9600, 57600, 115200, 230400, 921600)}


class Link:
    """Lines over a file descriptor: a serial device, a pseudo-terminal or a socket."""

    def __init__(self, descriptor: int, name: str, owner: object = None):
        self._descriptor, self.name, self._owner = descriptor, name, owner
        self._received = b""

    @classmethod
    def open(cls, path: Path, baud: int = 115200) -> Link:
        """A serial device or pseudo-terminal.

        Raises InputError when it cannot be opened, or when a program that locks its lines, as this
        one and pyserial with `exclusive` do, has it open.
        """
        if baud not in _BAUD_RATES:
            rates = ", ".join(map(str, _BAUD_RATES))
            raise InputError(f"the baud rate must be one of {rates}; got {baud}")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise InputError(f"cannot open the serial line {path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            tty.setraw(descriptor)
            settings = termios.tcgetattr(descriptor)
            settings[4] = settings[5] = _BAUD_RATES[baud]
            termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(f"the serial line {path} is in use by another program") from None
        except (OSError, termios.error) as error:
            os.close(descriptor)
            reason = error.args[-1]
            raise InputError(f"cannot open {path} as a serial line: {reason}") from error
        return cls(descriptor, str(path))

    @classmethod
    def over(cls, line: socket.socket) -> Link:
        """A connected socket, which stays the caller's."""
        return cls(line.fileno(), "the emulator's serial line", line)

    def close(self) -> None:
        if self._owner is None:
            os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                raise TargetError(f"{self.name} is gone: {error.strerror}") from error

    def read_line(self, timeout: float) -> str | None:
        """The next line without its end; None when none came in time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._received:
            wait = deadline - time.monotonic()
            if wait <= 0 or not select.select([self._descriptor], [], [], wait)[0]:
                return None
            self._received += self._read()
        text, self._received = self._received.split(b"\n", 1)
        return text.decode("ascii", "replace").strip("\r\0")

    def discard(self, quiet: float) -> None:
        """Drop what comes until nothing has come for `quiet` seconds."""
        while select.select([self._descriptor], [], [], quiet)[0]:
            self._read()
        self._received = b""

    def _read(self) -> bytes:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            raise TargetError(f"{self.name} was closed by the device")
        return data


@dataclass(frozen=True)
class Inference:
    """What the device reports of an `infer`: scores float64 (K,), microseconds of `count` runs."""

    scores: np.ndarray
    microseconds: int
    count: int


class Dut:
    """The device under test on the other end of a link."""

    def __init__(self, link: Link, timeout: float = 30.0):
        self.link, self.timeout = link, timeout

    def synchronise(self) -> None:
        """End a command that was left unfinished and drop what the device still had to say."""
        self.link.write(b"%")
        self.link.discard(0.2)

    def command(self, text: str, timeout: float | None = None) -> list[str]:
        """Send a command; the lines of its answer, without the last (m-ready).

        Raises TargetError when the device answers with an error ("e-..."), TargetTimeoutError when
        it does not answer.
        """
        self.link.write(text.encode("ascii") + b"%")
        lines: list[str] = []
        while True:
            line = self.link.read_line(timeout or self.timeout)
            if line is None:
                raise TargetTimeoutError(
                    f"no answer to {text[:40]!r} from {self.link.name} within "
                    f"{timeout or self.timeout:g} s"
                )
            if line == READY:
                break
            if line:
                lines.append(line)
        errors = [line for line in lines if line.startswith("e-")]
        if errors:
            raise TargetError(f"the device answered {text[:40]!r} with {errors[0]}")
        return lines

    def name(self) -> str:
        return _only(self.command("name"), r"m-name-dut-\[(.+)\]")

    def profile(self) -> tuple[str, str]:
        """(profile version, model id)."""
        lines = self.command("profile")
        return _only(lines, r"m-profile-\[(.+)\]"), _only(lines, r"m-model-\[(.+)\]")

    def load(self, data: bytes) -> None:
        """Send an input, 31 bytes a command."""
        self.command(f"db load {len(data)}")
        lines: list[str] = []
        for start in range(0, len(data), BYTES_A_COMMAND):
            lines = self.command("db " + data[start : start + BYTES_A_COMMAND].hex())
        if lines != ["m-load-done"]:
            raise TargetError(f"the device did not confirm the load of {len(data)} bytes")

    def infer(self, count: int, warmups: int = 0, timeout: float = 600.0) -> Inference:
        """Run the loaded input `count` times after `warmups`."""
        lines = self.command(f"infer {count} {warmups}", timeout)
        laps = [int(m.group(1)) for m in (re.fullmatch(r"m-lap-us-(\d+)", x) for x in lines) if m]
        if len(laps) != 2:
            raise TargetError(f"the device gave {len(laps)} time stamps for an inference, not 2")
        return Inference(_scores(lines), laps[1] - laps[0], count)

    def results(self) -> np.ndarray:
        """Scores of the last inference, float64 (K,)."""
        return _scores(self.command("results"))


def _only(lines: Sequence[str], pattern: str) -> str:
    found = [m.group(1) for m in (re.fullmatch(pattern, line) for line in lines) if m]
    if len(found) != 1:
        raise TargetError(f"the device's answer {list(lines)!r} is not as the protocol says")
    return found[0]


def _scores(lines: Sequence[str]) -> np.ndarray:
    text = _only(lines, r"m-results-\[(.*)\]")
    try:
        return np.array([float(word) for word in text.split(",") if word])
    except ValueError as error:
        raise TargetError(f"the device's results {text!r} are not numbers") from error


@dataclass(frozen=True)
class Performance:
    """Throughput of each run in inferences a second, and their median, which counts."""

    model: str
    counts: list[int]
    microseconds: list[int]

    @property
    def throughputs(self) -> list[float]:
        runs = zip(self.counts, self.microseconds, strict=True)
        return [count * 1e6 / max(us, 1) for count, us in runs]

    @property
    def median(self) -> float:
        return float(np.median(self.throughputs))

    def to_json(self) -> dict:
        return {
            "mode": "performance",
            "model": self.model,
            "inferences": self.counts,
            "microseconds": self.microseconds,
            "inferences_per_second": self.throughputs,
            "median_inferences_per_second": self.median,
        }


def performance(
    dut: Dut,
    inputs: Sequence[bytes],
    *,
    seconds: float = 10.0,
    warmups: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> Performance:
    """The benchmark's performance mode: one run for each input (five by the rules), each long
    enough to take `seconds` of the device's time; the median throughput counts."""
    _, model = dut.profile()
    counts, times = [], []
    for i, data in enumerate(inputs):
        dut.load(data)
        once = dut.infer(1)
        count = max(1, int(np.ceil(seconds * 1e6 / max(once.microseconds, 1))))
        run = dut.infer(count, warmups)
        counts.append(count)
        times.append(run.microseconds)
        if progress:
            progress(i + 1, len(inputs))
    return Performance(model, counts, times)


@dataclass(frozen=True)
class Accuracy:
    """Scores of every input, float64 (N, K), and the benchmark's figure of merit.

    metric: "top-1" (share of inputs whose largest score is the label's) or "AUC".
    """

    model: str
    scores: np.ndarray
    metric: str
    value: float

    def to_json(self) -> dict:
        return {
            "mode": "accuracy",
            "model": self.model,
            "inputs": len(self.scores),
            "metric": self.metric,
            "value": self.value,
        }


def accuracy(
    dut: Dut,
    inputs: Sequence[bytes],
    labels: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Accuracy:
    """The benchmark's accuracy mode: one inference for each input.

    Args:
        labels: class of each input, int (N,); for an anomaly detector (one score) 1 is anomalous.
        groups: for an anomaly detector, the recording that each input is a window of, int (N,);
            scores are averaged and labels taken by recording.
    """
    labels = np.asarray(labels)
    if len(labels) != len(inputs) or len(inputs) == 0:
        raise InputError(f"{len(inputs)} inputs need as many labels; got {len(labels)}")
    _, model = dut.profile()
    scores = []
    for i, data in enumerate(inputs):
        dut.load(data)
        scores.append(dut.infer(1).scores)
        if progress:
            progress(i + 1, len(inputs))
    table = np.stack(scores)
    if table.shape[1] > 1:
        return Accuracy(model, table, "top-1", float((table.argmax(1) == labels).mean()))
    one = table[:, 0]
    if groups is not None:
        names = np.unique(groups)
        one = np.array([one[groups == g].mean() for g in names])
        labels = np.array([labels[groups == g][0] for g in names])
    return Accuracy(model, table, "AUC", area_under_curve(one, labels))


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a positive (label 1) scores above a negative, ties counting half.

    scores: float (N,). labels: 0 or 1 (N,), both present; InputError otherwise. This is the area
    under the receiver operating characteristic (Mann and Whitney's U).
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    if len(positive) == 0 or len(negative) == 0:
        raise InputError("the area under the curve needs normal and anomalous inputs")
    order = np.sort(negative)
    below = np.searchsorted(order, positive, "left")
    not_above = np.searchsorted(order, positive, "right")
    return float((below + not_above).mean() / 2 / len(negative))
