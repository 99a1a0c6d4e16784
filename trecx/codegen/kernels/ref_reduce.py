"""MEAN and REDUCE_MAX by the reference kernels."""

from __future__ import annotations

import math

import numpy as np

from trecx.codegen.kernels.geometry import dense_strides, extend_to, join_dimensions
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.quantize import mean_multiplier

MAX_SUMMED = 2**23

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_INPUT = 7
INSTRUCTIONS_PER_OUTPUT = 45


def _walk(op: Operator):
    """((sizes, strides) of the kept dimensions, the same of the reduced ones), joined."""
    shape = op.inputs[0].shape
    strides = dense_strides(shape)
    parts = []
    for reduced in (False, True):
        axes = [a for a in range(len(shape)) if (a in op.attrs.axes) == reduced]
        dims, (steps,) = join_dimensions([shape[a] for a in axes], [[strides[a] for a in axes]])
        parts.append((dims, steps))
    return parts


def _gap(kept, kept_stride) -> int:
    """Overlap gap: output value n is written after its inputs, before those of value n + 1."""
    first = np.add.outer(np.arange(kept[0]) * kept_stride[0], np.arange(kept[1]) * kept_stride[1])
    later = np.minimum.accumulate(first.reshape(-1)[::-1])[::-1]
    written = np.arange(1, later.size)
    return max(0, int((written - later[1:]).max(initial=0)))


@register
class RefReduce(KernelChoice):
    kinds = ("MEAN", "REDUCE_MAX")
    isa = Isa.REF
    scheme = "reference"

    def reason_against(self, op: Operator) -> str | None:
        if any(len(dims) > 2 for dims, _ in _walk(op)):
            return f"axes {op.attrs.axes} of shape {op.inputs[0].shape} alternate too often"
        count = op.inputs[0].size // op.output.size
        if op.kind == "MEAN" and count > MAX_SUMMED:
            return f"sums {count} values, at most {MAX_SUMMED}"
        return None

    def lower(self, op: Operator) -> list[Step]:
        (kept, kept_stride), (reduced, reduced_stride) = _walk(op)
        kept, (kept_stride,) = extend_to(2, kept, [kept_stride])
        reduced, (reduced_stride,) = extend_to(2, reduced, [reduced_stride])
        params: dict[str, object] = {
            "kept": tuple(kept),
            "kept_stride": tuple(kept_stride),
            "reduced": tuple(reduced),
            "reduced_stride": tuple(reduced_stride),
        }
        if op.kind == "MEAN":
            count = math.prod(reduced)
            multiplier, shift = mean_multiplier(op.inputs[0].quant, op.output.quant, count)
            params["bias"] = -op.inputs[0].zero_point * count
            params["multiplier"], params["shift"] = multiplier, shift
            params["output_offset"] = op.output.zero_point
        name = f"{op.kind.lower()}_s8"
        return [
            Step(
                kernel=f"trecx_{name}",
                sources=(f"ref/{name}.c",),
                header=f"{name}.h",
                params_type=f"trecx_{name}_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                overlap={0: _gap(kept, kept_stride)},
                instructions=INSTRUCTIONS_PER_INPUT * op.inputs[0].size
                + INSTRUCTIONS_PER_OUTPUT * op.output.size,
                scheme=self.scheme,
            )
        ]
