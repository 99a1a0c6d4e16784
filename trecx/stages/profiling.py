"""Where a model's instructions go on an emulated board, and its estimated time on a real one."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from trecx.codegen.compiler import CompiledModel
from trecx.errors import InputError
from trecx.ir.graph import Operator
from trecx.ir.ops import macs
from trecx.reports.latency import LatencyReport, StepTime
from trecx.reports.profile import BoardTime, Bounds, Profiled, ProfileReport, Share
from trecx.reports.roles import roles
from trecx.reports.run import run_report
from trecx.stages.chain import Chain
from trecx.stages.running import build
from trecx.stages.samples import RunSamples
from trecx.targets.boards import load_board
from trecx.targets.cycles import Estimate, Range, estimate
from trecx.targets.presets import Preset, load_preset, zero_wait_preset
from trecx.targets.profiler import LayerProfile, PathProfile, Profile, profile
from trecx.tflite.importer import read_graph

MOST_LINES = 20
DECISION, OTHER = "exit decision", "other"


@dataclass(frozen=True, eq=False)
class Measured:
    """One compiled network, its profile on a board, and the estimate where one is possible."""

    model: CompiledModel
    profile: Profile
    estimate: Estimate | None


def choose_preset(name: str | None, target: str) -> Preset:
    """The real board to estimate for; without a name the emulated one with memory that never waits.

    Raises InputError for an unknown name, or one of another core than the target's.
    """
    board = load_board(target)
    if board.is_host:
        raise InputError("instructions are counted on emulated boards: give --target BOARD")
    if name is None:
        return zero_wait_preset(board)
    preset = load_preset(name)
    small = {"cortex-m0", "cortex-m0plus"}  # the same instructions, other timings
    if preset.core != board.core and not {preset.core, board.core} <= small:
        raise InputError(
            f"preset {name!r} has a {preset.core}, board {target!r} a {board.core}: "
            "give the target with the preset's core"
        )
    return preset


def measure(
    model: CompiledModel, target: str, x, preset: Preset, *, jobs: int, what: str, progress=None
) -> Measured:
    """Build the batch runner, run int8 samples (N, ...) under the profiler, estimate cycles."""
    board = load_board(target)

    def say(done: int, count: int) -> None:
        if progress is not None:
            progress(what, done, count)

    with tempfile.TemporaryDirectory() as folder:
        firmware = build(model, target, Path(folder))
        found = profile(
            firmware,
            board,
            x.reshape(len(x), -1),
            jobs=jobs,
            progress=say,
            hot_spots=MOST_LINES,
            preset=preset if preset.flash is not None else None,
        )
    return Measured(model, found, estimate(found, preset) if found.counts is not None else None)


def base_chain(chain: Chain) -> Chain:
    """The bundle's network without exits, as a chain of one. InputError when there is none."""
    entry = chain.bundle.manifest["base"] if chain.bundle is not None else None
    if entry is None:
        raise InputError("there is no base network beside the model: export with --base RUN")
    content = chain.bundle.read(entry["file"])
    return replace(
        chain,
        name=f"{chain.name}_base",
        graphs=[read_graph(content)],
        policies=(),
        digest=hashlib.sha256(content).hexdigest(),
        contents=[content],
    )


def profile_report(
    found: Measured, target: str, samples: RunSamples, base: Measured | None = None
) -> ProfileReport:
    """The report of a profile, and of the base network's on the same samples."""
    whole = found.profile
    inferences = len(whole.result)
    rows = [row for path in whole.paths for row in path.layers]
    functions, mix = Counter(), Counter()
    for row in rows:
        functions.update(row.functions)
        mix.update(row.mix)
    lines = tuple(Share(h.line, h.instructions / inferences) for h in whole.hot)
    return ProfileReport(
        network=_profiled(found),
        target=target,
        data=samples.name,
        synthetic_data=samples.synthetic,
        samples=inferences,
        steps=LatencyReport(
            found.model.prefix, target, _steps(found), len(found.model.program.graphs)
        ),
        method=whole.method,
        note=whole.note,
        functions=_shares(functions, inferences),
        mix=_shares(mix, inferences),
        hot_spots=lines,
        base=None if base is None else _profiled(base),
    )


