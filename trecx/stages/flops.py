"""Operations of anything that has layers: a bundle, a .tflite file, a run, a Keras model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trecx.errors import InputError
from trecx.ir.graph import Graph
from trecx.reports.flops import FlopsReport, flops_report
from trecx.stages.chain import load_chain

KERAS_SUFFIXES = (".keras", ".h5")


def flops_of(path: Path, base: Path | None = None) -> FlopsReport:
    """Operations by layer, segment and path.

    base: the network without exits, in any of the same forms; None: the bundle's, or, when there
    is none, the chain's own backbone. Raises InputError and its kinds.
    """
    graphs, base_graph, rates = _load(path)
    if base is not None:
        base_graphs, _, _ = _load(base)
        if len(base_graphs) != 1:
            raise InputError(
                f"the base model must have no exits; {base} has {len(base_graphs) - 1}"
            )
        base_graph = base_graphs[0]
    return flops_report(graphs, base_graph, rates, "test split" if rates else "")


def _load(path: Path) -> tuple[list[Graph], Graph | None, tuple[float, ...] | None]:
    """The segments; the base model and the exit rates on the test split where they are known."""
    path = Path(path)
    if path.suffix in KERAS_SUFFIXES and path.exists():
        from trecx.exits import load_network

        return _shape_only_segments(load_network(path)), None, None
    if (path / "run.json").exists():
        from trecx.exits import load_trained

        return _shape_only_segments(load_trained(path).model), None, None
    chain = load_chain(path)
    if chain.bundle is None:
        return chain.graphs, None, None
    test = chain.bundle.manifest["test"]
    rates = None if test is None else tuple(rate["value"] for rate in test["exit_rates"])
    return chain.graphs, chain.bundle.base_graph(), rates


def _shape_only_segments(model) -> list[Graph]:
    """Segments of a Keras model. Quantised on random data: counting needs shapes only, and the
    converter's own batch-norm folding is what the device will run."""
    from trecx.tflite.convert import convert
    from trecx.tflite.cut import cut
    from trecx.tflite.importer import read_graph

    shape = (8, *model.inputs[0].shape[1:])
    converted = convert(model, np.random.default_rng(0).normal(size=shape).astype(np.float32))
    if not converted.exits:
        return [read_graph(converted.content)]
    return [read_graph(part) for part in cut(converted.content, converted.exits)]
