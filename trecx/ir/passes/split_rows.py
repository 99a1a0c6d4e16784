"""Run a part of a network in bands of rows, so that its large inner tensors never exist whole.

The part is a run of operators that compute rows of their output from nearby rows of their inputs.
Band by band, each operator computes the rows that the others need next and no row twice: the last
rows of an inner tensor that the next band needs again are copied in front of its new ones. Tensors
that are read outside the part are put together from their bands. Slices and concatenations of rows
are views for the compiler, so nothing but those last rows is copied.
(Patch-based inference: Lin et al., MCUNetV2, arXiv 2110.15352; with line buffers instead of rows
that are computed again.)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trecx.errors import UnsupportedModelError
from trecx.ir.graph import Graph, Operator, Tensor
from trecx.ir.ops import ConcatAttrs, Padding, SliceAttrs

POINTWISE = ("ADD", "RELU", "RELU6", "QUANTIZE", "LOGISTIC")
WINDOWED = ("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D")
ROW_LOCAL = (*POINTWISE, *WINDOWED)

Rows = tuple[int, int]  # first row, and the one after the last


def can_split(graph: Graph, first: int, last: int) -> bool:
    """Whether the operators first..last (positions) all compute rows of images from rows."""
    return all(_is_row_local(op) for op in graph.operators[first : last + 1])


def _is_row_local(op: Operator) -> bool:
    if op.kind not in ROW_LOCAL or any(len(t.shape) != 4 for t in op.activation_inputs):
        return False
    same = all(t is not None and not t.is_constant for t in op.inputs) and all(
        t.shape == op.output.shape for t in op.inputs
    )
    return len(op.output.shape) == 4 and (op.kind != "ADD" or same)


def split_rows(graph: Graph, first: int, last: int, bands: int) -> Graph:
    """A copy of `graph` whose operators first..last run in `bands` bands of rows.

    Raises UnsupportedModelError when they do not form such a part, or have fewer rows than bands.
    """
    if not can_split(graph, first, last):
        raise UnsupportedModelError(f"operators {first} to {last} cannot run in bands of rows")
    height = graph.operators[last].output.shape[1]
    if not 1 < bands <= height:
        raise UnsupportedModelError(f"{height} rows cannot run in {bands} bands")
    part = _Part(graph, first, last, bands)
    for band in range(bands):
        part.emit(band)
    operators = [*graph.operators[:first], *part.operators, *graph.operators[last + 1 :]]
    return Graph(graph.name, list(graph.inputs), list(graph.outputs), operators)


@dataclass(eq=False)
class _Image:
    """A tensor made in the part: what of it exists.

    kept: the rows that `holder` holds; holder None: nothing yet. whole: read outside the part.
    """

    tensor: Tensor
    whole: bool
    holder: Tensor | None = None
    kept: Rows = (0, 0)


@dataclass(eq=False)
class _Part:
    """State of the rewriting; `operators` is what replaces the part."""

    graph: Graph
    first: int
    last: int
    bands: int
    operators: list[Operator] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.part = self.graph.operators[self.first : self.last + 1]
        outside = self.graph.operators[: self.first] + self.graph.operators[self.last + 1 :]
        read = {id(t) for op in outside for t in op.inputs} | {id(t) for t in self.graph.outputs}
        made = [op.output for op in self.part]
        used = {id(t) for op in self.part for t in op.inputs}
        self.images = {id(t): _Image(t, id(t) in read or id(t) not in used) for t in made}

    def emit(self, band: int) -> None:
        """Append the operators of one band."""
        goals = self._goals(band)
        for op in self.part:
            image = self.images[id(op.output)]
            have, goal = image.kept[1], goals[id(op.output)]
            if goal <= have:
                continue
            rows = (have, goal)
            inputs = [self._rows_for(op, tensor, rows) for tensor in op.inputs]
            final = image.whole and image.holder is None and goal == op.output.shape[1]
            output = op.output if final else band_of(op.output, rows)
            attrs = _band_attrs(op, rows)
            operator = Operator(op.kind, inputs, [output], attrs, op.index)
            self._append(image, output, rows, operator)

    def _goals(self, band: int) -> dict[int, int]:
        """For each image, the number of rows that must exist after this band."""
        goals = {key: 0 for key in self.images}
        for op in reversed(self.part):
            image = self.images[id(op.output)]
            height = op.output.shape[1]
            if image.whole:
                share = (band + 1) * height // self.bands
                goals[id(op.output)] = max(goals[id(op.output)], share)
            goal = goals[id(op.output)]
            for tensor in op.activation_inputs:
                if id(tensor) in goals and goal > 0:
                    need = _input_rows(op, (goal - 1, goal), tensor.shape[1])[1]
                    goals[id(tensor)] = max(goals[id(tensor)], need)
        return {key: max(goal, self.images[key].kept[1]) for key, goal in goals.items()}

    def _append(self, image: _Image, new: Tensor, rows: Rows, operator: Operator) -> None:
        """Put the new rows behind the rows of the image that are still needed."""
        begin = 0 if image.whole else self._first_needed(image)
        old, held = image.holder, image.kept
        if old is None or begin >= held[1]:
            self.operators.append(operator)
            image.holder, image.kept = new, rows
            return
        if begin > held[0]:
            old = self._copy(
                self._slice(old, held, (begin, held[1]), operator.index), operator.index
            )
        self.operators.append(operator)
        done = image.whole and rows[1] == image.tensor.shape[1]
        joined = image.tensor if done else band_of(image.tensor, (begin, rows[1]))
        attrs = ConcatAttrs(1)
        self.operators.append(
            Operator("CONCATENATION", [old, new], [joined], attrs, operator.index)
        )
        image.holder, image.kept = joined, (begin, rows[1])

    def _first_needed(self, image: _Image) -> int:
        """First row of an image that operators of the part still have to read."""
        first = image.kept[1]
        for op in self.part:
            done, height = self.images[id(op.output)].kept[1], op.output.shape[1]
            if any(t is image.tensor for t in op.inputs) and done < height:
                first = min(first, _input_rows(op, (done, done + 1), image.tensor.shape[1])[0])
        return first

    def _rows_for(self, op: Operator, tensor: Tensor | None, rows: Rows) -> Tensor | None:
        """The input rows that an operator reads for some rows of its output."""
        if tensor is None or tensor.is_constant:
            return tensor
        want = _input_rows(op, rows, tensor.shape[1])
        image = self.images.get(id(tensor))
        if image is None:
            return self._slice(tensor, (0, tensor.shape[1]), want, op.index)
        return self._slice(image.holder, image.kept, want, op.index)

    def _slice(self, band: Tensor, have: Rows, want: Rows, index: int) -> Tensor:
        """Rows `want` of a tensor that holds rows `have`; the tensor itself when they are all."""
        if have == want:
            return band
        begin = (0, want[0] - have[0], 0, 0)
        rows = want[1] - want[0]
        part = replace_rows(band, rows, f"{band.name}[{begin[1]}:{begin[1] + rows}]")
        return self._emit_slice(band, part, begin, index)

    def _copy(self, band: Tensor, index: int) -> Tensor:
        """A slice of everything: what makes the rows, a view, be copied and nothing else read."""
        return self._emit_slice(
            band, replace_rows(band, band.shape[1], f"{band.name} again"), (0,) * 4, index
        )

    def _emit_slice(self, source: Tensor, part: Tensor, begin, index: int) -> Tensor:
        attrs = SliceAttrs(begin, part.shape, (1,) * 4)
        self.operators.append(Operator("SLICE", [source], [part], attrs, index))
        return part


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


def band_of(tensor: Tensor, rows: Rows) -> Tensor:
    """A tensor for some rows of an image."""
    return replace_rows(tensor, rows[1] - rows[0], f"{tensor.name}:{rows[0]}-{rows[1]}")


def replace_rows(tensor: Tensor, rows: int, name: str) -> Tensor:
    """A tensor like `tensor` with another number of rows."""
    shape = (tensor.shape[0], rows, *tensor.shape[2:])
    return Tensor(name, shape, tensor.dtype, tensor.quant)
