"""Compile a chain of graphs to a self-contained folder of C."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trecx.codegen.decision import ExitDecision, find_decision
from trecx.codegen.emitter import (
    ModelInfo,
    check_prefix,
    emit_arena,
    emit_header,
    emit_source,
    wide_argmax,
)
from trecx.codegen.lowering import Blob, Lowered, LoweringOptions, Optimize
from trecx.codegen.order import order_for_memory
from trecx.codegen.plan_check import check_plan
from trecx.codegen.planner import SEARCH_ROUNDS, MemoryPlan, plan_memory
from trecx.codegen.program import Program, build_program
from trecx.codegen.select import lower_chain
from trecx.codegen.tiling import tile
from trecx.codegen.views import find_views
from trecx.errors import InputError
from trecx.files import atomic_folder
from trecx.ir.graph import Graph
from trecx.ir.passes import optimise
from trecx.ir.verify import verify
from trecx.policies import DevicePolicy

QUICK_ROUNDS = 60  # of the placement search, while bands are tried
# Largest growth of the estimated instructions that bands of rows may cost.
SLOWDOWN = {Optimize.SIZE: 0.1, Optimize.BALANCED: 0.007, Optimize.SPEED: 0.005}
RUNTIME_SOURCES = ("runtime/exit_policy.c",)
LOGITS_SOURCES = ("runtime/exit_logits.c",)


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """Generated C and what was decided for it.

    sources: what the model needs of the deploy folder, as paths relative to it.
    """

    prefix: str
    header: str
    source: str
    sources: tuple[str, ...]
    program: Program
    plan: MemoryPlan
    options: LoweringOptions
    info: ModelInfo

    @property
    def weight_bytes(self) -> int:
        blobs = (b for t in self.program.steps for b in t.step.params.values())
        distinct = {b.key: b.nbytes for b in blobs if isinstance(b, Blob)}
        return sum(distinct.values())

    @property
    def estimated_instructions(self) -> int:
        return sum(t.step.instructions for t in self.program.steps)

    def report(self) -> dict:
        """Choices, alternatives and the memory plan, for JSON."""
        return {
            "prefix": self.prefix,
            "isa": self.options.isa.value,
            "optimize": self.options.optimize.value,
            "weight_bytes": self.weight_bytes,
            "estimated_instructions": self.estimated_instructions,
            "memory": self.plan.to_json(),
            "exits": [
                _exit_report(k, graph, decision)
                for k, (graph, decision) in enumerate(
                    zip(self.program.graphs, self.info.decisions, strict=False)
                )
            ],
            "operators": [
                _operator_report(k, low)
                for k, segment in enumerate(self.program.lowered)
                for low in segment
            ],
        }


def compile_chain(
    graphs: list[Graph],
    prefix: str,
    *,
    digest: str,
    options: LoweringOptions,
    policies: Sequence[DevicePolicy | None] = (),
    arena_symbol: str | None = None,
) -> CompiledModel:
    """Passes, kernel choice, memory plan, C text.

    graphs: the segments in order. policies: one for each exit but the last; an exit without one is
    never taken. Raises UnsupportedModelError when an operator has no kernel, InputError on a bad
    prefix or a policy that does not fit its exit.
    """
    check_prefix(prefix)
    if arena_symbol is not None:
        check_prefix(arena_symbol)
    policies = (*policies, *(None for _ in graphs))[: len(graphs) - 1]
    program, plan = _plan(graphs, policies, options)
    decisions = _decisions(program.graphs, policies)
    stamp = f"--isa {options.isa.value} --optimize {options.optimize.value}"
    if options.flash_budget is not None:
        stamp += f" --flash-budget {options.flash_budget}"
    info = ModelInfo(prefix, digest, stamp, decisions, arena_symbol, options.isa)
    kernels = {s for t in program.steps for s in t.step.sources}
    if wide_argmax(program, options.isa):
        kernels.add("mve/argmax_s8.c")
    sources = sorted(f"kernels/{s}" for s in kernels)
    runtime = RUNTIME_SOURCES + (LOGITS_SOURCES if any(d.on_logits for d in decisions) else ())
    return CompiledModel(
        prefix=prefix,
        header=emit_header(program, plan, info),
        source=emit_source(program, plan, info),
        sources=(*runtime, *sources),
        program=program,
        plan=plan,
        options=options,
        info=info,
    )


def _decisions(graphs: list[Graph], policies) -> tuple[ExitDecision, ...]:
    return tuple(find_decision(graph, p) for graph, p in zip(graphs[:-1], policies, strict=True))


def _plan(graphs: list[Graph], policies, options: LoweringOptions) -> tuple[Program, MemoryPlan]:
    """Passes, kernel choice, order, bands and the final, checked plan."""
    graphs = [optimise(graph) for graph in graphs]
    answers = [*(d.answer for d in _decisions(graphs, policies)), frozenset()]
    cache: dict = {}
    for k, (graph, answer) in enumerate(zip(graphs, answers, strict=True)):
        views = find_views(graph)
        (lowered,) = lower_chain([graph], [views], options, cache)
        order = order_for_memory(graph, lowered, views, last=answer)
        graphs[k] = replace(graph, operators=[graph.operators[i] for i in order])

    def lower(trial: list[Graph]) -> Program:
        views = [find_views(graph) for graph in trial]
        return build_program(trial, lower_chain(trial, views, options, cache), views)

    def place(program: Program) -> MemoryPlan:
        return plan_memory(program, QUICK_ROUNDS)

    best = tile(graphs, lower, place, SLOWDOWN[options.optimize]).trial
    for graph in best.graphs:
        verify(graph)
    memory = plan_memory(best.program, SEARCH_ROUNDS)
    check_plan(best.program, memory)
    return best.program, memory


def write_library(model: CompiledModel, deploy: Path, out: Path) -> list[Path]:
    """Write the model with all the sources it needs to `out`; returns the C files.

    deploy: the folder of trecx's C sources. An existing library at `out` is replaced as a whole.
    """
    return _write([model], deploy, out, {}, model.report())


def write_libraries(
    models: Sequence[CompiledModel], deploy: Path, out: Path, arena_symbol: str | None = None
) -> list[Path]:
    """As `write_library`, for several models that share their kernels.

    models: each with a prefix of its own. arena_symbol: the name that all were compiled with; they
    then share one arena, as large as the largest model needs, and take turns.
    """
    prefixes = [model.prefix for model in models]
    names = [*prefixes, *([arena_symbol] if arena_symbol else [])]
    if len({name.lower() for name in names}) < len(names):
        raise InputError(f"models in one library need names of their own, got {', '.join(names)}")
    report: dict = {"models": [model.report() for model in models]}
    arena = {}
    if arena_symbol:
        size = max(model.plan.arena_bytes for model in models)
        report["shared_arena"] = {"symbol": arena_symbol, "arena_bytes": size}
        arena = {f"{arena_symbol}.c": emit_arena(arena_symbol, size, prefixes)}
    return _write(models, deploy, out, arena, report)


def _write(models, deploy: Path, out: Path, more: dict[str, str], report: dict) -> list[Path]:
    """more: further C files by name."""
    shared = sorted({source for model in models for source in model.sources})
    generated = {f"{model.prefix}.c": model.source for model in models} | more
    headers = {f"{model.prefix}.h": model.header for model in models}
    with atomic_folder(out, "sources.txt") as work:
        for name, text in {**generated, **headers}.items():
            (work / name).write_text(text)
        for source in (*shared, *_private_headers(shared, deploy)):
            target = work / "trecx" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(deploy / source, target)
        shutil.copytree(deploy / "include" / "trecx", work / "include" / "trecx")
        (work / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        names = [*generated, *(f"trecx/{source}" for source in shared)]
        (work / "sources.txt").write_text("\n".join(names) + "\n")
    return [out / name for name in names]


def _private_headers(sources: Sequence[str], deploy: Path) -> list[str]:
    """Headers that lie beside the sources, for the kernels of one family alone."""
    folders = sorted({Path(source).parent for source in sources})
    return [str(folder / h.name) for folder in folders for h in (deploy / folder).glob("*.h")]


def _exit_report(segment: int, graph: Graph, decision: ExitDecision) -> dict:
    return {
        "segment": segment,
        "function": decision.call.function if decision.call else None,
        "reads": decision.reads.label if decision.reads else None,
        "only_when_taken": [op.kind for op in graph.operators if id(op) in decision.answer],
        "reads_the_output_because": decision.fallback,
    }


def _operator_report(segment: int, low: Lowered) -> dict:
    return {
        "segment": segment,
        "index": low.operator.index,
        "kind": low.operator.kind,
        "output": low.operator.output.label,
        "shape": list(low.operator.output.shape),
        "isa": low.chosen.isa.value,
        "scheme": low.chosen.scheme,
        "estimated_instructions": low.chosen.instructions,
        "flash_bytes": low.chosen.flash_bytes,
        "scratch_bytes": max((s.scratch_bytes for s in low.steps), default=0),
        "alternatives": [
            {
                "isa": c.isa.value,
                "scheme": c.scheme,
                "estimated_instructions": c.instructions if c.steps is not None else None,
                "flash_bytes": c.flash_bytes if c.steps is not None else None,
                "rejected": c.rejected,
            }
            for c in low.candidates
            if c is not low.chosen
        ],
    }
