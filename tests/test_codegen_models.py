"""Whole networks in generated C, on every kernel family and optimisation level.

Bit-exact to the integer interpreter: the four reference topologies without exits, and the three
classifiers with T-RecX's exits as chains of two, both paths taken. The C is compiled with warnings
as errors; on the host it runs under the address and undefined-behaviour sanitizers.
"""

from functools import cache

import numpy as np
import pytest

from benchmarks.reference_models import MODELS
from tests.support import trecx_chains
from tests.support.patterns import int8_patterns
from trecx.codegen.compiler import compile_chain, write_library
from trecx.codegen.lowering import Isa, LoweringOptions, Optimize
from trecx.ir.interpreter import run_graph
from trecx.policies import MaxSoftmax
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.deploy_path import deploy_path

TARGETS = {"host": Isa.REF, "mps2-an386": Isa.DSP, "mps3-an547": Isa.MVE}
LEVELS = {Optimize.SIZE: "Os", Optimize.BALANCED: "O2", Optimize.SPEED: "O3"}
SAMPLES = 2
CHAIN_SAMPLES = 6


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.value)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_reference_topology(name, target, level, tmp_path):
    x, expected = reference_answers(name)
    result, model = run([MODELS[name]()], name, target, level, x, tmp_path)
    assert np.array_equal(result.outputs, expected)
    assert np.array_equal(result.class_index, expected.argmax(axis=1))
    assert result.arena_bytes == model.plan.arena_bytes
    assert any(
        low.chosen.isa is TARGETS[target] for segment in model.program.lowered for low in segment
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["ic", "kws", "vww"])
def test_network_with_an_exit(name, target, tmp_path):
    x, stops, expected, policy = chain_answers(name)
    assert 0 < stops.sum() < len(stops)
    chain = getattr(trecx_chains, name)()
    result, _ = run(chain, name, target, Optimize.BALANCED, x, tmp_path, policies=(policy,))
    assert np.array_equal(result.exit_index, stops)
    assert np.array_equal(result.outputs, expected)


def test_same_bytes_every_time():
    def text(name):
        graphs = getattr(trecx_chains, name)()
        options = LoweringOptions(Isa.DSP, Optimize.SPEED)
        model = compile_chain(graphs, name, digest="0" * 64, options=options)
        return model.header, model.source

    assert text("kws") == text("kws")


@cache
def reference_answers(name):
    graph = MODELS[name]()
    x = int8_patterns(np.random.default_rng(3), SAMPLES, graph.inputs[0].shape[1:])
    (output,) = run_graph(graph, [x])
    return x, output.reshape(len(x), -1)


@cache
def chain_answers(name):
    """Samples, the segment that answers each, the answers, and the policy that decides."""
    stem, tail = getattr(trecx_chains, name)()
    x = int8_patterns(np.random.default_rng(4), CHAIN_SAMPLES, stem.inputs[0].shape[1:])
    early, handoff = run_graph(stem, [x])
    (late,) = run_graph(tail, [handoff])
    exit_output = stem.outputs[0]
    # Between the third and the fourth of six confidences, so that both paths are taken.
    middle = np.sort(early.max(axis=1).astype(int))[2] + 0.5
    threshold = (middle - exit_output.zero_point) * exit_output.scale
    policy = MaxSoftmax(threshold).to_device(
        exit_output.size, exit_output.scale, exit_output.zero_point
    )
    stops = policy.decide(early)
    return x, np.where(stops, 0, 1), np.where(stops[:, None], early, late), policy


def run(graphs, name, target, level, x, folder, policies=()):
    options = LoweringOptions(TARGETS[target], level)
    model = compile_chain(graphs, name, digest="0" * 64, options=options, policies=policies)
    board = load_board(target)
    firmware = build_firmware(
        write_library(model, deploy_path(), folder / "c"),
        board,
        "batch",
        folder,
        model=f"{name}_model",
        include_dirs=[folder / "c"],
        optimize=LEVELS[level],
        sanitize=board.is_host,
    )
    return run_batch(firmware, board, x.reshape(len(x), -1), jobs=1), model
