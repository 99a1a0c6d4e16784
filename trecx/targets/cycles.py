"""Estimated cycles, time and energy of profiled inferences. Always an estimate, with error bars.

Cycles = what the core's timing model gives for the executed blocks in the order in which they ran
(trecx.targets.core_timing) + transfers of unaligned accesses + flash wait states. For the latter
the profiler's plugin runs every fetch and every load from flash through a model of the board's
cache:

    WS x (misses after a branch + missing loads) + sequential misses x the part of WS that running
    the previous line does not hide

The low and the high value take every open assumption at its end, and are at least the model's known
error away from the nominal one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trecx.errors import InputError
from trecx.targets.blocks import Block, DataAccesses, Edge
from trecx.targets.core_timing import ASSUMPTIONS, Assumption, CoreTiming, core_timing, is_branch
from trecx.targets.disassembly import Instruction
from trecx.targets.presets import Preset
from trecx.targets.profiler import Profile, block_instructions, statistics

# So many instructions of the block before are enough to bring a pipeline into its state.
_CONTEXT = 12
# Bytes of code that an average cycle consumes: what prefetching hides of a sequential miss.
_BYTES_A_CYCLE = 2.5


@dataclass(frozen=True)
class Range:
    """A quantity known between two bounds."""

    low: float
    nominal: float
    high: float

    def scaled(self, factor: float) -> Range:
        return Range(self.low * factor, self.nominal * factor, self.high * factor)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def to_json(self) -> dict[str, float]:
        return {"low": self.low, "nominal": self.nominal, "high": self.high}


ZERO = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class LayerCycles:
    """Estimated cycles of one inference for a layer (name None: between layers)."""

    name: str
    cycles: Range


@dataclass(frozen=True)
class PathCycles:
    """One exit: mean cycles of an inference; core and memory are its two parts (nominal).

    instructions: mean of an inference, exact.
    """

    path: int
    inferences: int
    instructions: float
    cycles: Range
    core: float
    memory: float
    layers: list[LayerCycles]

    @property
    def cycles_per_instruction(self) -> Range:
        return self.cycles.scaled(1 / self.instructions)


@dataclass(frozen=True)
class Estimate:
    """Cycles, milliseconds and microjoules of an inference on a real board: estimates.

    samples: nominal cycles of each inference, int64, in the order of the profile's paths. mean:
    cycles of an inference; instructions: the mean of what was executed, exact. Energy is that of
    the whole board, None where nothing is published.
    """

    preset: Preset
    basis: str
    paths: list[PathCycles]
    samples: np.ndarray
    mean: Range
    instructions: float

    @property
    def cycles_per_instruction(self) -> float:
        return self.mean.nominal / self.instructions

    @property
    def milliseconds(self) -> Range:
        return self.mean.scaled(1e3 / self.preset.clock_hz)

    @property
    def microjoules(self) -> Range | None:
        return energy(self.mean, self.preset)

    def statistics(self) -> dict[str, int]:
        """Nominal cycles: mean, p50, p95 and worst."""
        return statistics(self.samples)

    def to_json(self) -> dict:
        return {
            "what": "estimate",
            "preset": self.preset.name,
            "board": self.preset.title,
            "core": self.preset.core,
            "clock_hz": self.preset.clock_hz,
            "basis": self.basis,
            "cycles": self.mean.to_json(),
            "cycles_per_instruction": self.cycles_per_instruction,
            "milliseconds": self.milliseconds.to_json(),
            "microjoules": self.microjoules.to_json() if self.microjoules else None,
            "statistics": self.statistics(),
            "paths": [_path_to_json(p, self.preset) for p in self.paths],
        }


def energy(cycles: Range, preset: Preset) -> Range | None:
    """Microjoules of that many cycles; None where no energy of the board is published."""
    if preset.picojoules is None:
        return None
    low, high = preset.picojoules
    return Range(
        cycles.low * low * 1e-6, cycles.nominal * (low + high) / 2 * 1e-6, cycles.high * high * 1e-6
    )


def estimate(profile: Profile, preset: Preset) -> Estimate:
    """Estimate a profile's inferences on a board.

    The profile must come from the plugin, on a board with the preset's core; for a preset with
    flash wait states it must have been taken with that preset (the caches are modelled while it
    runs). Raises InputError otherwise.
    """
    if profile.counts is None:
        raise InputError("cycles are estimated from executed blocks, and this profile has none")
    if not _same_core(profile.core, preset.core):
        raise InputError(
            f"preset {preset.name!r} has a {preset.core}, but the profile is of a {profile.core} "
            f"({profile.board})"
        )
    if preset.flash is not None and profile.preset != preset:
        raise InputError(
            f"the flash of {preset.name!r} is modelled while profiling: profile with this preset"
        )
    timing = core_timing(preset.core)
    core = _core_cycles(profile, timing)
    memory = _memory_cycles(profile, preset)
    paths = [_path_cycles(p, core, memory, timing, preset) for p in profile.paths]
    samples = np.concatenate(
        [
            np.rint(p.samples * found.cycles_per_instruction.nominal)
            for p, found in zip(profile.paths, paths, strict=True)
        ]
    ).astype(np.int64)
    total = sum(p.inferences for p in paths)
    mean = sum((p.cycles.scaled(p.inferences / total) for p in paths), ZERO)
    basis = _basis(timing, preset)
    return Estimate(preset, basis, paths, samples, mean, profile.total / total)


def _same_core(emulated: str, wanted: str) -> bool:
    """Cortex-M0 and M0+ execute the same instructions and differ only in their timing."""
    v6m = {"cortex-m0", "cortex-m0plus"}
    return emulated == wanted or {emulated, wanted} <= v6m


def _core_cycles(profile: Profile, timing: CoreTiming) -> dict[tuple[int, int], Range]:
    """Cycles of the core alone, by (path, region), over all inferences."""
    costs = _EdgeCosts(profile.instructions, timing)
    sums: dict[tuple[int, int], Range] = defaultdict(lambda: ZERO)
    for edge in profile.counts.edges:
        key = (edge.path, edge.region)
        sums[key] = sums[key] + costs.of(edge).scaled(edge.count)
    return sums


class _EdgeCosts:
    """What it costs to run a block after another one: both together less the first alone."""

    def __init__(self, code: Mapping[int, Instruction], timing: CoreTiming):
        self._code, self._timing = code, timing
        self._known: dict[tuple[Block | None, Block], Range] = {}

    def of(self, edge: Edge) -> Range:
        key = (edge.before, edge.to)
        if key not in self._known:
            self._known[key] = self._compute(*key)
        return self._known[key]

    def _compute(self, before: Block | None, block: Block) -> Range:
        code = block_instructions(block, self._code)
        context = block_instructions(before, self._code)[-_CONTEXT:] if before else []
        jump = bool(context) and context[-1].end != block.address and is_branch(context[-1])
        return Range(*(self._cost(context, jump, code, how) for how in ASSUMPTIONS))

    def _cost(self, context, jump: bool, code, how: Assumption) -> float:
        quiet = [False] * len(context)
        entered = [*quiet[:-1], jump] if context else []
        both = self._timing.cycles([*context, *code], [*entered, *([False] * len(code))], how)
        first = self._timing.cycles(context, quiet, how) if context else 0.0
        target = code[0]
        misaligned = jump and target.size == 4 and target.address % 4 != 0
        return both - first + (how.target if misaligned else 0)


def _memory_cycles(profile: Profile, preset: Preset) -> dict[tuple[int, int], Range]:
    sums: dict[tuple[int, int], Range] = defaultdict(lambda: ZERO)
    for data in profile.counts.data:
        key = (data.path, data.region)
        sums[key] = sums[key] + _stalls(data, preset)
    return sums


def _stalls(data: DataAccesses, preset: Preset) -> Range:
    extra = float(data.extra_transfers)
    if preset.flash is None:
        return Range(extra, extra, extra)
    ws = preset.flash.wait_states
    hidden = preset.flash.fetch.line_bytes / _BYTES_A_CYCLE
    certain = extra + ws * (data.jump_misses + data.load_misses)
    sequential = data.sequential_misses
    return Range(
        certain,
        certain + sequential * max(0.0, ws + 1 - hidden),
        certain + sequential * ws,
    )


def _path_cycles(path, core, memory, timing, preset) -> PathCycles:
    share = 1.0 / path.inferences
    layers, total_core, total_memory = [], ZERO, ZERO
    for row in path.layers:
        key = (path.path, row.region)
        here, wait = core[key].scaled(share), memory[key].scaled(share)
        layers.append(LayerCycles(row.name, _with_error(here + wait, timing, preset)))
        total_core, total_memory = total_core + here, total_memory + wait
    cycles = _with_error(total_core + total_memory, timing, preset)
    return PathCycles(
        path.path,
        path.inferences,
        path.instructions * share,
        cycles,
        total_core.nominal,
        total_memory.nominal,
        layers,
    )


def _with_error(cycles: Range, timing: CoreTiming, preset: Preset) -> Range:
    down, up = preset.error or (timing.error, timing.error)
    return Range(
        min(cycles.low, cycles.nominal * (1 - down)),
        cycles.nominal,
        max(cycles.high, cycles.nominal * (1 + up)),
    )


def _basis(timing: CoreTiming, preset: Preset) -> str:
    memory = (
        f"{preset.flash.wait_states} flash wait states behind a modelled cache"
        if preset.flash
        else "memory without wait states"
    )
    note = f"; {preset.note}" if preset.note else ""
    return f"estimate from executed blocks: {timing.basis}; {memory}{note}"


def _path_to_json(path: PathCycles, preset: Preset) -> dict:
    power = energy(path.cycles, preset)
    return {
        "exit": path.path,
        "inferences": path.inferences,
        "cycles": path.cycles.to_json(),
        "core_cycles": path.core,
        "memory_cycles": path.memory,
        "milliseconds": path.cycles.scaled(1e3 / preset.clock_hz).to_json(),
        "microjoules": power.to_json() if power else None,
        "layers": [{"name": layer.name, "cycles": layer.cycles.to_json()} for layer in path.layers],
    }
