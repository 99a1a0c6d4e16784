"""Instructions of every layer of the MLPerf Tiny topologies on an emulated Cortex-M55.

    python -m benchmarks.kernels_mve [ic kws vww ad] [--optimize balanced|speed] [--all]

As benchmarks.kernels_dsp, with Helium; ratios are multiply-accumulates an instruction.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.kernels_dsp import Measured, layers
from benchmarks.reference_models import MODELS
from tests.support import random_ops
from tests.support.kernel_harness import CORTEX_M55, operator_case, run_cases
from trecx.codegen.lowering import Candidate, Isa, LoweringOptions, Optimize, candidates
from trecx.codegen.select import lower_chain
from trecx.codegen.views import find_views
from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import macs


def chosen_candidates(graph: Graph, optimize: Optimize, every: bool) -> list[Candidate]:
    """What the compiler chooses for the only operator of a graph, or every possible scheme."""
    if every:
        return [c for c in candidates(graph.operators[0], Isa.MVE) if c.steps]
    options = LoweringOptions(Isa.MVE, optimize)
    [[lowered]] = lower_chain([graph], [find_views(graph)], options)
    return [lowered.chosen]


def measure(named: list[tuple[str, Graph]], optimize: Optimize, every: bool) -> list[Measured]:
    """Run each layer with its chosen candidate, or with every possible one."""
    found, cases = [], []
    random = np.random.default_rng(1)
    for name, graph in named:
        op = graph.operators[0]
        data = random_ops.random_inputs(graph, random, samples=1)
        want = run_graph(graph, data)[0]
        full = [d.reshape(len(d), *t.shape) for d, t in zip(data, graph.inputs, strict=True)]
        for candidate in chosen_candidates(graph, optimize, every):
            cases.append(operator_case(op, candidate.steps, full))
            found.append((name, graph, candidate, want))
    results = run_cases(cases, CORTEX_M55)
    return [
        Measured(n, g, c, r.instructions, np.array_equal(r.output.ravel(), np.ravel(want)))
        for (n, g, c, want), r in zip(found, results, strict=True)
    ]


def print_table(title: str, rows: list[Measured]) -> None:
    print(f"\n{title}")
    head = f"{'layer':18} {'output':12} {'scheme':24} {'MACs':>10} {'instr.':>10} {'MAC/i':>6}"
    print(f"{head} {'est.':>6} {'flash':>7} {'scratch':>7} {'gap':>6}")
    for row in rows:
        op, step = row.graph.operators[0], row.candidate.steps[0]
        count = macs(op)
        ratio = f"{count / max(row.instructions, 1):6.2f}" if count else "      "
        error = f"{row.candidate.instructions / max(row.instructions, 1) - 1:+6.1%}"
        shape = "x".join(map(str, op.output.shape[1:]))
        print(
            f"{row.name:18} {shape:12} {row.candidate.scheme:24.24} {count:>10,} "
            f"{row.instructions:>10,} {ratio} {error} {row.candidate.flash_bytes:>7,} "
            f"{step.scratch_bytes:>7,} {step.overlap.get(0, '-'):>6}"
            + ("" if row.correct else "  WRONG")
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=list(MODELS), help="ic kws vww ad")
    parser.add_argument("--optimize", default="balanced", choices=[o.value for o in Optimize])
    parser.add_argument("--all", action="store_true", help="every possible kernel of each layer")
    args = parser.parse_args()
    for name in args.networks:
        rows = measure(layers(name), Optimize(args.optimize), args.all)
        print_table(f"{name}, {args.optimize}", rows)
        if not args.all:
            total = sum(r.instructions for r in rows)
            work = sum(macs(r.graph.operators[0]) for r in rows)
            flash = sum(r.candidate.flash_bytes for r in rows)
            print(
                f"total {total:,} instructions, {work:,} MACs, {work / total:.2f} MACs an "
                f"instruction, {flash:,} bytes of constants"
            )


if __name__ == "__main__":
    main()
