"""What early exit saves on every board: instructions counted, time and energy estimated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from trecx.reports.document import (
    SYNTHETIC,
    Document,
    Facts,
    Figure,
    Note,
    Table,
    count,
    percent,
)
from trecx.reports.profile import Bounds
from trecx.reports.svg import COLOURS, bars


@dataclass(frozen=True)
class Spread:
    """One quantity over the test samples; p50, p95 and worst are of real samples."""

    mean: float
    p50: float
    p95: float
    worst: float


@dataclass(frozen=True)
class TimeOnBoard:
    """Estimated cost of an inference on a real board, base network and early exit.

    milliseconds, microjoules: nominal. mean_...: the mean with its bounds. microjoules: of the
    whole board; None where nothing is published. basis: how it was estimated.
    """

    board: str
    clock_hz: int
    basis: str
    milliseconds: Spread
    mean_milliseconds: Bounds
    microjoules: Spread | None
    mean_microjoules: Bounds | None


@dataclass(frozen=True)
class NetworkOnBoard:
    """One network on one emulated board. instructions: counted, of each inference."""

    name: str
    instructions: Spread
    times: tuple[TimeOnBoard, ...]


@dataclass(frozen=True)
class MeasuredBoard:
    """Both networks on one emulated board."""

    board: str
    core: str
    base: NetworkOnBoard
    early_exit: NetworkOnBoard

    @property
    def networks(self) -> tuple[NetworkOnBoard, NetworkOnBoard]:
        return self.base, self.early_exit

    @property
    def saved(self) -> float:
        """Share of the base network's mean instructions that early exit saves."""
        return 1 - self.early_exit.instructions.mean / self.base.instructions.mean


@dataclass(frozen=True)
class UnfitBoard:
    """A board that the models do not fit, and why."""

    board: str
    reason: str


@dataclass(frozen=True)
class BoardsMeasuredReport:
    """Base against early exit on the same samples, board by board.

    accuracy: of (base, early exit); None without labels. exit_rates: share of samples that stopped
    at each segment; the same on every board, as all outputs are. profiled: samples of each path
    that the cycle model looked at.
    """

    model: str
    data: str
    synthetic_data: bool
    samples: int
    accuracy: tuple[float, float] | None
    exit_rates: tuple[float, ...]
    profiled: int
    boards: tuple[MeasuredBoard, ...]
    unfit: tuple[UnfitBoard, ...] = ()

    def to_json(self) -> dict:
        fields = asdict(self)
        for entry, board in zip(fields["boards"], self.boards, strict=True):
            entry["saved"] = board.saved
        return {"report": "boards measured"} | fields

    def document(self) -> Document:
        blocks = [
            self._facts(),
            self._instructions(),
            self._times(),
            self._energies(),
            Figure(self.svg(), "mean instructions, base network and early exit"),
            *(Note(f"{unfit.board} is left out: {unfit.reason}.") for unfit in self.unfit),
            Note(
                "Instructions are counted exactly, for every sample. Time and energy are estimates "
                f"by a model of the core and its flash, from {self.profiled} profiled samples of "
                "each path; the range is that of the mean."
            ),
            *(Note(f"{board}: {basis}.") for board, basis in self._bases()),
        ]
        if self.synthetic_data:
            blocks.append(SYNTHETIC)
        title = f"Base network against early exit: {self.model}"
        return Document(title, tuple(block for block in blocks if block is not None))

    def svg(self) -> str:
        rows = [
            (
                f"{board.board}: {network.name}",
                network.instructions.mean,
                count(network.instructions.mean),
                COLOURS[place],
            )
            for board in self.boards
            for place, network in enumerate(board.networks)
        ]
        return bars(rows, f"Mean instructions of an inference, {self.model}")

    def _facts(self) -> Facts:
        label = f"{self.data} (synthetic)" if self.synthetic_data else self.data
        rows = [("data", label), ("samples", count(self.samples))]
        if self.accuracy is not None:
            base, early_exit = self.accuracy
            rows += [
                ("accuracy of the base network", percent(base, 2)),
                ("accuracy with early exit", percent(early_exit, 2)),
            ]
        for k, rate in enumerate(self.exit_rates[:-1]):
            rows.append((f"stopped at exit {k + 1}", percent(rate, 2)))
        return Facts(tuple(rows))

    def _instructions(self) -> Table:
        rows = []
        for board in self.boards:
            for network in board.networks:
                n = network.instructions
                saved = percent(board.saved) if network is board.early_exit else ""
                cells = (count(n.mean), count(n.p50), count(n.p95), count(n.worst))
                rows.append((board.board, board.core, network.name, *cells, saved))
        columns = ("board", "core", "network", "mean", "p50", "p95", "worst", "saved")
        return Table(columns, tuple(rows), frozenset(range(3, 8)), "Instructions of an inference")

    def _times(self) -> Table:
        rows = [
            (
                t.board,
                f"{t.clock_hz / 1e6:g} MHz",
                name,
                *_cells(t.milliseconds, t.mean_milliseconds),
            )
            for name, t in self._estimates()
        ]
        columns = ("board", "clock", "network", "mean", "p50", "p95", "worst")
        title = "Milliseconds of an inference, estimated"
        return Table(columns, tuple(rows), frozenset(range(3, 7)), title)

    def _energies(self) -> Table | None:
        rows = [
            (t.board, name, *_cells(t.microjoules, t.mean_microjoules))
            for name, t in self._estimates()
            if t.microjoules is not None
        ]
        columns = ("board", "network", "mean", "p50", "p95", "worst")
        title = "Microjoules of an inference, whole board, estimated where energy is published"
        return Table(columns, tuple(rows), frozenset(range(2, 6)), title) if rows else None

    def _estimates(self) -> Iterable[tuple[str, TimeOnBoard]]:
        """(network, estimate), a real board's two networks one after the other."""
        for board in self.boards:
            pairs = zip(board.base.times, board.early_exit.times, strict=True)
            for times in pairs:
                for network, time in zip(board.networks, times, strict=True):
                    yield network.name, time

    def _bases(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((t.board, t.basis) for _, t in self._estimates()))


def _cells(spread: Spread, mean: Bounds) -> tuple[str, ...]:
    first = f"{_short(mean.nominal)} ({_short(mean.low)} to {_short(mean.high)})"
    return (first, *(_short(v) for v in (spread.p50, spread.p95, spread.worst)))


def _short(value: float) -> str:
    """Three digits: an estimate has no more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
