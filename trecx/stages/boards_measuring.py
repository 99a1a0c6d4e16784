"""Base network against early exit on every board: exact instructions, estimated time and energy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trecx.errors import CapacityError, InputError, VerificationError
from trecx.reports.boards import (
    BoardsMeasuredReport,
    MeasuredBoard,
    NetworkOnBoard,
    Spread,
    TimeOnBoard,
    UnfitBoard,
)
from trecx.reports.profile import Bounds
from trecx.stages.chain import Chain, load_chain
from trecx.stages.compiling import compile_for, require_fit
from trecx.stages.profiling import base_chain
from trecx.stages.running import build
from trecx.stages.samples import RunSamples
from trecx.targets.batch import BatchResult, run_batch
from trecx.targets.boards import Board, list_boards, load_board
from trecx.targets.build import Firmware
from trecx.targets.cycles import ZERO, Estimate, Range, energy, estimate
from trecx.targets.presets import Preset, list_presets, zero_wait_preset
from trecx.targets.profiler import profile

BASE, EARLY_EXIT = "base", "early exit"
# An inference's cycles an instruction depend on its path, hardly on its data.
PROFILED_SAMPLES = 3

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Contender:
    """A network and the samples, quantised for it."""

    name: str
    chain: Chain
    samples: RunSamples


def emulated_boards(names: Sequence[str]) -> list[Board]:
    """The boards of these names, or all emulated ones. InputError for the host."""
    if not names:
        return [board for board in list_boards() if not board.is_host]
    boards = [load_board(name) for name in dict.fromkeys(names)]
    if any(board.is_host for board in boards):
        raise InputError("instructions are counted on emulated boards; the host has no counter")
    return boards


def base_of(chain: Chain, path: Path | None) -> Chain:
    """The network without exits: of that file or bundle, or the one that the bundle holds.

    Raises InputError when there is none, or when it is not for the same inputs and classes.
    """
    if path is None:
        try:
            base = base_chain(chain)
        except InputError as error:
            raise InputError(f"{error}, or give --base MODEL.tflite") from None
    else:
        base = load_chain(path)
    found = _ends(base)
    if len(base.graphs) != 1 or found != _ends(chain):
        raise InputError(
            f"the base network must have no exits, input shape {_ends(chain)[0]} and "
            f"{_ends(chain)[1]} classes; {path or 'the one in the bundle'} has "
            f"{len(base.graphs) - 1} exits, input shape {found[0]} and {found[1]} classes"
        )
    return base


def _ends(chain: Chain) -> tuple[tuple[int, ...], int]:
    return tuple(chain.graphs[0].inputs[0].shape[1:]), chain.graphs[-1].outputs[0].size


def measure_boards(
    base: Contender,
    early_exit: Contender,
    boards: Sequence[Board],
    *,
    skip_unfit: bool,
    compiling: Mapping[str, object],
    jobs: int,
    progress: Progress | None = None,
) -> BoardsMeasuredReport:
    """Run both networks on every board.

    skip_unfit: list a board that they do not fit as such, in place of a CapacityError.

    Raises VerificationError when an output or an exit differs from board to board; the errors of
    compiling, building and running.
    """
    contenders, measured, unfit = (base, early_exit), [], []
    first: dict[str, BatchResult] = {}
    for board in boards:
        try:
            networks = [_on_board(c, board, compiling, jobs, first, progress) for c in contenders]
        except CapacityError as error:
            if not skip_unfit:
                raise
            unfit.append(UnfitBoard(board.name, str(error).split(";")[0]))
            continue
        measured.append(MeasuredBoard(board.name, board.core, *networks))
    if not measured:
        raise CapacityError("the networks fit no board")
    result, samples = first[early_exit.name], early_exit.samples
    accuracy = None
    if samples.labels is not None:
        accuracy = tuple(
            float((first[c.name].class_index == c.samples.labels).mean()) for c in contenders
        )
    return BoardsMeasuredReport(
        early_exit.chain.name,
        samples.name,
        samples.synthetic,
        len(result),
        accuracy,
        tuple(float((result.exit_index == k).mean()) for k in range(result.segment_count)),
        PROFILED_SAMPLES,
        tuple(measured),
        tuple(unfit),
    )


def _on_board(contender, board, compiling, jobs, first, progress) -> NetworkOnBoard:
    """first: each network's result on the first board, which this one must be equal to."""
    x = contender.samples.x.reshape(len(contender.samples.x), -1)

    def say(done: int, count: int) -> None:
        if progress is not None:
            progress(f"{contender.name} on {board.name}", done, count)

    model = compile_for(contender.chain, board.name, **compiling)
    require_fit(model, board.name)
    with tempfile.TemporaryDirectory() as folder:
        firmware = build(model, board.name, Path(folder))
        result = run_batch(firmware, board, x, jobs=jobs, progress=say)
        _require_equal(first.setdefault(contender.name, result), result, contender.name)
        presets = list_presets(board.core) or [zero_wait_preset(board)]
        times = tuple(_time(firmware, x, result, preset) for preset in presets)
    return NetworkOnBoard(contender.name, _spread(result.instructions), times)


def _require_equal(first: BatchResult, result: BatchResult, name: str) -> None:
    same = np.array_equal(first.outputs, result.outputs)
    if not same or not np.array_equal(first.exit_index, result.exit_index):
        raise VerificationError(
            f"the outputs of {name} on {result.board} differ from those on {first.board}: this is "
            "a bug of trecx, please report it"
        )


def _time(firmware: Firmware, x: np.ndarray, result: BatchResult, preset: Preset) -> TimeOnBoard:
    """Estimate every sample's time from the profile of a few samples of its path."""
    found = _profiled(firmware, x, result, preset)
    cycles, mean = np.zeros(len(result)), ZERO
    for path in found.paths:
        chosen, ratio = result.exit_index == path.path, path.cycles_per_instruction
        cycles[chosen] = result.instructions[chosen] * ratio.nominal
        mean = mean + ratio.scaled(result.instructions[chosen].sum() / len(result))
    joules = energy(mean, preset)
    to_ms = 1e3 / preset.clock_hz
    return TimeOnBoard(
        preset.title,
        preset.clock_hz,
        found.basis,
        _spread(cycles * to_ms),
        _bounds(mean.scaled(to_ms)),
        None if joules is None else _spread(cycles * (joules.nominal / mean.nominal)),
        None if joules is None else _bounds(joules),
    )


def _profiled(firmware, x: np.ndarray, result: BatchResult, preset: Preset) -> Estimate:
    """The estimate for the first samples of each path; their counts must repeat exactly."""
    paths = [np.flatnonzero(result.exit_index == k) for k in range(result.segment_count)]
    chosen = np.concatenate([path[:PROFILED_SAMPLES] for path in paths])
    found = profile(
        firmware,
        firmware.board,
        x[chosen],
        jobs=1,
        hot_spots=0,
        preset=preset if preset.flash is not None else None,
    )
    if not np.array_equal(found.result.instructions, result.instructions[chosen]):
        raise VerificationError(
            f"the instructions counted on {result.board} did not repeat: this is a bug of trecx, "
            "please report it"
        )
    return estimate(found, preset)


def _spread(values: np.ndarray) -> Spread:
    p50, p95 = np.percentile(values, [50, 95], method="inverted_cdf")
    return Spread(float(values.mean()), float(p50), float(p95), float(values.max()))


def _bounds(value: Range) -> Bounds:
    return Bounds(value.low, value.nominal, value.high)
