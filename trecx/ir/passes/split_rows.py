"""Run a part of a network in bands of rows, so that its large inner tensors never exist whole.

The part is a run of operators that compute rows of their output from nearby rows of their inputs.
For each band of output rows the operators run on just the rows they need: slices of the inputs,
bands of the inner tensors. The bands of the result are concatenated. Slices and concatenation of
rows are views for the compiler, so nothing is copied; rows that two bands need are computed twice.
(Patch-based inference: Lin et al., MCUNetV2, arXiv 2110.15352; here with bands of whole rows.)
"""

from __future__ import annotations

from dataclasses import replace

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import Graph, Operator, Tensor
from trecx.ir.ops import ConcatAttrs, Padding, SliceAttrs

POINTWISE = ("ADD", "RELU", "RELU6", "QUANTIZE", "LOGISTIC")
WINDOWED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
ROW_LOCAL = (*POINTWISE, *WINDOWED)

Rows = tuple[int, int]  # first row, and the one after the last


def can_split(graph: Graph, first: int, last: int) -> bool:
    """Whether the operators first..last (positions) form a part with one image as its result."""
    part = graph.operators[first : last + 1]
    made = {id(op.output) for op in part}
    for op in part:
        if op.kind not in ROW_LOCAL or len(op.output.shape) != 4:
            return False
        if any(len(t.shape) != 4 for t in op.activation_inputs):
            return False
        if op.kind == "ADD" and any(
            t is None or t.is_constant or t.shape != op.output.shape for t in op.inputs
        ):
            return False
    inner = [op.output for op in part[:-1]]
    outside = graph.operators[:first] + graph.operators[last + 1 :]
    if any(t in graph.outputs or any(t in op.inputs for op in outside) for t in inner):
        return False
    used = {id(t) for op in part for t in op.activation_inputs}
    return all(id(t) in used for t in inner) and id(part[-1].output) in made


def split_rows(graph: Graph, first: int, last: int, bands: int) -> Graph:
    """A copy of `graph` whose operators first..last run in `bands` bands of rows.

    Raises UnsupportedModelError when they do not form such a part, or have fewer rows than bands.
    """
    if not can_split(graph, first, last):
        raise UnsupportedModelError(f"operators {first} to {last} cannot run in bands of rows")
    part = graph.operators[first : last + 1]
    result = part[-1].output
    height = result.shape[1]
    if not 1 < bands <= height:
        raise UnsupportedModelError(f"{height} rows cannot run in {bands} bands")
    new_operators: list[Operator] = []
    pieces = []
    for k in range(bands):
        rows = (k * height // bands, (k + 1) * height // bands)
        pieces.append(_emit_band(part, rows, new_operators))
    new_operators.append(
        Operator("CONCATENATION", list(pieces), [result], ConcatAttrs(1), part[-1].index)
    )
    operators = [*graph.operators[:first], *new_operators, *graph.operators[last + 1 :]]
    return Graph(graph.name, list(graph.inputs), list(graph.outputs), operators)


def _emit_band(part: list[Operator], rows: Rows, operators: list[Operator]) -> Tensor:
    """Append the operators that compute `rows` of the part's result; returns that band."""
    needed = _needed_rows(part, rows)
    bands: dict[int, tuple[Tensor, Rows]] = {}
    for op in part:
        own = needed[id(op.output)]
        inputs = []
        for tensor in op.inputs:
            if tensor is None or tensor.is_constant:
                inputs.append(tensor)
                continue
            band, have = bands.get(id(tensor), (tensor, (0, tensor.shape[1])))
            want = _input_rows(op, own, tensor.shape[1])
            inputs.append(_slice(band, have, want, op.index, operators))
        output = _band_of(op.output, own)
        operators.append(Operator(op.kind, inputs, [output], _band_attrs(op, own), op.index))
        bands[id(op.output)] = (output, own)
    return bands[id(part[-1].output)][0]


def _needed_rows(part: list[Operator], rows: Rows) -> dict[int, Rows]:
    """Rows of every tensor made in the part that the wanted rows of its result depend on."""
    needed = {id(part[-1].output): rows}
    for op in reversed(part):
        for tensor in op.activation_inputs:
            low, high = _input_rows(op, needed[id(op.output)], tensor.shape[1])
            old = needed.get(id(tensor), (low, high))
            needed[id(tensor)] = (min(low, old[0]), max(high, old[1]))
    return needed


def _window(op: Operator) -> tuple[int, int, Padding]:
    """Rows that the window covers, stride, padding."""
    if op.kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return op.attrs.filter[0], op.attrs.stride[0], op.attrs.padding
    extent = (op.inputs[1].shape[1] - 1) * op.attrs.dilation[0] + 1
    return extent, op.attrs.stride[0], op.attrs.padding


def _input_rows(op: Operator, rows: Rows, height: int) -> Rows:
    """Rows of an input of `height` rows that the operator reads for some rows of its output."""
    if op.kind in POINTWISE:
        return rows
    extent, stride, padding = _window(op)
    low = rows[0] * stride - padding.top
    return max(0, low), min(height, (rows[1] - 1) * stride - padding.top + extent)


def _band_attrs(op: Operator, rows: Rows):
    """Attributes of the operator on its band: the padding that is left at the band's edges."""
    if op.kind in POINTWISE:
        return op.attrs
    extent, stride, padding = _window(op)
    height = op.inputs[0].shape[1]
    low = rows[0] * stride - padding.top
    high = (rows[1] - 1) * stride - padding.top + extent
    return replace(
        op.attrs,
        padding=replace(padding, top=max(0, -low), bottom=max(0, high - height)),
    )


def _band_of(tensor: Tensor, rows: Rows) -> Tensor:
    shape = (tensor.shape[0], rows[1] - rows[0], *tensor.shape[2:])
    return Tensor(f"{tensor.name}:{rows[0]}-{rows[1]}", shape, tensor.dtype, tensor.quant)


def _slice(band: Tensor, have: Rows, want: Rows, index: int, operators: list[Operator]) -> Tensor:
    """Rows `want` of a band that holds rows `have`; the band itself when they are all."""
    if have == want:
        return band
    begin = (0, want[0] - have[0], 0, 0)
    size = (band.shape[0], want[1] - want[0], *band.shape[2:])
    part = _band_of(band, want)
    operators.append(Operator("SLICE", [band], [part], SliceAttrs(begin, size, (1,) * 4), index))
    return part
