"""The profiler on generated code: every kernel attributed, both paths, and the same totals."""

import numpy as np
import pytest

from tests.support.trecx_chains import kws
from trecx.codegen.compiler import compile_chain, write_library
from trecx.codegen.emitter import c_identifier
from trecx.codegen.lowering import Isa, LoweringOptions
from trecx.ir.ops import macs
from trecx.policies import TopClassThresholds
from trecx.targets import profiler
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.cycles import estimate
from trecx.targets.deploy_path import deploy_path
from trecx.targets.presets import load_preset, zero_wait_preset


@pytest.fixture(scope="module", params=["mps2-an386", "mps3-an547"])
def compiled(request, tmp_path_factory):
    """(board, firmware, layer name -> MACs, inputs that take both exits)."""
    folder = tmp_path_factory.mktemp("generated")
    board = load_board(request.param)
    chain = kws()
    x = np.random.default_rng(3).integers(-128, 128, (6, *chain[0].inputs[0].shape[1:]), np.int8)
    limit = _threshold_between(chain, x)
    policy = TopClassThresholds((limit,) * 12)
    model = compile_chain(
        chain,
        "kws",
        digest="0" * 64,
        options=LoweringOptions(Isa(board.isa)),
        policies=(policy,),
    )
    sources = write_library(model, deploy_path(), folder / "c")
    firmware = build_firmware(
        sources, board, "batch", folder, model="kws_model", include_dirs=[folder / "c"]
    )
    return board, firmware, _macs_by_layer(model.program), x


def _threshold_between(chain, x):
    """A threshold that some of the samples reach and some do not."""
    from trecx.ir.interpreter import run_graph

    best = run_graph(chain[0], [x])[0].reshape(len(x), -1).max(axis=1)
    assert best.min() < best.max()
    return int(best.max())


def _macs_by_layer(program):
    found = {}
    for timed in program.steps:
        op = program.lowered[timed.segment][timed.operator_index].operator
        name = f"kws_s{timed.segment}_{timed.time:02d}_{c_identifier(op.kind)}"
        found[name] = macs(op)
    return found


def test_every_kernel_is_attributed_on_both_paths(compiled):
    board, firmware, layer_macs, x = compiled
    found = profiler.profile(firmware, board, x, macs=layer_macs)
    early, full = found.paths
    assert (early.path, full.path) == (0, 1) and early.inferences + full.inferences == len(x)
    stem = [name for name in layer_macs if "_s0_" in name]
    tail = [name for name in layer_macs if "_s1_" in name]
    assert stem[-1].endswith("softmax")  # of the exit: it runs only where the exit is taken
    assert [row.name for row in early.layers] == ["between layers", *stem]
    assert [row.name for row in full.layers] == ["between layers", *stem[:-1], *tail]
    for path in found.paths:
        assert sum(row.instructions for row in path.layers) == path.instructions
        assert path.layers[0].instructions < 0.005 * path.instructions
        for row in path.layers[1:]:
            kernels = [name for name in row.functions if not name.startswith("kws_s")]
            assert kernels, f"{row.name} ran no kernel"
    assert early.instructions / early.inferences < full.instructions / full.inferences
    conv = next(row for row in full.layers if row.layer and row.layer.kind == "conv_2d")
    assert conv.macs * full.inferences > 0.1 * conv.instructions


def test_layer_timer_agrees_with_the_plugin(compiled, monkeypatch):
    board, firmware, _, x = compiled
    exact = profiler.profile(firmware, board, x[:2])
    monkeypatch.setattr(profiler, "plugin_library", _missing)
    timed = profiler.profile(firmware, board, x[:2])
    for a, b in zip(exact.paths, timed.paths, strict=True):
        for row, other in zip(a.layers[1:], b.layers[1:], strict=True):
            assert row.name == other.name
            assert abs(row.instructions - other.instructions) <= 30 * a.inferences


def _missing():
    from trecx.errors import ToolMissingError

    raise ToolMissingError("gcc is not installed")


def test_estimate_covers_every_layer(compiled):
    board, firmware, _, x = compiled
    preset = load_preset("l4r5") if board.core == "cortex-m4" else zero_wait_preset(board)
    found = estimate(profiler.profile(firmware, board, x, preset=preset), preset)
    for path in found.paths:
        assert all(layer.cycles.nominal > 0 for layer in path.layers)
        total = sum(layer.cycles.nominal for layer in path.layers)
        assert total == pytest.approx(path.cycles.nominal)
    assert found.samples.min() < found.samples.max()
