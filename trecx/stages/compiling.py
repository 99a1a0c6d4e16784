"""Compile a bundle or a .tflite file to a folder of C for one board's kernels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trecx.codegen.compiler import CompiledModel, compile_chain, write_library
from trecx.codegen.emitter import c_identifier
from trecx.codegen.lowering import Isa, LoweringOptions, Optimize
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
            ("arena", f"{count(plan.arena_bytes)} bytes (lower bound {count(plan.lower_bound)})"),
            *(
                (f"hand-off at exit {k + 1}", f"{count(size)} bytes")
                for k, size in enumerate(plan.handoff_bytes)
            ),
        )
        return Document(
            f"{model.prefix} for {self.target}, --optimize {model.options.optimize.value}",
            (Table(columns, rows, frozenset({3, 4})), Facts(facts)),
        )


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
    calls = tuple(
        policy.device_call(graph.outputs[0].size)
        for policy, graph in zip(chain.policies, chain.graphs, strict=False)
    )
    return compile_chain(
        chain.graphs,
        prefix or c_identifier(chain.name),
        digest=chain.digest,
        options=options,
        policies=calls,
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
