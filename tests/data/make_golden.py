"""Makes the golden bundle of manifest version 1. Run once; it stays as that version wrote it.

python -m tests.data.make_golden
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.support.patterns import int8_patterns
from trecx.bundle import Bundle, DataFacts, write_bundle
from trecx.ir.interpreter import run_graph
from trecx.policies import Margin, TopClassThresholds
from trecx.tflite.cut import cut

FOLDER = Path(__file__).parent
GOLDEN = FOLDER / "golden_bundle_v1"


def write(path: Path) -> Bundle:
    """The bundle: three segments, two kinds of policy, every optional part but `base`."""
    full = (FOLDER / "ds_cnn_two_exits.tflite").read_bytes()
    outputs = json.loads((FOLDER / "models.json").read_text())["ds_cnn_two_exits"]["outputs"]
    return write_bundle(
        path,
        task="golden",
        labels=[f"word {i}" for i in range(12)],
        data=DataFacts("random patterns", synthetic=True),
        full=full,
        segments=cut(full, outputs[:-1]),
        policies=[TopClassThresholds((-20, 10, 128) * 4), Margin(60)],
        training={"recipe": {"name": "none"}, "seed": 0, "epochs": 0},
        calibration={"rules": ["class_gate", "margin"], "accuracy": 0.5},
        test={"samples": 40, "accuracy": 0.5},
        preprocessing="features 0..1 as they are",
    )


def answers(bundle: Bundle, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores int8 (N, 12) and exit int64 (N,) of each sample, on the integer interpreter."""
    tensors, outputs = [x], []
    for graph in bundle.graphs():
        first, *tensors = run_graph(graph, tensors)
        outputs.append(first.reshape(len(x), -1))
    stops = np.full(len(x), len(outputs) - 1)
    for k, policy in reversed(list(enumerate(bundle.exit_policies()))):
        stops[policy.decide(outputs[k])] = k
    return np.stack(outputs)[stops, np.arange(len(x))], stops


if __name__ == "__main__":
    bundle = write(GOLDEN)
    x = int8_patterns(np.random.default_rng(0), 40, (25, 5, 1))
    scores, stops = answers(bundle, x)
    np.savez_compressed(FOLDER / "golden_answers_v1.npz", x=x, scores=scores, stops=stops)
    print(bundle.digest, np.bincount(stops))
