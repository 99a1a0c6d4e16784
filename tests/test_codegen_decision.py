"""Exit decisions before the output: on every logits vector what the policy says of the output."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.graph_builder import GraphBuilder
from tests.support.patterns import int8_patterns
from trecx.codegen.compiler import compile_chain, write_library
from trecx.codegen.decision import MOST_CLASSES, ON_DIFFERENCE, ON_SUM, find_decision
from trecx.codegen.lowering import Isa, LoweringOptions
from trecx.errors import InputError
from trecx.ir.graph import Graph, QuantParams
from trecx.ir.interpreter import run_graph
from trecx.ir.interpreter.softmax import softmax
from trecx.policies import (
    NEVER,
    Confidence,
    Entropy,
    Margin,
    TableSum,
    TopClassThresholds,
    predicted_class,
)
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.deploy_path import deploy_path

SUPPORT = Path(__file__).parent / "support"
INT8 = np.arange(-128, 128, dtype=np.int8)
PAIRS = np.stack(np.meshgrid(INT8, INT8, indexing="ij"), axis=-1).reshape(-1, 2)
# From logits that hardly differ in probability to one that decides by a single step.
SCALES = (0.002, 0.02, 0.11, 0.6, 8.0)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    out = tmp_path_factory.mktemp("c") / "runner.so"
    command = ["gcc", "-std=c99", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    runtime = [deploy_path() / "runtime" / name for name in ("exit_policy.c", "exit_logits.c")]
    sources = [SUPPORT / "exit_logits_runner.c", *runtime]
    subprocess.run([*command, f"-I{deploy_path() / 'include'}", *sources, "-o", out], check=True)
    return ctypes.CDLL(str(out))


def head(classes: int, scale: float, beta: float = 1.0) -> Graph:
    """Logits to softmax, with the logits handed on."""
    b = GraphBuilder()
    logits = b.input((1, classes), QuantParams.per_tensor(scale, 5))
    return b.graph(b.softmax(logits, beta), logits)


def stops_in_c(library, call, logits: np.ndarray) -> np.ndarray:
    """What the C call of a decision says of logits, int8 (N, classes)."""
    logits = np.ascontiguousarray(logits)
    count, classes = logits.shape
    stops = np.zeros(count, np.uint8)
    arrays = [np.array(values, np.int32) for _, values in call.arrays.values()]
    scalars = [ctypes.c_int32(value) for value in call.scalars]
    tables = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
    function, shape = {
        ON_SUM: (library.softmax_sum_stops, (count, classes)),
        ON_DIFFERENCE: (library.difference_stops, (count,)),
    }[call.function]
    sizes = [ctypes.c_uint32(size) for size in shape]
    ends = [a.ctypes.data_as(ctypes.c_void_p) for a in (logits, stops)]
    function(ends[0], *sizes, *tables, *scalars, ends[1])
    return stops.astype(bool)


def check_exact(library, graph: Graph, policies, logits: np.ndarray) -> None:
    """The decisions on logits are the policies' on their softmax."""
    probabilities = softmax(graph.operators[0], logits)
    for policy in policies:
        decision = find_decision(graph, policy)
        assert decision.fallback is None and decision.reads is graph.inputs[0]
        stops = stops_in_c(library, decision.call, logits)
        assert np.array_equal(stops, policy.decide(probabilities)), policy


