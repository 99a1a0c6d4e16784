"""What the exit decision costs on an emulated board, as a share of the path to the exit.

    python -m benchmarks.decision_cost BUNDLE ... [--target mps2-an386]

Every bundle is compiled with each exit policy in turn, set so that every inference leaves at the
first exit, and profiled. Counted as decision is all that runs outside the layers: entry, policy,
predicted class, result. Prints a Markdown table. Weights do not matter, so any bundle will do.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from trecx.policies import Confidence, DevicePolicy, Entropy, Margin, TopClassThresholds
from trecx.stages.chain import Chain, load_chain
from trecx.stages.compiling import compile_for
from trecx.stages.running import build
from trecx.targets.boards import load_board
from trecx.targets.profiler import profile

SAMPLES = 4

# Each stops for every output of `units` values with this scale and zero point.
ALWAYS: dict[str, Callable[[int, float, int], DevicePolicy]] = {
    "max_softmax, class_gate": lambda units, *quant: TopClassThresholds((-128,) * units),
    "entropy": lambda units, *quant: Entropy(100.0).to_device(units, *quant),
    "margin": lambda units, *quant: Margin(0),
    "confidence": lambda units, *quant: Confidence(units - 1, -128),
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """Mean instructions of an inference that leaves at the first exit: all, and the decision's."""

    path: float
    decision: float

    @property
    def share(self) -> float:
        return self.decision / self.path


def decision_cost(chain: Chain, policy: str, target: str) -> Cost:
    """The cost of one of `ALWAYS` at the first exit of a chain."""
    output = chain.graphs[0].outputs[0]
    always = ALWAYS[policy](output.size, output.scale, output.zero_point)
    rest = tuple(TopClassThresholds((128,) * graph.outputs[0].size) for graph in chain.graphs[1:-1])
    stopping = dataclasses.replace(chain, policies=(always, *rest))
    shape = chain.graphs[0].inputs[0].shape[1:]
    x = np.random.default_rng(0).integers(-128, 128, (SAMPLES, *shape), np.int8)
    with tempfile.TemporaryDirectory() as folder:
        firmware = build(compile_for(stopping, target), target, Path(folder))
        found = profile(firmware, load_board(target), x.reshape(SAMPLES, -1), jobs=1)
    (path,) = found.paths
    decision = sum(row.instructions for row in path.layers if row.layer is None)
    return Cost(path.instructions / SAMPLES, decision / SAMPLES)


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--target", default="mps2-an386", show_default=True)
def main(bundles: tuple[Path, ...], target: str) -> None:
    """Print the table for some bundles."""
    click.echo("| network | exit path | " + " | ".join(ALWAYS) + " |")
    click.echo("|---|" + "---:|" * (1 + len(ALWAYS)))
    for bundle in bundles:
        chain = load_chain(bundle)
        costs = [decision_cost(chain, policy, target) for policy in ALWAYS]
        cells = [f"{c.decision:,.0f} ({100 * c.share:.3f} %)" for c in costs]
        click.echo(f"| {bundle.name} | {costs[0].path:,.0f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
