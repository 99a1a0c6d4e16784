"""CONCATENATION, SLICE, STRIDED_SLICE, PAD and PADV2 as strided copies.

RESHAPE needs no kernel: input and output share one buffer.
"""

from __future__ import annotations

import math

import numpy as np

from trecx.codegen.constraints import MAX_WALK_DIMENSIONS, broken_rule
from trecx.codegen.geometry import dense_strides, extend_to, join_dimensions
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator, Tensor

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_LINE = 45
BYTES_PER_INSTRUCTION = 2


class _Copy:
    """A strided copy from one tensor into another, its dimensions joined.

    dims: how many values along each dimension; *_begin: coordinates of the first value.
    """

    def __init__(self, source, target, dims, source_begin, source_step, target_begin):
        source_strides = dense_strides(source.shape)
        target_strides = dense_strides(target)
        steps = [s * k for s, k in zip(source_strides, source_step, strict=True)]
        self.input_offset = int(np.dot(source_begin, source_strides))
        self.output_offset = int(np.dot(target_begin, target_strides))
        self.dims, self.strides = join_dimensions(dims, [steps, target_strides])

    def fields(self, prefix: str = "") -> dict[str, object]:
        """Fields of `trecx_copy_s8_params`."""
        dims, (input_stride, output_stride) = extend_to(
            MAX_WALK_DIMENSIONS, self.dims, self.strides
        )
        values = {
            "dims": tuple(dims),
            "input_offset": self.input_offset,
            "input_stride": tuple(input_stride),
            "output_offset": self.output_offset,
            "output_stride": tuple(output_stride),
        }
        return {prefix + name: value for name, value in values.items()}

    @property
    def instructions(self) -> int:
        line = self.dims[-1] if self.dims else 1
        count = math.prod(self.dims)
        return INSTRUCTIONS_PER_LINE * (count // line) + count // BYTES_PER_INSTRUCTION


def _copy_step(copy: _Copy, source: Tensor, target: Tensor, scheme: str) -> Step:
    return Step(
        kernel="trecx_copy_s8",
        sources=("ref/copy_s8.c",),
        header="copy_s8.h",
        params_type="trecx_copy_s8_params",
        params=copy.fields(),
        inputs=(source,),
        outputs=(target,),
        instructions=copy.instructions,
        scheme=scheme,
    )


@register
class RefConcatenation(KernelChoice):
    """One copy for each input."""

    kinds = ("CONCATENATION",)
    isa = Isa.REF
    scheme = "copies"

    def _copies(self, op: Operator) -> list[_Copy]:
        axis, begin, copies = op.attrs.axis, 0, []
        for part in op.inputs:
            rank = len(part.shape)
            target_begin = [begin if a == axis else 0 for a in range(rank)]
            copies.append(
                _Copy(part, op.output.shape, part.shape, [0] * rank, [1] * rank, target_begin)
            )
            begin += part.shape[axis]
        return copies

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        return [
            _copy_step(copy, part, op.output, self.scheme)
            for copy, part in zip(self._copies(op), op.inputs, strict=True)
        ]


@register
class RefSlice(KernelChoice):
    kinds = ("SLICE", "STRIDED_SLICE")
    isa = Isa.REF
    scheme = "copy"

    def _copy(self, op: Operator) -> _Copy:
        a, rank = op.attrs, len(op.attrs.begin)
        return _Copy(op.inputs[0], a.size, a.size, a.begin, a.strides, [0] * rank)

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        return [_copy_step(self._copy(op), op.inputs[0], op.output, self.scheme)]


@register
class RefPad(KernelChoice):
    kinds = ("PAD", "PADV2")
    isa = Isa.REF
    scheme = "fill and copy"

    def _copy(self, op: Operator) -> _Copy:
        source, rank = op.inputs[0], len(op.inputs[0].shape)
        before = [pad[0] for pad in op.attrs.pads]
        return _Copy(source, op.output.shape, source.shape, [0] * rank, [1] * rank, before)

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        copy = self._copy(op)
        return [
            Step(
                kernel="trecx_pad_s8",
                sources=("ref/pad_s8.c", "ref/copy_s8.c"),
                header="pad_s8.h",
                params_type="trecx_pad_s8_params",
                params={
                    "output_bytes": op.output.nbytes,
                    "value": op.attrs.value,
                    **copy.fields("copy."),
                },
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                instructions=copy.instructions + op.output.nbytes // BYTES_PER_INSTRUCTION,
                scheme=self.scheme,
            )
        ]
