"""Compile bundles or .tflite files to a folder of C for one board's kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trecx.codegen.compiler import (
    CompiledModel,
    compile_chain,
    write_libraries,
    write_library,
)
from trecx.codegen.decision import ExitDecision
from trecx.codegen.emitter import c_identifier
from trecx.codegen.lowering import Isa, LoweringOptions, Optimize
from trecx.ir.graph import Graph
from trecx.reports.document import Document, Facts, Table, count, kib
from trecx.stages.chain import Chain, load_chain
from trecx.targets.boards import load_board
from trecx.targets.deploy_path import deploy_path


@dataclass(frozen=True, eq=False)
class CompileSummary:
    """What was written where, for the terminal and JSON."""

    model: CompiledModel
    target: str
    out: str

    def to_json(self) -> dict:
        return {"target": self.target, "out": self.out} | self.model.report()

    def document(self) -> Document:
        model, plan = self.model, self.model.plan
        rows = tuple(
            (
                str(k),
                low.operator.kind,
                f"{low.chosen.isa.value}: {low.chosen.scheme}",
                count(low.chosen.instructions),
                count(low.chosen.flash_bytes),
            )
            for k, segment in enumerate(model.program.lowered)
            for low in segment
        )
        columns = ("segment", "operator", "kernel", "instructions (estimated)", "constants")
        facts = (
            ("C files", self.out),
            ("constants in flash", kib(model.weight_bytes)),
            *_widened(model),
            ("arena", f"{count(plan.arena_bytes)} bytes (lower bound {count(plan.lower_bound)})"),
            *(
                (f"hand-off at exit {k + 1}", f"{count(size)} bytes")
                for k, size in enumerate(plan.handoff_bytes)
            ),
            *(
                (f"decision of exit {k + 1}", _decision(graph, decision))
                for k, (graph, decision) in enumerate(
                    zip(model.program.graphs, model.info.decisions, strict=False)
                )
            ),
            *_fallbacks(model),
        )
        return Document(
            f"{model.prefix} for {self.target}, --optimize {model.options.optimize.value}",
            (Table(columns, rows, frozenset({3, 4})), Facts(facts)),
        )


def _widened(model: CompiledModel) -> list[tuple[str, str]]:
    """What widened or transformed weights cost in flash, and what they save."""
    flash = instructions = 0
    for low in (low for segment in model.program.lowered for low in segment):
        narrow = [c for c in low.candidates if c.steps is not None and not c.widened]
        if low.chosen.widened and narrow:
            instead = min(narrow, key=lambda c: c.instructions)
            flash += low.chosen.flash_bytes - instead.flash_bytes
            instructions += instead.instructions - low.chosen.instructions
    if not flash:
        return []
    return [("of them for speed", f"{kib(flash)}, for {count(instructions)} fewer instructions")]


def _fallbacks(model: CompiledModel) -> list[tuple[str, str]]:
    """A line for each operator that no kernel of the target's family takes, with the reasons."""
    isa, rows = model.options.isa, []
    for low in (low for segment in model.program.lowered for low in segment):
        own = [c for c in low.candidates if c.isa is isa]
        if low.chosen.isa is isa or any(c.steps is not None for c in own):
            continue
        reasons = "; ".join(f"{c.scheme}: {c.rejected}" for c in own) or "no other for it"
        operator = f"{low.operator.kind} {low.operator.output.label}"
        rows.append(("reference kernel", f"{operator} ({reasons})"))
    return rows


def _decision(graph: Graph, decision: ExitDecision) -> str:
    if decision.reads is None:
        return "none: always go on"
    if decision.fallback is not None:
        return f"on the exit's output: {decision.fallback}"
    later = ", ".join(op.kind for op in graph.operators if id(op) in decision.answer)
    return f"on {decision.reads.label}; only where it is taken: {later}"


@dataclass(frozen=True, eq=False)
class LibrarySummary:
    """As CompileSummary, of several models in one library."""

    models: tuple[CompiledModel, ...]
    target: str
    out: str
    shared_arena: str | None

    def to_json(self) -> dict:
        return {
            "target": self.target,
            "out": self.out,
            "shared_arena": self.shared_arena,
            "arena_bytes": self.arena_bytes,
            "models": [model.report() for model in self.models],
        }

    @property
    def arena_bytes(self) -> int:
        """Of all models together."""
        sizes = [model.plan.arena_bytes for model in self.models]
        return max(sizes) if self.shared_arena else sum(sizes)

    def document(self) -> Document:
        rows = tuple(
            (m.prefix, kib(m.weight_bytes), count(m.plan.arena_bytes)) for m in self.models
        )
        table = Table(("model", "constants", "arena bytes"), rows, frozenset({1, 2}))
        kind = f"shared: {self.shared_arena}" if self.shared_arena else "one each"
        facts = Facts(
            (("C files", self.out), (f"arena, {kind}", f"{count(self.arena_bytes)} bytes"))
        )
        return Document(f"{len(self.models)} models for {self.target}", (table, facts))


def compile_for(
    chain: Chain,
    target: str,
    *,
    optimize: str = "balanced",
    prefix: str | None = None,
    flash_budget: int | None = None,
    arena_symbol: str | None = None,
) -> CompiledModel:
    """Compile a loaded chain for a board's instruction set; see `trecx.codegen.compile_chain`."""
    board = load_board(target)
    options = LoweringOptions(Isa(board.isa), Optimize(optimize), flash_budget)
    return compile_chain(
        chain.graphs,
        prefix or c_identifier(chain.name),
        digest=chain.digest,
        options=options,
        policies=chain.policies,
        arena_symbol=arena_symbol,
    )


def require_fit(model: CompiledModel, target: str) -> None:
    """CapacityError when the constants and the arena alone do not fit the board."""
    load_board(target).check_capacity(
        flash_bytes=model.weight_bytes, ram_bytes=model.plan.arena_bytes
    )


def compile_to(path: Path, target: str, out: Path, **options) -> CompiledModel:
    """`trecx compile`: read, compile, write the library to `out`."""
    model = compile_for(load_chain(path), target, **options)
    require_fit(model, target)
    write_library(model, deploy_path(), out)
    return model


def compile_together(
    paths: Sequence[tuple[str | None, Path]],
    target: str,
    out: Path,
    *,
    shared_arena: str | None = None,
    **options,
) -> list[CompiledModel]:
    """Compile several bundles or .tflite files into one library.

    paths: (C prefix or None for the task's name, path). shared_arena: name of an arena that the
    models share, taking turns. Raises CapacityError when they do not fit the board together.
    """
    models = [
        compile_for(load_chain(path), target, prefix=prefix, arena_symbol=shared_arena, **options)
        for prefix, path in paths
    ]
    together = LibrarySummary(tuple(models), target, str(out), shared_arena)
    load_board(target).check_capacity(
        flash_bytes=sum(model.weight_bytes for model in models), ram_bytes=together.arena_bytes
    )
    write_libraries(models, deploy_path(), out, shared_arena)
    return models
