"""Write a bundle from the models and figures of an export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import trecx
from trecx.bundle.bundle import Bundle, DataFacts
from trecx.bundle.manifest import MANIFEST, SCHEMA_VERSION, require_valid
from trecx.bundle.read import read_bundle
from trecx.errors import BundleError, UnsupportedModelError
from trecx.files import atomic_folder
from trecx.ir.graph import Graph, Tensor
from trecx.ir.ops import macs, parameters
from trecx.policies import DevicePolicy
from trecx.tflite.cut import segment_names
from trecx.tflite.importer import read_graph
from trecx.tflite.link import link


def write_bundle(
    path: Path,
    *,
    task: str,
    labels: Sequence[str],
    data: DataFacts,
    full: bytes,
    segments: Sequence[bytes],
    base: bytes | None = None,
    policies: Sequence[DevicePolicy] = (),
    training: dict | None = None,
    calibration: dict | None = None,
    test: dict | None = None,
    preprocessing: str = "",
) -> Bundle:
    """Write a bundle folder; all of it appears at once, or nothing.

    Args:
        full, segments, base: .tflite files; one segment: a network without exits.
        policies: one for each segment but the last.
        training, calibration, test: JSON-able figures.
        preprocessing: how raw data become the real-valued input, in words.

    Raises:
        BundleError: segments and policies do not fit together.
        InputError: `path` exists and is no bundle, or cannot be written.
        UnsupportedModelError, ModelFormatError: a file is no int8 model of supported operators.
    """
    graphs = [read_graph(s) for s in segments]
    _check_chain(graphs, policies)
    names = [f"{name}.tflite" for name in segment_names(len(graphs))]
    files = {"full.tflite": full, **dict(zip(names, segments, strict=True))}
    cascade = _link(segments, policies)
    if cascade is not None:
        files["cascade.tflite"] = cascade
    if base is not None:
        files["base.tflite"] = base
    first = graphs[0].inputs[0]
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "trecx", "version": trecx.__version__},
        "task": task,
        "labels": list(labels),
        "data": {"name": data.name, "synthetic": data.synthetic},
        "training": training,
        "input": {
            "shape": list(first.shape),
            "scale": first.scale,
            "zero_point": first.zero_point,
            "preprocessing": preprocessing,
        },
        "output": _quantised(graphs[-1].outputs[0]),
        "full": _model_entry("full.tflite", full),
        "segments": [
            _segment_entry(name, data, graph)
            for name, data, graph in zip(names, segments, graphs, strict=True)
        ],
        "base": None if base is None else _model_entry("base.tflite", base),
        "cascade": None if cascade is None else _file_entry("cascade.tflite", cascade),
        "policies": [p.to_manifest() for p in policies],
        "calibration": calibration,
        "test": test,
    }
    text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
    require_valid(json.loads(text))
    with atomic_folder(Path(path), MANIFEST) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_text(text, encoding="utf-8")
    return read_bundle(path)


def _link(segments: Sequence[bytes], policies: Sequence[DevicePolicy]) -> bytes | None:
    """The cascade, or None where there is no exit or its policy does not fit into one file."""
    if not policies:
        return None
    try:
        return link(segments, [p.to_manifest() for p in policies])
    except UnsupportedModelError:
        return None


def _file_entry(name: str, content: bytes) -> dict:
    return {"file": name, "sha256": hashlib.sha256(content).hexdigest()}


def _model_entry(name: str, content: bytes, graph: Graph | None = None) -> dict:
    graph = graph or read_graph(content)
    return _file_entry(name, content) | {
        "macs": sum(macs(op) for op in graph.operators),
        "parameters": sum(parameters(op) for op in graph.operators),
    }


def _segment_entry(name: str, content: bytes, graph: Graph) -> dict:
    return _model_entry(name, content, graph) | {
        "output": _quantised(graph.outputs[0]),
        "handoff": [
            {
                "name": t.name,
                "shape": list(t.shape),
                "scale": t.scale,
                "zero_point": t.zero_point,
            }
            for t in graph.outputs[1:]
        ],
    }


def _quantised(tensor: Tensor) -> dict:
    return {"units": tensor.size, "scale": tensor.scale, "zero_point": tensor.zero_point}


def _check_chain(graphs: list[Graph], policies: Sequence[DevicePolicy]) -> None:
    if not graphs:
        raise BundleError("a bundle needs at least one segment")
    if len(policies) != len(graphs) - 1:
        raise BundleError(
            f"{len(graphs)} segments have {len(graphs) - 1} exits, {len(policies)} policies given"
        )
    for policy, graph in zip(policies, graphs, strict=False):
        policy.validate(graph.outputs[0].size)
    for k, (left, right) in enumerate(pairwise(graphs)):
        given, taken = left.outputs[1:], right.inputs
        fits = len(given) == len(taken) and all(
            a.shape == b.shape and a.dtype is b.dtype and a.quant.same_as(b.quant)
            for a, b in zip(given, taken, strict=True)
        )
        if not fits:
            raise BundleError(
                f"segment {k} hands on {_describe(given)}, segment {k + 1} takes {_describe(taken)}"
            )


def _describe(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{t.name!r} {list(t.shape)}" for t in tensors) or "nothing"
