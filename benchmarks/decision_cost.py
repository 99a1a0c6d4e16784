"""What an exit costs on an emulated board once its logits are there: decision, softmax, answer.

    python -m benchmarks.decision_cost BUNDLE ... [--target mps2-an386]

Every bundle is compiled with each exit policy in turn, set so that every inference leaves at the
first exit, and again so that none does, and profiled. Counted is all that runs outside the layers
(entry, policy, predicted class, result) and the exit's SOFTMAX and CONCATENATION. Prints a Markdown
table. Weights do not matter, so any bundle will do.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from trecx.policies import (
    NEVER,
    Confidence,
    DevicePolicy,
    Entropy,
    Margin,
    TopClassThresholds,
)
from trecx.stages.chain import Chain, load_chain
from trecx.stages.compiling import compile_for
from trecx.stages.running import build
from trecx.targets.boards import load_board
from trecx.targets.profiler import profile

SAMPLES = 4

# Each takes the exit for every output of `units` values with this scale and zero point, or never.
POLICIES: dict[str, Callable[[bool, int, float, int], DevicePolicy]] = {
    "max_softmax, class_gate": lambda taken, units, *quant: TopClassThresholds(
        (-128 if taken else NEVER,) * units
    ),
    "entropy": lambda taken, units, *quant: dataclasses.replace(
        Entropy(100.0).to_device(units, *quant), limit=2**31 - 1 if taken else -1
    ),
    "margin": lambda taken, units, *quant: Margin(0 if taken else 256),
    "confidence": lambda taken, units, *quant: Confidence(units - 1, -128 if taken else NEVER),
}
ANSWER = ("softmax", "concatenation")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Mean instructions of an inference: of the whole path, and what is counted here of it."""

    path: float
    counted: float


def cost(chain: Chain, policy: str, taken: bool, target: str) -> Cost:
    """The cost of one of `POLICIES` at the first exit of a chain."""
    output = chain.graphs[0].outputs[0]
    first = POLICIES[policy](taken, output.size, output.scale, output.zero_point)
    rest = tuple(TopClassThresholds((NEVER,) * g.outputs[0].size) for g in chain.graphs[1:-1])
    decided = dataclasses.replace(chain, policies=(first, *rest))
    shape = chain.graphs[0].inputs[0].shape[1:]
    x = np.random.default_rng(0).integers(-128, 128, (SAMPLES, *shape), np.int8)
    with tempfile.TemporaryDirectory() as folder:
        firmware = build(compile_for(decided, target), target, Path(folder))
        found = profile(firmware, load_board(target), x.reshape(SAMPLES, -1), jobs=1)
    (path,) = found.paths
    counted = sum(
        row.instructions
        for row in path.layers
        if row.layer is None or (row.layer.segment == 0 and row.layer.kind in ANSWER)
    )
    return Cost(path.instructions / SAMPLES, counted / SAMPLES)


def policies_of(chain: Chain) -> list[str]:
    """Those that fit the first exit: with a confidence, or without one."""
    has_confidence = chain.graphs[0].outputs[0].size > chain.graphs[-1].outputs[0].size
    return [name for name in POLICIES if (name == "confidence") == has_confidence]


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--target", default="mps2-an386", show_default=True)
def main(bundles: tuple[Path, ...], target: str) -> None:
    """Print the table for some bundles."""
    click.echo("| network | policy | exit path | of it | going on |")
    click.echo("|---|---|---:|---:|---:|")
    for bundle in bundles:
        chain = load_chain(bundle)
        for policy in policies_of(chain):
            taken, passed = (cost(chain, policy, choice, target) for choice in (True, False))
            cells = [taken.path, taken.counted, passed.counted]
            numbers = " | ".join(f"{value:,.0f}" for value in cells)
            click.echo(f"| {bundle.name} | {policy} | {numbers} |")


if __name__ == "__main__":
    main()
