"""Instructions, arena, stack and flash of one inference of the reference topologies.

    python -m benchmarks.inference [--update] [--models ic,kws] [--targets mps2-an386] ...

Prints a table and compares with budgets.json; exits 1 when a figure grew by more than 1 %. With
--update the budgets become what was measured.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click
import numpy as np

from benchmarks.reference_models import MODELS
from trecx.codegen.compiler import compile_chain, write_library
from trecx.codegen.lowering import Isa, LoweringOptions, Optimize
from trecx.ir.graph import Graph
from trecx.ir.interpreter import run_graph
from trecx.targets.batch import run_batch
from trecx.targets.boards import load_board
from trecx.targets.build import build_firmware
from trecx.targets.deploy_path import deploy_path

BUDGETS = Path(__file__).parent / "budgets.json"
TARGETS = ("mps2-an386", "mps3-an547")
OPTIMIZE = ("size", "balanced", "speed")
COMPILER_LEVEL = {"size": "Os", "balanced": "O2", "speed": "O2"}
FIGURES = (
    "instructions",
    "arena",
    "flash",
    "flash_beside_weights",
    "flash_beside_model",
    "stack",
)
TOLERANCE = 0.01


def measure(name: str, target: str, optimize: str) -> dict[str, int]:
    """Figures of one model; raises AssertionError when an output byte differs from the oracle.

    flash_beside_weights: the whole minimal firmware less the int8 weights and int32 biases of the
    model, so widened weights and requantisation tables count as overhead. flash_beside_model: less
    the float32 scale of each channel too, which an interpreter finds in the model file (and which
    the multipliers of the generated code replace).
    """
    graph = MODELS[name]()
    board = load_board(target)
    options = LoweringOptions(Isa(board.isa), Optimize(optimize))
    model = compile_chain([graph], name, digest="0" * 64, options=options)
    x = np.random.default_rng(7).integers(-128, 128, (2, *graph.inputs[0].shape[1:]), np.int8)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "c"
        build = {
            "sources": write_library(model, deploy_path(), library),
            "board": board,
            "out_dir": Path(folder),
            "model": f"{name}_model",
            "include_dirs": [library],
            "optimize": COMPILER_LEVEL[optimize],
        }
        result = run_batch(build_firmware(app="batch", **build), board, x, jobs=1)
        flash = build_firmware(app="minimal", **build).flash_bytes
    expected = run_graph(graph, [x])[0].reshape(len(x), -1)
    assert np.array_equal(result.outputs, expected), f"{name} on {target} is not bit-exact"
    return {
        "instructions": int(result.instructions.max()),
        "arena": model.plan.arena_bytes,
        "flash": flash,
        "flash_beside_weights": flash - weight_bytes(graph),
        "flash_beside_model": flash - weight_bytes(graph) - scale_bytes(graph),
        "stack": result.stack_used,
    }


def weight_bytes(graph: Graph) -> int:
    """Bytes of the distinct weights and biases as the .tflite file stores them."""
    tensors = {id(t): t for op in graph.operators for t in op.inputs[1:] if t and t.is_constant}
    return sum(t.nbytes for t in tensors.values())


def scale_bytes(graph: Graph) -> int:
    """Bytes of the weights' scales as the .tflite file stores them."""
    weights = {id(op.inputs[1]): op.inputs[1] for op in graph.operators if len(op.inputs) > 2}
    return sum(t.quant.scale.nbytes for t in weights.values())


@click.command()
@click.option("--models", default=",".join(MODELS), show_default=True)
@click.option("--targets", default=",".join(TARGETS), show_default=True)
@click.option("--optimize", default=",".join(OPTIMIZE), show_default=True)
@click.option("--update", is_flag=True, help="Make what was measured the budget.")
def main(models: str, targets: str, optimize: str, update: bool) -> None:
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    grown = []
    click.echo(f"{'':<34}" + "".join(f"{f:>22}" for f in FIGURES))
    for target in targets.split(","):
        for level in optimize.split(","):
            for name in models.split(","):
                key = f"{name} {target} {level}"
                found = measure(name, target, level)
                old = budgets.get(key, {})
                click.echo(f"{key:<34}" + "".join(_cell(found[f], old.get(f)) for f in FIGURES))
                grown += [
                    f"{key}: {f} {old[f]:,} -> {found[f]:,}"
                    for f in FIGURES
                    if f in old and found[f] > old[f] * (1 + TOLERANCE)
                ]
                budgets[key] = found
    if update:
        BUDGETS.write_text(json.dumps(budgets, indent=1, sort_keys=True) + "\n")
    elif grown:
        click.echo("grew by more than 1 %:\n  " + "\n  ".join(grown), err=True)
        sys.exit(1)


def _cell(value: int, old: int | None) -> str:
    change = "" if not old or old == value else f" ({100 * (value / old - 1):+.1f} %)"
    return f"{value:,}{change}".rjust(22)


if __name__ == "__main__":
    main()