def vectors(classes: int, scale: float, seed: int = 0) -> np.ndarray:
    """int8 logits: noise, every top value over random others, close races, ties, extremes."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(-128, 128, (2000, classes))
    topped = np.minimum(rng.integers(-128, 128, (1024, classes)), np.tile(INT8, 4)[:, None])
    topped[np.arange(1024), rng.integers(0, classes, 1024)] = np.tile(INT8, 4)
    # Others so far below the top that together they weigh about as much as it.
    distance = np.log(max(classes - 1, 1)) / scale + rng.normal(0, 1 / scale, (4000, classes))
    races = 127 - np.clip(np.abs(distance), 0, 255).astype(int)
    races[np.arange(4000), rng.integers(0, classes, 4000)] = 127
    ties = races[:1000].copy()
    ties[np.arange(1000), rng.integers(0, classes, 1000)] = rng.integers(125, 128, 1000)
    extremes = np.concatenate(
        [np.full((3, classes), [[-128], [0], [127]]), np.eye(classes) * 255 - 128]
    )
    return np.concatenate([noise, topped, races, ties, extremes]).astype(np.int8)


def test_the_largest_probability_never_rises_with_the_sum(library):
    """Of every sum that MOST_CLASSES exponentials can have: what the limits rest on."""
    library.first_rising_scale.restype = ctypes.c_uint32
    assert library.first_rising_scale(ctypes.c_uint32(MOST_CLASSES << 19)) == 0


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("classes", [1, 3, 10, 12, 35, MOST_CLASSES])
def test_one_threshold_is_exact(library, classes, scale):
    graph, logits = head(classes, scale), vectors(classes, scale)
    thresholds = (-128, -127, -100, -50, 0, 1, 2, 40, 100, 126, 127, NEVER)
    check_exact(library, graph, (TopClassThresholds((t,) * classes) for t in thresholds), logits)


@pytest.mark.parametrize("scale", SCALES[:4])
def test_every_threshold_is_exact_at_its_own_edge(library, scale):
    """Three classes, the top anywhere, and all distances of the two others."""
    graph = head(3, scale)
    distances = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).reshape(-1, 2)
    below = np.insert(distances, 0, 0, axis=1)
    logits = np.concatenate([np.roll(127 - below, turn, axis=1) for turn in range(3)])
    logits = logits.astype(np.int8)
    policies = (TopClassThresholds((t,) * 3) for t in range(-128, 129, 3))
    check_exact(library, graph, policies, logits)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("classes", [3, 12, 35])
def test_class_gate_is_exact(library, classes, scale):
    rng = np.random.default_rng(classes)
    thresholds = rng.integers(1, 129, (4, classes))
    thresholds[:, rng.integers(classes)] = NEVER
    policies = (TopClassThresholds(tuple(row)) for row in thresholds.tolist())
    check_exact(library, head(classes, scale), policies, vectors(classes, scale))


def test_low_class_gate_reads_the_output_and_must():
    """Two logits share the largest probability; its first class decides, not that of the logit."""
    graph = head(3, 0.002)
    policy = TopClassThresholds((NEVER, -50, -50))
    decision = find_decision(graph, policy)
    assert decision.reads is graph.outputs[0] and decision.answer == frozenset()
    assert "can share a largest probability of" in decision.fallback
    assert "reaches the threshold -50" in decision.fallback
    logits = np.array([[10, 11, -20]], np.int8)
    output = softmax(graph.operators[0], logits)
    assert output.argmax() == 0 and logits.argmax() == 1
    assert policy.decide(output).tolist() == [False]
    assert output.max() >= policy.thresholds[logits.argmax()]


@pytest.mark.parametrize("scale", SCALES)
def test_every_pair_of_logits_is_exact(library, scale):
    policies = [
        *(TopClassThresholds((t, t)) for t in (-128, -1, 0, 1, 30, 126, 127, NEVER)),
        *(TopClassThresholds(pair) for pair in ((40, 100), (NEVER, 3), (90, 127), (-128, 20))),
        *(Entropy(limit).to_device(2) for limit in (0.0, 0.1, 0.5, np.log(2), 5.0)),
        *(Margin(limit) for limit in (0, 1, 17, 200, 255, 256)),
    ]
    check_exact(library, head(2, scale), policies, PAIRS)


def test_policy_without_two_limits_reads_the_output():
    only_equal = TableSum(tuple(int(q != 0) for q in range(-128, 128)), 0)
    decision = find_decision(head(2, 0.1), only_equal)
    assert "does not stop beyond two differences" in decision.fallback


@pytest.mark.parametrize(
    ("classes", "policy", "reason"),
    [
        (3, Margin(20), "margin needs more than the largest probability"),
        (3, Entropy(0.3).to_device(3), "table_sum needs more than the largest"),
        (257, TopClassThresholds((100,) * 257), "more than 256 classes"),
        (3, Confidence(2, 0), "confidence needs more than the largest probability"),
    ],
)
def test_other_policies_read_the_output(classes, policy, reason):
    graph = head(classes, 0.1)
    decision = find_decision(graph, policy)
    assert reason in decision.fallback
    assert decision.reads is graph.outputs[0] and decision.answer == frozenset()
    assert decision.call == policy.device_call(classes)


def test_exit_without_softmax_reads_the_output():
    b = GraphBuilder()
    x = b.input((1, 8))
    scores = b.dense(x, 4)
    decision = find_decision(b.graph(scores, x), TopClassThresholds((9,) * 4))
    assert "is not made by SOFTMAX" in decision.fallback and decision.reads is scores
    rows = b.softmax(b.reshape(scores, (2, 2)))
    decision = find_decision(b.graph(rows, x), TopClassThresholds((9,) * 4))
    assert "several rows" in decision.fallback


def test_policy_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="2 thresholds, the exit output has 3"):
        find_decision(head(3, 0.1), TopClassThresholds((1, 2)))


# --- Whole chains -----------------------------------------------------------------------------

CLASSES = 5


def chain(confidence: bool) -> list[Graph]:
    """Two segments; the exit's features are what the tail begins with."""
    b = GraphBuilder(3)
    x = b.conv(b.input((1, 12, 12, 3)), 8, stride=(2, 2))
    features = b.reshape(b.pool(x, "AVERAGE_POOL_2D", (6, 6)), (1, 8))
    output = b.softmax(b.dense(features, CLASSES))
    if confidence:
        output = b.concat([output, b.logistic(b.dense(features, 1))], 1)
    stem = b.graph(output, x, features, name="stem")
    t = GraphBuilder(4)
    y, again = (t.input(handed.shape, handed.quant) for handed in (x, features))
    y = t.pool(t.conv(y, 8), "AVERAGE_POOL_2D", (6, 6))
    late = t.add(t.dense(y, CLASSES), t.dense(again, CLASSES))
    return [stem, t.graph(t.softmax(late), name="tail")]


