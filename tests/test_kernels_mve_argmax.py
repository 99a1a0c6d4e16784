"""Argmax on Helium equals NumPy's, the first of equal values included."""

import numpy as np
import pytest

from tests.support.random_ops import fully_connected
from trecx.codegen.compiler import compile_chain, write_library
from trecx.codegen.lowering import Isa, LoweringOptions
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.deploy_path import deploy_path


@pytest.mark.parametrize("units", [64, 77, 640])
def test_class_of_a_wide_output(units, tmp_path):
    rng = np.random.default_rng(units)
    graph = fully_connected(rng, 16, units)
    model = compile_chain([graph], "wide", digest="0", options=LoweringOptions(Isa.MVE))
    assert "trecx_argmax_s8_mve(output" in model.source
    library = tmp_path / "c"
    firmware = build_firmware(
        sources=write_library(model, deploy_path(), library),
        board="mps3-an547",
        app="batch",
        out_dir=tmp_path,
        model="wide_model",
        include_dirs=[library],
    )
    x = rng.integers(-128, 128, (200, *graph.inputs[0].shape[1:]), np.int8)
    result = run_batch(firmware, load_board("mps3-an547"), x, jobs=1)
    assert np.array_equal(result.class_index, result.outputs.argmax(1))
    top = result.outputs.max(1, keepdims=True)
    assert ((result.outputs == top).sum(1) > 1).any(), "no sample has two largest values"
