"""Every reference kernel equals the interpreter: on the host under sanitizers, and on a Cortex-M4.

Each case runs with separate buffers and again in every overlap that its lowering declares.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.support.kernel_harness import (
    CORTEX_M4,
    CORTEX_M55,
    HOST_SANITIZED,
    KernelCase,
    KernelRunError,
    operator_case,
    overlap_cases,
    run_cases,
)
from tests.support.random_ops import (
    activation_tensor,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    one_operator,
    random_graph,
    random_inputs,
    random_quant,
)
from trecx.codegen.lowering import Isa, candidates
from trecx.ir.graph import DType, QuantParams, Tensor
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import SUPPORTED_KINDS, Activation, Padding, ReduceAttrs, SoftmaxAttrs

# RESHAPE has no kernel: input and output share one buffer.
KINDS = tuple(k for k in SUPPORTED_KINDS if k != "RESHAPE")
GRAPHS = 24
PLATFORMS = (HOST_SANITIZED, CORTEX_M4, CORTEX_M55)


@dataclass(eq=False)
class Comparison:
    """A case, what it must give, and how to name it in a failure."""

    kind: str
    case: KernelCase
    expected: np.ndarray
    label: str


def comparisons(graph, rng, samples=5) -> list[Comparison]:
    """The graph's only operator under every reference scheme and every overlap."""
    op = graph.operators[0]
    inputs = random_inputs(graph, rng, samples)
    expected = run_graph(graph, inputs)[0].reshape(samples, *op.output.shape)
    found = []
    for candidate in candidates(op, Isa.REF):
        if candidate.steps is None:
            continue
        case = operator_case(op, candidate.steps, inputs)
        for variant in (case, *overlap_cases(case)):
            label = f"{candidate.scheme}, overlap {variant.overlap}: {op.attrs} {op.inputs}"
            found.append(Comparison(op.kind, variant, expected, label))
    assert found, f"no kernel for {op}"
    return found


def corner_graphs(rng):
    """Shapes that random choices seldom reach."""
    # Explicit padding, as folding a PAD makes it; wider than the kernel on one side.
    yield conv_2d(rng, (1, 5, 6, 3), 4, (3, 3), padding=Padding(3, 1, 0, 4))
    yield depthwise_conv_2d(rng, (1, 5, 6, 3), (3, 3), padding=Padding(0, 4, 5, 1), stride=(2, 1))
    # A window that sees nothing but padding.
    yield conv_2d(rng, (1, 2, 2, 2), 3, (1, 1), padding=Padding(2, 2, 2, 2), bias=True)
    # The reference models' first layers and dense layers.
    yield conv_2d(rng, (1, 49, 10, 1), 8, (10, 4), stride=(2, 2), activation=Activation.RELU)
    yield conv_2d(rng, (1, 16, 16, 3), 8, (3, 3), stride=(2, 2), activation=Activation.RELU6)
    yield depthwise_conv_2d(rng, (1, 12, 12, 8), (3, 3), activation=Activation.RELU)
    yield fully_connected(rng, 640, 128, activation=Activation.RELU)
    yield fully_connected(rng, 3000, 2, hard=True)
    # A whole image at a time.
    yield conv_2d(rng, (1, 8, 8, 4), 2, (8, 8), padding="VALID", hard=True)
    # Five dimensions, reduced in alternation.
    x = activation_tensor(rng, (1, 3, 4, 2, 5))
    y = activation_tensor(rng, (1, 4, 5), "output")
    yield one_operator("MEAN", [x], y, ReduceAttrs((1, 3)))
    # Probabilities: one value; more of them than a 31-bit shift can tell apart; one-hot.
    for depth, scale in ((1, 0.1), (1200, 1e-4), (12, 3.0)):
        x = activation_tensor(rng, (1, 2, depth), quant=random_quant(rng, scale))
        y = Tensor("output", x.shape, DType.INT8, QuantParams.per_tensor(1 / 256, -128))
        yield one_operator("SOFTMAX", [x], y, SoftmaxAttrs())


@pytest.fixture(scope="module")
def all_comparisons():
    rng = np.random.default_rng(2024)
    found = []
    for kind in KINDS:
        for number in range(GRAPHS):
            found += comparisons(random_graph(kind, rng, hard=number % 3 == 2), rng)
    for graph in corner_graphs(rng):
        found += comparisons(graph, rng)
    return found


@pytest.fixture(scope="module")
def results(all_comparisons):
    """Outputs by platform; one program and one run for each."""
    cases = [c.case for c in all_comparisons]
    return {platform.name: run_cases(cases, platform) for platform in PLATFORMS}


@pytest.mark.parametrize("platform", [p.name for p in PLATFORMS])
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_equals_interpreter(kind, platform, all_comparisons, results):
    checked = 0
    for comparison, result in zip(all_comparisons, results[platform], strict=True):
        if comparison.kind == kind:
            assert np.array_equal(result.output, comparison.expected), comparison.label
            checked += 1
    assert checked >= GRAPHS


def test_instructions_are_counted_and_estimates_are_near(all_comparisons, results):
    """The estimates rank kernels, so they need the right order of magnitude on large layers."""
    for comparison, result in zip(all_comparisons, results[CORTEX_M4.name], strict=True):
        estimate = sum(s.instructions for s in comparison.case.steps)
        if comparison.case.overlap is None and result.instructions > 5000:
            assert 0.5 < estimate / result.instructions < 2, comparison.label


def test_harness_notices_a_kernel_that_writes_too_far():
    rng = np.random.default_rng(0)
    graph = random_graph("RELU", rng)
    op = graph.operators[0]
    (step,) = candidates(op, Isa.REF)[0].steps
    step.params["count"] += 1
    case = operator_case(op, [step], random_inputs(graph, rng))
    with pytest.raises(KernelRunError, match="heap-buffer-overflow"):
        run_cases([case], HOST_SANITIZED)
    with pytest.raises(KernelRunError, match="wrote behind a buffer"):
        run_cases([case], CORTEX_M4)
