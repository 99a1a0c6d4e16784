"""Where a model's instructions go: by path, layer, kernel, instruction class and source line."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trecx.errors import InputError, TargetError, ToolMissingError, VerificationError
from trecx.targets.batch import BatchResult, run_batch
from trecx.targets.blocks import Block, BlockCounts, plugin_library, read_counts
from trecx.targets.boards import Board
from trecx.targets.build import Firmware, source_lines
from trecx.targets.disassembly import Instruction, disassemble
from trecx.targets.elf import FunctionFinder, Symbol
from trecx.targets.layer_timer import time_layers
from trecx.targets.presets import Preset
from trecx.targets.qemu import Plugin

MEASURE_FUNCTION = "trecx_batch_measure"
OUTSIDE, GLUE, FIRST_LAYER = 0, 1, 2
GLUE_NAME = "between layers"


@dataclass(frozen=True)
class Layer:
    """A function of the generated code that runs one kernel call.

    segment: of the chain. index: its time in the whole program. kind: operator, lower case.
    """

    name: str
    segment: int
    index: int
    kind: str


@dataclass
class LayerProfile:
    """Instructions of one layer over all inferences of a path.

    layer is None for what runs between layers: entry, exit decision, argmax. region: number of the
    layer in the raw counts. functions: by the function that executed them. mix: by instruction
    class. macs: of one inference, when known.
    """

    layer: Layer | None
    region: int = GLUE
    instructions: int = 0
    macs: int | None = None
    functions: Counter = field(default_factory=Counter)
    mix: Counter = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.layer.name if self.layer else GLUE_NAME


@dataclass
class PathProfile:
    """All inferences that ended at one exit. samples: instructions of each, int64."""

    path: int
    samples: np.ndarray
    layers: list[LayerProfile]

    @property
    def inferences(self) -> int:
        return len(self.samples)

    @property
    def instructions(self) -> int:
        return int(self.samples.sum())


@dataclass(frozen=True)
class HotSpot:
    """A source line and the instructions executed for it over all inferences."""

    line: str
    instructions: int


@dataclass
class Profile:
    """Exact instruction counts of a batch of inferences.

    method: "plugin" (every block counted) or "counter" (only totals by layer, read from the
    board's counter by an instrumented build). note: what the reader must know of the method.
    result: what the inferences gave. counts: the raw blocks and edges, instructions: the code by
    address, preset: the board whose flash was modelled; all three for the cycle model.
    """

    board: str
    core: str
    model: str
    method: str
    note: str
    paths: list[PathProfile]
    hot: list[HotSpot]
    result: BatchResult
    counts: BlockCounts | None = None
    instructions: Mapping[int, Instruction] = field(default_factory=dict)
    preset: Preset | None = None

    @property
    def total(self) -> int:
        return sum(p.instructions for p in self.paths)

    def statistics(self) -> dict[str, int]:
        """Instructions of one inference: mean (rounded), p50, p95 and worst."""
        return statistics(np.concatenate([p.samples for p in self.paths]))

    def to_json(self) -> dict:
        """Everything but the raw counts, with per-inference means beside the totals."""
        return {
            "board": self.board,
            "core": self.core,
            "model": self.model,
            "method": self.method,
            "note": self.note,
            "inferences": len(self.result),
            "instructions": self.statistics(),
            "paths": [_path_to_json(p) for p in self.paths],
            "hot_spots": [{"line": h.line, "instructions": h.instructions} for h in self.hot],
        }


def profile(
    firmware: Firmware,
    board: Board,
    inputs: np.ndarray,
    *,
    macs: Mapping[str, int] | None = None,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
    timeout: float = 300.0,
    hot_spots: int = 20,
    preset: Preset | None = None,
) -> Profile:
    """Run `inputs` and count every executed instruction. The firmware is not changed.

    Args:
        firmware: built from the application "batch", with its model's symbol.
        inputs: int8 (N, ...), as for run_batch.
        macs: multiply-accumulates of one inference by layer name, for MACs an instruction.
        hot_spots: how many source lines to report.
        preset: a real board whose flash cache is modelled while counting, for `estimate`; without
            one no data accesses are counted, which is faster.

    Without a host compiler for the plugin, or an emulator without plugins, layers are timed by
    the board's counter in an instrumented build (`method` says so).

    Raises: InputError for firmware without a model or for the host; what run_batch raises;
    VerificationError when plugin and counter disagree on any inference.
    """
    if board.is_host:
        raise InputError("instructions are counted on emulated boards; the host has no counter")
    if firmware.model is None:
        raise InputError("this firmware was built without a model")
    layers = find_layers(firmware)
    try:
        plugin_library()
    except ToolMissingError as missing:
        return _profile_by_counter(firmware, board, inputs, layers, macs, str(missing), timeout)
    counts, result = _run_with_plugin(
        firmware, board, inputs, layers, jobs, progress, timeout, preset
    )
    _check_totals(counts, result)
    instructions = disassemble(firmware.elf, board.isa)
    return Profile(
        board=board.name,
        core=board.core,
        model=_prefix(firmware),
        method="plugin",
        note="exact: every executed translation block counted",
        paths=_paths(firmware, counts, layers, instructions, macs or {}),
        hot=_hot_spots(firmware, counts, instructions, hot_spots),
        result=result,
        counts=counts,
        instructions=instructions,
        preset=preset,
    )


def find_layers(firmware: Firmware) -> list[Layer]:
    """The layer functions of the firmware's model, in the order of the program."""
    pattern = re.compile(rf"{re.escape(_prefix(firmware))}_s(\d+)_(\d+)_(\w+)")
    found = {}
    for symbol in firmware.image.functions():
        match = pattern.fullmatch(_plain_name(symbol))
        if match:
            segment, index, kind = match.groups()
            name = match.group()
            found[name] = Layer(name, int(segment), int(index), kind)
    return sorted(found.values(), key=lambda layer: (layer.segment, layer.index))


def statistics(samples: np.ndarray) -> dict[str, int]:
    """mean, p50, p95 and worst of integer samples; percentiles are values that occurred."""
    return {
        "mean": round(float(samples.mean())),
        "p50": int(np.percentile(samples, 50, method="inverted_cdf")),
        "p95": int(np.percentile(samples, 95, method="inverted_cdf")),
        "worst": int(samples.max()),
    }


def _prefix(firmware: Firmware) -> str:
    return firmware.model.removesuffix("_model")


def _plain_name(symbol: Symbol) -> str:
    """Without the suffixes that GCC gives to clones (.isra.0, .constprop.0, .part.0)."""
    return symbol.name.split(".")[0]


def _regions(firmware: Firmware, layers: list[Layer]) -> str:
    """The plugin's regions file."""
    number = {layer.name: FIRST_LAYER + i for i, layer in enumerate(layers)}
    segment = {layer.name: layer.segment for layer in layers}
    own = _prefix(firmware) + "_"
    lines = []
    for symbol in firmware.image.functions():
        name = _plain_name(symbol)
        if name == MEASURE_FUNCTION:
            region = OUTSIDE
        elif name.startswith(own):
            region = number.get(name, GLUE)
        else:
            continue
        end = symbol.address + symbol.size
        lines.append(f"{symbol.address:x} {end:x} {region} {segment.get(name, 0)}")
    return "\n".join(lines) + "\n"


def _run_with_plugin(firmware, board, inputs, layers, jobs, progress, timeout, preset):
    with tempfile.TemporaryDirectory(prefix="trecx-profile-") as name:
        folder = Path(name)
        (folder / "regions").write_text(_regions(firmware, layers))

        def plugin(first: int) -> Plugin:
            arguments = {
                "out": str(folder / f"counts-{first:08d}"),
                "regions": str(folder / "regions"),
            }
            if preset is not None:
                arguments |= _memory_arguments(board, preset)
            return Plugin(plugin_library(), arguments)

        result = run_batch(
            firmware, board, inputs, jobs=jobs, progress=progress, timeout=timeout, plugin=plugin
        )
        merged = BlockCounts()
        for path in sorted(folder.glob("counts-*")):
            counts = read_counts(path)
            merged.edges += counts.edges
            merged.data += counts.data
            merged.samples += counts.samples
    return merged, result


def _memory_arguments(board: Board, preset: Preset) -> dict[str, str]:
    """What the plugin needs to count accesses and to model the caches of the preset's flash."""
    end = board.flash_origin + board.flash_bytes
    arguments = {"flash": f"{board.flash_origin:x}-{end:x}"}
    if preset.flash is not None:
        arguments["fetch"] = preset.flash.fetch.option
        if preset.flash.unified:
            arguments["unified"] = "on"
        elif preset.flash.data is not None:
            arguments["data"] = preset.flash.data.option
    return arguments


def _check_totals(counts: BlockCounts, result: BatchResult) -> None:
    """Plugin and board counter must agree on every single inference."""
    if len(counts.samples) != len(result):
        raise TargetError(
            f"the plugin saw {len(counts.samples)} inferences, the firmware ran {len(result)}: an "
            "emulator was interrupted; profile again"
        )
    paths = np.array([path for path, _ in counts.samples])
    if not np.array_equal(paths, result.exit_index):
        raise VerificationError("the plugin saw other exits taken than the firmware reported")
    counted = np.array([n for _, n in counts.samples], dtype=np.int64)
    differ = np.flatnonzero(counted != result.instructions)
    if differ.size or counts.instructions != int(result.instructions.sum()):
        i = int(differ[0]) if differ.size else 0
        raise VerificationError(
            f"plugin and counter disagree on {differ.size} inferences; sample {i}: "
            f"{counted[i]:,} and {result.instructions[i]:,} instructions"
        )


def block_instructions(block: Block, code: Mapping[int, Instruction]) -> list[Instruction]:
    """The instructions of a block. Raises VerificationError when the code is not as counted."""
    found, address = [], block.address
    for _ in range(block.instructions):
        if address not in code:
            raise VerificationError(f"no instruction at 0x{address:08x} in the disassembly")
        found.append(code[address])
        address = found[-1].end
    return found


def _paths(firmware, counts: BlockCounts, layers, code, macs) -> list[PathProfile]:
    find = FunctionFinder(firmware.image)
    mixes = {
        block: Counter(i.kind.value for i in block_instructions(block, code))
        for block in {edge.to for edge in counts.edges}
    }
    table: dict[tuple[int, int], LayerProfile] = {}
    for edge in counts.edges:
        key = (edge.path, edge.region)
        if key not in table:
            layer = layers[edge.region - FIRST_LAYER] if edge.region >= FIRST_LAYER else None
            known = macs.get(layer.name) if layer else None
            table[key] = LayerProfile(layer, edge.region, macs=known)
        row = table[key]
        amount = edge.count * edge.to.instructions
        row.instructions += amount
        function = find(edge.to.address)
        row.functions[function.name if function else "?"] += amount
        for kind, times in mixes[edge.to].items():
            row.mix[kind] += times * edge.count
    paths = []
    for path in sorted({p for p, _ in counts.samples}):
        samples = np.array([n for p, n in counts.samples if p == path], dtype=np.int64)
        rows = [row for (p, _), row in sorted(table.items()) if p == path]
        paths.append(PathProfile(path, samples, rows))
    return paths


def _hot_spots(firmware, counts: BlockCounts, code, most: int) -> list[HotSpot]:
    executed: Counter = Counter()
    for edge in counts.edges:
        for instruction in block_instructions(edge.to, code):
            executed[instruction.address] += edge.count
    lines = source_lines(firmware, executed)
    by_line: Counter = Counter()
    for address, times in executed.items():
        by_line[lines[address] or "?"] += times
    return [HotSpot(line, times) for line, times in by_line.most_common(most)]


def _profile_by_counter(firmware, board, inputs, layers, macs, why, timeout) -> Profile:
    result = run_batch(firmware, board, inputs, jobs=1, timeout=timeout)
    timed = time_layers(firmware, board, inputs, timeout=timeout)
    paths = []
    for path in sorted(set(result.exit_index.tolist())):
        chosen = np.flatnonzero(result.exit_index == path)
        samples = result.instructions[chosen]
        rows = []
        for region, layer in enumerate(layers, FIRST_LAYER):
            spent = sum(timed[i].get(layer.name, 0) for i in chosen)
            if spent:
                rows.append(LayerProfile(layer, region, spent, (macs or {}).get(layer.name)))
        glue = int(samples.sum()) - sum(row.instructions for row in rows)
        paths.append(PathProfile(path, samples, [LayerProfile(None, GLUE, glue), *rows]))
    note = (
        "totals are exact; layers were timed with the board's counter in an instrumented build, to "
        f"within a few instructions a call, because the plugin is not available: {why}"
    )
    model = _prefix(firmware)
    return Profile(board.name, board.core, model, "counter", note, paths, [], result)


def _path_to_json(path: PathProfile) -> dict:
    return {
        "exit": path.path,
        "inferences": path.inferences,
        "instructions": statistics(path.samples),
        "layers": [_layer_to_json(row, path) for row in path.layers],
    }


def _layer_to_json(row: LayerProfile, path: PathProfile) -> dict:
    mean = row.instructions / path.inferences
    return {
        "name": row.name,
        "segment": row.layer.segment if row.layer else None,
        "kind": row.layer.kind if row.layer else None,
        "total_instructions": row.instructions,
        "instructions": mean,
        "share": row.instructions / path.instructions,
        "macs": row.macs,
        "macs_per_instruction": row.macs / mean if row.macs and mean else None,
        "functions": _means(row.functions, path.inferences),
        "mix": _means(row.mix, path.inferences),
    }


def _means(totals: Counter, inferences: int) -> dict[str, float]:
    return {name: total / inferences for name, total in totals.most_common()}
