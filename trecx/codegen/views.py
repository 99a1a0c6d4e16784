"""Operators that move nothing: their result is a part of another tensor's memory.

- RESHAPE: the same bytes.
- SLICE of a contiguous range, such as some rows of an image: a part of its input. A slice that is
  only read by concatenations is a copy, so that they have nothing left to do.
- CONCATENATION along the outermost dimension: its inputs are written where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trecx.ir.graph import Graph, Operator, Tensor

VIEW_ALIGNMENT = 8
"""Offset of a view inside its tensor, in bytes: kernels read words and pairs of words."""


@dataclass(eq=False)
class Views:
    """tensor id -> (tensor that holds it, offset in bytes); `elided`: ids of operators without
    code."""

    base: dict[int, tuple[Tensor, int]] = field(default_factory=dict)
    elided: set[int] = field(default_factory=set)

    def locate(self, tensor: Tensor) -> tuple[Tensor, int]:
        """The tensor whose buffer holds `tensor`, and the offset in it."""
        offset = 0
        while id(tensor) in self.base:
            tensor, step = self.base[id(tensor)]
            offset += step
        return tensor, offset

    def is_whole(self, tensor: Tensor) -> bool:
        """Whether `tensor` fills its buffer."""
        holder, offset = self.locate(tensor)
        return offset == 0 and holder.nbytes == tensor.nbytes


def find_views(graph: Graph) -> Views:
    """All views of a graph. Results of a graph that are slices or parts are kept as copies."""
    views = Views()
    for op in graph.operators:
        if op.kind == "RESHAPE":
            _add(views, op, op.output, op.inputs[0], 0)
        elif op.kind in ("SLICE", "STRIDED_SLICE") and op.output not in graph.outputs:
            readers = graph.consumers(op.output)
            if readers and all(reader.kind == "CONCATENATION" for reader in readers):
                continue
            offset = _contiguous_offset(op)
            if offset is not None and offset % VIEW_ALIGNMENT == 0:
                _add(views, op, op.output, op.inputs[0], offset)
    for op in graph.operators:
        if op.kind == "CONCATENATION":
            _elide_concatenation(graph, views, op)
    return views


def _add(views: Views, op: Operator, tensor: Tensor, holder: Tensor, offset: int) -> None:
    views.base[id(tensor)] = (holder, offset)
    views.elided.add(id(op))


def _contiguous_offset(op: Operator) -> int | None:
    """Offset in bytes of a slice that is one run of its input; None when it is not."""
    source, attrs = op.inputs[0], op.attrs
    if source.is_constant or source.quant is None or not source.quant.same_as(op.output.quant):
        return None
    if any(s != 1 for s in attrs.strides):
        return None
    offset, run, partial = 0, source.dtype.itemsize, False
    for begin, size, whole in zip(
        reversed(attrs.begin), reversed(attrs.size), reversed(source.shape), strict=True
    ):
        if partial and size != 1:
            return None
        partial = partial or size != whole
        offset += begin * run
        run *= whole
    return offset


def _elide_concatenation(graph: Graph, views: Views, op: Operator) -> None:
    """Let the producers of all inputs write into the output, where that is possible for all."""
    out = op.output
    if any(dim != 1 for dim in out.shape[: op.attrs.axis]):
        return
    places, offset = [], 0
    for tensor in op.inputs:
        holder, inner = views.locate(tensor)
        movable = (
            not tensor.is_constant
            and inner == 0
            and holder.nbytes == tensor.nbytes
            and holder not in graph.inputs
            and holder not in graph.outputs
            and tensor not in graph.outputs
            and holder is not out
            and tensor.quant.same_as(out.quant)
            and offset % VIEW_ALIGNMENT == 0
            and all(holder is not other for other, _ in places)
        )
        if not movable:
            return
        places.append((holder, offset))
        offset += tensor.nbytes
    for holder, place in places:
        views.base[id(holder)] = (out, place)
    views.elided.add(id(op))
