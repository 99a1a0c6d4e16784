"""The DSP kernels are bit-equal to the interpreter, alone and in the overlaps they declare.

Every registered DSP scheme runs on every random operator that it accepts: on the emulated
Cortex-M4, M7 and M33, and as plain C on the host under sanitizers. The harness fails a case that
writes outside its buffers.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import trecx.codegen.kernels  # noqa: F401  (fills the registry)
from tests.support.kernel_harness import (
    CORTEX_M4,
    CORTEX_M7,
    HOST_SANITIZED,
    Platform,
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
)
from trecx.codegen.lowering import REGISTRY, Isa, candidates
from trecx.ir.graph import QuantParams
from trecx.ir.interpreter import run_graph
from trecx.ir.ops import Activation, Padding, SoftmaxAttrs

CORTEX_M33 = Platform(
    "cortex-m33",
    "arm-none-eabi-gcc",
    ("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16", *CORTEX_M4.flags[3:]),
    "mps2-an505",
    code=(0x10000000, 4 << 20),
    ram=(0x38000000, 4 << 20),
    picoseconds_per_tick=50_000,
)
RANDOM_GRAPHS = 40  # of each kind; every fourth with extreme weights and biases

SCHEMES = [choice for choice in REGISTRY if choice.isa is Isa.DSP]


def chosen_shapes(rng):
    """Shapes of the real networks in small, and edges that random ones seldom meet."""
    relu, none, relu6 = Activation.RELU, Activation.NONE, Activation.RELU6
    yield conv_2d(rng, (1, 6, 8, 16), 16, (3, 3), activation=relu)
    yield conv_2d(rng, (1, 5, 7, 16), 32, (3, 3), stride=(2, 2), activation=none)
    yield conv_2d(rng, (1, 8, 8, 3), 8, (3, 3), stride=(2, 2), activation=relu)
    yield conv_2d(rng, (1, 13, 10, 1), 8, (10, 4), stride=(2, 2), activation=relu6)
    yield conv_2d(rng, (1, 6, 6, 8), 4, (1, 1), stride=(2, 2), activation=none)
    yield conv_2d(rng, (1, 7, 5, 5), 7, (3, 3), padding=Padding(2, 1, 0, 3), activation=relu)
    yield conv_2d(rng, (1, 9, 1, 4), 2, (2, 1), stride=(3, 1), padding="VALID")
    yield conv_2d(rng, (1, 8, 7, 1), 4, (10, 4), stride=(2, 2), activation=relu)
    yield conv_2d(rng, (1, 5, 6, 4), 6, (2, 2), stride=(1, 2), activation=none)
    for pixels, channels, filters in ((9, 64, 8), (7, 8, 4), (3, 72, 8), (1, 128, 4), (6, 16, 12)):
        yield conv_2d(rng, (1, 1, pixels, channels), filters, (1, 1), activation=relu)
    for size in ((6, 6), (13, 5), (7, 12), (9, 13), (3, 3), (1, 2)):
        for channels in (4, 7, 16):
            for stride in (1, 2):
                activation = (relu, none, relu6)[(size[0] + channels) % 3]
                yield depthwise_conv_2d(
                    rng, (1, *size, channels), (3, 3), stride=(stride, stride),
                    activation=activation,
                )  # fmt: skip
    yield depthwise_conv_2d(rng, (1, 6, 6, 8), (2, 2), stride=(2, 2), activation=relu)
    yield depthwise_conv_2d(rng, (1, 6, 9, 8), (3, 3), padding=Padding(2, 3, 2, 1))
    yield depthwise_conv_2d(rng, (1, 6, 9, 8), (3, 3), padding=Padding(4, 0, 3, 1))
    for size, channels, out_channels in (
        ((4, 4), 4, 2), ((8, 8), 16, 16), ((4, 12), 8, 6), ((8, 16), 64, 4), ((12, 8), 20, 2),
    ):  # fmt: skip
        for padding in ("SAME", Padding(2, 0, 0, 2)):
            activation = relu if padding == "SAME" else none
            yield conv_2d(
                rng, (1, *size, channels), out_channels, (3, 3), padding=padding,
                activation=activation,
            )  # fmt: skip
    for size, channels, out_channels, width in (
        ((8, 8), 16, 16, 3), ((7, 12), 4, 2, 3), ((4, 3), 64, 6, 1), ((12, 8), 24, 4, 2),
        ((3, 8), 32, 4, 3), ((16, 4), 4, 8, 1),
    ):  # fmt: skip
        for activation in (relu, none):
            kernel, stride = (3, width), (2, 1 + channels // 16 % 2)
            yield conv_2d(
                rng, (1, *size, channels), out_channels, kernel, stride=stride,
                activation=activation,
            )  # fmt: skip
    for _ in range(6):
        x = activation_tensor(rng, (1, 2))
        y = activation_tensor(rng, (1, 2), "output", QuantParams.per_tensor(1 / 256, -128))
        yield one_operator("SOFTMAX", [x], y, SoftmaxAttrs())
    shapes = ((640, 7), (301, 4), (128, 9), (97, 13), (1004, 1), (252, 6), (1031, 2), (8, 130))
    for inputs, units in (*shapes, *((n, m) for n in (128, 252, 260, 640) for m in (17, 24))):
        for per_channel in (True, False):
            activation = relu if units % 2 else none
            yield fully_connected(
                rng, inputs, units, rows=1 + units % 2, activation=activation,
                per_channel=per_channel,
            )  # fmt: skip
    for size, channels in (((1, 2), 2), ((3, 4), 4), ((5, 6), 16), ((4, 4), 6)):
        yield conv_2d(rng, (1, *size, 8), channels, (1, 1), activation=relu)
    for pixels in (1, 2, 3, 4, 5, 7):
        for channels, out_channels in ((4, 4), (8, 3), (20, 9), (64, 16), (12, 24)):
            activation = (relu, none, relu6)[(pixels + channels) % 3]
            shape = (1, 1, pixels, channels)
            yield conv_2d(rng, shape, out_channels, (1, 1), activation=activation)


def switched_off(rng):
    """Layers like those of trained networks, some of whose channels hardly depend on the input.

    Their weights have scales near zero; the bias is as large as ever, so as an integer it is huge,
    up to TFLite's limit, or it lies where the output changes just once over all inputs.
    """
    makers = (
        lambda act: conv_2d(rng, (1, 4, 4, 8), 12, (3, 3), activation=act),
        lambda act: conv_2d(rng, (1, 8, 4, 8), 12, (3, 3), stride=(2, 2), activation=act),
        lambda act: conv_2d(rng, (1, 3, 4, 8), 12, (1, 1), activation=act),
        lambda act: conv_2d(rng, (1, 3, 4, 16), 12, (1, 1), activation=act),
        lambda act: depthwise_conv_2d(rng, (1, 5, 7, 12), (3, 3), activation=act),
    )
    for maker in makers:
        for activation in (Activation.RELU, Activation.NONE, Activation.RELU6):
            for factor in (1e-2, 1e-4, 1e-6, 1e-12):
                graph = maker(activation)
                _switch_off(rng, graph.operators[0], factor)
                yield graph


def _switch_off(rng, op, factor):
    weights, bias = op.inputs[1:]
    if weights.quant.is_per_tensor:
        return
    off = rng.random(weights.quant.scale.size) < 0.5
    weights.quant.scale[off] *= np.float32(factor)
    sums = bias.data.astype(np.float64) / np.where(off, factor, 1)
    steps = op.output.scale / (op.inputs[0].scale * weights.quant.scale.astype(np.float64))
    # Half of them where the output is about to change.
    edge = off & (rng.random(off.size) < 0.5)
    sums = np.where(edge, np.floor(rng.integers(-20, 60, off.size) + 0.5) * steps, sums)
    bias.data[:] = np.clip(sums, -(2**30), 2**30).astype(np.int32)


def farther_overlaps(case):
    """The declared overlaps at the smallest distance, and some bytes farther apart."""
    for variant in overlap_cases(case):
        position, gap = variant.overlap
        yield variant
        for more in (16, 48):
            yield replace(variant, overlap=(position, gap + more))


@pytest.fixture(scope="module")
def operators():
    """(graph, inputs, expected output) of all operators."""
    rng = np.random.default_rng(20)
    kinds = sorted({kind for choice in SCHEMES for kind in choice.kinds})
    graphs = [random_graph(k, rng, hard=i % 4 == 3) for k in kinds for i in range(RANDOM_GRAPHS)]
    graphs += [*chosen_shapes(rng), *switched_off(rng)]
    found = []
    for graph in graphs:
        data = random_inputs(graph, rng, samples=4)
        found.append((graph, data, run_graph(graph, data)[0]))
    return found


@pytest.fixture(scope="module")
def cases(operators):
    """(case, expected output, label, scheme) of every operator, possible scheme and overlap."""
    found = []
    for graph, data, expected in operators:
        op = graph.operators[0]
        full = [d.reshape(len(d), *t.shape) for d, t in zip(data, graph.inputs, strict=True)]
        for candidate in candidates(op, Isa.DSP):
            if candidate.isa is Isa.DSP and candidate.steps is not None:
                case = operator_case(op, candidate.steps, full)
                label = f"{candidate.scheme}, {op.kind} {op.attrs} on {op.inputs[0].shape}"
                for variant in [case, *farther_overlaps(case)]:
                    found.append((variant, expected, label, candidate.scheme))
    return found


@pytest.mark.parametrize(
    "platform", [CORTEX_M4, CORTEX_M7, CORTEX_M33, HOST_SANITIZED], ids=lambda p: p.name
)
def test_equal_to_the_interpreter(cases, platform):
    results = run_cases([case for case, *_ in cases], platform)
    wrong = [
        f"{label}, overlap {case.overlap}"
        for (case, expected, label, _), result in zip(cases, results, strict=True)
        if not np.array_equal(result.output.reshape(expected.shape), expected)
    ]
    assert not wrong


def test_every_scheme_was_exercised(cases):
    count = Counter(scheme for *_, scheme in cases)
    assert {c.scheme for c in SCHEMES if count[c.scheme] < 8} == set()
