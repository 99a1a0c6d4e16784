"""Instructions of every layer of the MLPerf Tiny topologies on an emulated Cortex-M4 or M55.

    python -m benchmarks.kernels [ic kws vww ad] [--isa dsp|mve] [--optimize balanced|speed] [--all]

Weights and activations are random. For every layer, the chosen kernel (--all: each one that is
possible) is run against the interpreter and its instructions are counted. What is printed beside
the count: the compiler's estimate, multiply-accumulates, how many of them an instruction does,
bytes of constants, scratch bytes and the overlap gap.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from benchmarks.reference_models import MODELS
from tests.support import random_ops
from tests.support.kernel_harness import CORTEX_M4, CORTEX_M55, operator_case, run_cases
from trecx.codegen.lowering import Candidate, Isa, LoweringOptions, Optimize, candidates
from trecx.codegen.select import lower_chain
from trecx.codegen.views import find_views
from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import macs

CORES = {Isa.DSP: CORTEX_M4, Isa.MVE: CORTEX_M55}
SHORT_NAMES = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "dense",
    "AVERAGE_POOL_2D": "pool",
}


@dataclass
class Measured:
    name: str
    graph: Graph
    candidate: Candidate
    instructions: int
    correct: bool


def layers(network: str) -> list[tuple[str, Graph]]:
    """Each operator of a reference topology as a graph of its own, with a short name."""
    found = []
    for number, op in enumerate(MODELS[network]().operators):
        if op.kind != "RESHAPE":
            name = f"{number:2d} {SHORT_NAMES.get(op.kind, op.kind.lower())}"
            if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                name += f" {op.inputs[1].shape[1]}x{op.inputs[1].shape[2]}/{op.attrs.stride[0]}"
            found.append((name, Graph(name, op.activation_inputs, [op.output], [op])))
    return found


def chosen_candidates(graph: Graph, isa: Isa, optimize: Optimize, every: bool) -> list[Candidate]:
    """What the compiler chooses for the only operator of a graph, or every possible scheme."""
    if every:
        return [c for c in candidates(graph.operators[0], isa) if c.steps]
    [[lowered]] = lower_chain([graph], [find_views(graph)], LoweringOptions(isa, optimize))
    return [lowered.chosen]


def measure(
    named: list[tuple[str, Graph]], isa: Isa, optimize: Optimize, every: bool
) -> list[Measured]:
    """Run each layer with its chosen candidate, or with every possible one."""
    found, cases = [], []
    random = np.random.default_rng(1)
    for name, graph in named:
        op = graph.operators[0]
        data = random_ops.random_inputs(graph, random, samples=1)
        want = run_graph(graph, data)[0]
        full = [d.reshape(len(d), *t.shape) for d, t in zip(data, graph.inputs, strict=True)]
        for candidate in chosen_candidates(graph, isa, optimize, every):
            cases.append(operator_case(op, candidate.steps, full))
            found.append((name, graph, candidate, want))
    results = run_cases(cases, CORES[isa])
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
    parser.add_argument("--isa", default="dsp", choices=[isa.value for isa in CORES])
    parser.add_argument("--optimize", default="balanced", choices=[o.value for o in Optimize])
    parser.add_argument("--all", action="store_true", help="every possible kernel of each layer")
    args = parser.parse_args()
    for name in args.networks:
        rows = measure(layers(name), Isa(args.isa), Optimize(args.optimize), args.all)
        print_table(f"{name}, {args.isa}, {args.optimize}", rows)
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
