"""Remove operators that change nothing: QUANTIZE to equal parameters, full SLICE, empty PAD."""

from __future__ import annotations

from trecx.ir.graph import Graph, Operator


def drop_identity(graph: Graph) -> None:
    for op in list(graph.operators):
        if not _is_identity(op) or op.output in graph.outputs:
            continue
        source = op.inputs[0]
        for user in graph.consumers(op.output):
            user.inputs = [source if t is op.output else t for t in user.inputs]
        graph.operators.remove(op)


def _is_identity(op: Operator) -> bool:
    source, result = op.inputs[0], op.output
    if source is None or source.is_constant or source.shape != result.shape:
        return False
    if source.dtype != result.dtype or source.quant is None:
        return False
    if not source.quant.same_as(result.quant):
        return False
    if op.kind == "QUANTIZE":
        return True
    if op.kind in ("SLICE", "STRIDED_SLICE"):
        return all(s > 0 for s in op.attrs.strides)  # equal shapes: all elements, in order
    if op.kind in ("PAD", "PADV2"):
        return all(before == after == 0 for before, after in op.attrs.pads)
    return False
