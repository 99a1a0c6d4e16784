"""Run a Helium scheme on random one-operator graphs and compare it with the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.support.kernel_harness import (
    CORTEX_M55,
    KernelCase,
    operator_case,
    overlap_cases,
    run_cases,
)
from tests.support.random_ops import random_inputs
from trecx.codegen.lowering import KernelChoice
from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph


def check_scheme(
    choice: KernelChoice, graphs: Sequence[Graph], rng: np.random.Generator, samples: int = 5
) -> None:
    """Every graph's operator by `choice`, with separate buffers and in every declared overlap.

    All cases go into one program. Each overlap is run at its smallest distance and 48 bytes
    further: a gap promises every distance from it on.
    """
    cases, expected = [], []
    for graph in graphs:
        op = graph.operators[0]
        assert choice.reason_against(op) is None, choice.reason_against(op)
        data = random_inputs(graph, rng, samples)
        separate = operator_case(op, choice.lower(op), data)
        near = overlap_cases(separate)
        far = [
            KernelCase(c.steps, c.inputs, c.output, c.data, (c.overlap[0], c.overlap[1] + 48))
            for c in near
        ]
        result = run_graph(graph, data)[0]
        for case in (separate, *near, *far):
            cases.append(case)
            expected.append((op, result))
    results = run_cases(cases, CORTEX_M55)
    for case, result, (op, wanted) in zip(cases, results, expected, strict=True):
        np.testing.assert_array_equal(
            result.output.reshape(wanted.shape),
            wanted,
            f"{choice.scheme}: {op.kind} {op.inputs[0].shape} -> {op.output.shape}, "
            f"{op.attrs}, overlap {case.overlap}",
        )