def answers(graphs: list[Graph], x: np.ndarray):
    early, *handoff = run_graph(graphs[0], [x])
    (late,) = run_graph(graphs[1], handoff)
    return early, late


SAMPLES = 12
X = int8_patterns(np.random.default_rng(7), SAMPLES, (12, 12, 3))


def policy_of(kind: str):
    """A policy of that kind that some samples meet; None for none."""
    early, _ = answers(chain(kind == "confidence"), X)
    scores = early[:, :CLASSES]
    best = int(np.median(scores.max(axis=1)))
    table = Entropy(1.0).to_device(CLASSES)
    return {
        "max_softmax": TopClassThresholds((best,) * CLASSES),
        "class_gate": TopClassThresholds((best, best, best + 1, best, best)),
        "margin": Margin(int(np.median(Margin(0).margins(scores)))),
        "entropy": TableSum(table.table, int(np.median(table.sums(scores)))),
        "confidence": Confidence(CLASSES, int(np.median(early[:, -1]))),
        "none": None,
    }[kind]


KINDS = ["max_softmax", "class_gate", "margin", "entropy", "confidence", "none"]
SKIPPED = {
    "max_softmax": ["softmax"],
    "class_gate": ["softmax"],
    "confidence": ["fully_connected", "softmax", "concatenation"],
    "none": ["fully_connected", "softmax"],
}


def compiled(kind: str, isa: Isa):
    return compile_chain(
        chain(kind == "confidence"),
        "kws",
        digest="0" * 64,
        options=LoweringOptions(isa),
        policies=(policy_of(kind),),
    )


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        *((kind, "host") for kind in KINDS),
        ("class_gate", "mps2-an386"),
        ("confidence", "mps2-an386"),
        ("max_softmax", "mps3-an547"),
    ],
)
def test_invoke_answers_as_before(kind, target, tmp_path):
    policy, board = policy_of(kind), load_board(target)
    early, late = answers(chain(kind == "confidence"), X)
    stops = np.zeros(SAMPLES, bool) if policy is None else policy.decide(early)
    assert policy is None or 0 < stops.sum() < SAMPLES
    firmware = build_firmware(
        write_library(compiled(kind, Isa(board.isa)), deploy_path(), tmp_path / "c"),
        board,
        "batch",
        tmp_path,
        model="kws_model",
        include_dirs=[tmp_path / "c"],
        sanitize=board.is_host,
    )
    result = run_batch(firmware, board, X.reshape(SAMPLES, -1), jobs=1)
    expected = np.where(stops[:, None], early[:, :CLASSES], late)
    assert np.array_equal(result.exit_index, np.where(stops, 0, 1))
    assert np.array_equal(result.outputs, expected)
    assert np.array_equal(result.class_index, expected.argmax(axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_single_segments_give_their_output_whatever_the_decision(kind, tmp_path):
    policy = policy_of(kind)
    early, late = answers(chain(kind == "confidence"), X)
    write_library(compiled(kind, Isa.REF), deploy_path(), tmp_path / "c")
    sources = (tmp_path / "c" / "sources.txt").read_text().split()
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    files = [*sources, SUPPORT / "two_step.c", "-o", tmp_path / "two_step"]
    subprocess.run(["gcc", *flags, "-I.", "-Iinclude", *files], cwd=tmp_path / "c", check=True)
    done = subprocess.run([tmp_path / "two_step"], input=X.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    layout = np.dtype([("segment", "<i4"), ("class", "<i4"), ("output", "i1", (CLASSES,))])
    found = np.frombuffer(done.stdout, layout).reshape(SAMPLES, 3)
    stops = np.zeros(SAMPLES, bool) if policy is None else policy.decide(early)
    assert np.array_equal(found["output"][:, 0], early[:, :CLASSES])
    assert np.array_equal(found["class"][:, 0], predicted_class(policy, early)[:SAMPLES])
    assert np.array_equal(found["output"][:, 1], late)
    assert np.array_equal(found["segment"][:, 2], np.where(stops, 0, 1))
    whole = np.where(stops[:, None], early[:, :CLASSES], late)
    assert np.array_equal(found["output"][:, 2], whole)


@pytest.mark.parametrize("kind", KINDS)
def test_what_only_the_output_needs_is_behind_the_decision(kind):
    """The tail needs the features, so they are made in any case."""
    model = compiled(kind, Isa.REF)
    answer = model.source.split("static void kws_answer_0")[1].split("}")[0]
    found = [
        line.split("_", 3)[3].removesuffix("();")
        for line in answer.splitlines()
        if "kws_s0" in line
    ]
    assert list(dict.fromkeys(found)) == SKIPPED.get(kind, [])
    (report,) = model.report()["exits"]
    assert [name.lower() for name in report["only_when_taken"]] == SKIPPED.get(kind, [])
    assert (report["reads_the_output_because"] is None) == (kind in SKIPPED)