def _profiled(found: Measured) -> Profiled:
    result = found.profile.result
    report = run_report(
        found.model.prefix,
        result.board,
        "",
        result.exit_index,
        result.class_index,
        result.segment_count,
        instructions=result.instructions,
    )
    return Profiled(found.model.prefix, report.instructions, _time(found.estimate))


def _time(found: Estimate | None) -> BoardTime | None:
    if found is None:
        return None
    energy = found.microjoules
    return BoardTime(
        found.preset.title,
        found.preset.clock_hz,
        found.basis,
        _bounds(found.mean),
        _bounds(found.milliseconds),
        None if energy is None else _bounds(energy),
        tuple(path.cycles.nominal for path in found.paths),
    )


def _bounds(value: Range) -> Bounds:
    return Bounds(value.low, value.nominal, value.high)


def _shares(totals: Counter, inferences: int) -> tuple[Share, ...]:
    return tuple(Share(name, total / inferences) for name, total in totals.most_common())


def _steps(found: Measured) -> tuple[StepTime, ...]:
    """Every step of one inference, from the deepest path that was taken through it."""
    model = found.model
    parts = roles(model.program.graphs)
    cycles = _cycles_by_name(found.estimate)
    steps = []
    for index, (path, row) in sorted(_deepest(found.profile.paths).items()):
        timed = model.program.steps[index]
        low = model.program.lowered[timed.segment][timed.operator_index]
        first = low.steps[0] is timed.step
        steps.append(
            StepTime(
                timed.segment,
                low.operator.output.label,
                low.operator.kind,
                timed.step.scheme,
                parts[timed.segment][timed.operator_index].value,
                round(row.instructions / path.inferences),
                macs(low.operator) if first else 0,
                cycles.get((path.path, row.name)),
                _only_when_taken(model, timed.segment, low.operator),
            )
        )
    return (*steps, *_between(found, cycles))


def _only_when_taken(model: CompiledModel, segment: int, op: Operator) -> bool:
    return any(id(op) in d.answer for d in model.info.decisions[segment : segment + 1])


def _deepest(paths: list[PathProfile]) -> dict[int, tuple[PathProfile, LayerProfile]]:
    """By a step's time: its figures on the deepest path (paths are in order of depth)."""
    return {
        row.layer.index: (path, row)
        for path in paths
        for row in path.layers
        if row.layer is not None
    }


def _between(found: Measured, cycles: dict) -> list[StepTime]:
    """What runs between the layers: the decision of the first exit, and the rest."""
    path = found.profile.paths[-1]
    row = next((row for row in path.layers if row.layer is None), None)
    if row is None:
        return []
    decided = found.model.info.decisions
    functions = {decision.call.function for decision in decided if decision.call is not None}
    decisions = sum(n for name, n in row.functions.items() if name.split(".")[0] in functions)
    exits = max(1, min(path.path + 1, len(decided)))
    steps = [
        StepTime(k, f"exit {k + 1}", "", "", DECISION, round(decisions / exits / path.inferences))
        for k in range(exits if decisions else 0)
    ]
    rest = round((row.instructions - decisions) / path.inferences)
    return [
        *steps,
        StepTime(0, row.name, "", "", OTHER, rest, cycles=cycles.get((path.path, row.name))),
    ]


def _cycles_by_name(found: Estimate | None) -> dict[tuple[int, str], int]:
    """Nominal mean cycles by (path, layer name)."""
    if found is None:
        return {}
    return {
        (path.path, layer.name): round(layer.cycles.nominal)
        for path in found.paths
        for layer in path.layers
    }
