"""MEAN and REDUCE_MAX by the reference kernels."""

from __future__ import annotations

import math

import numpy as np

from trecx.codegen.constraints import MAX_REDUCED_GROUPS, broken_rule
from trecx.codegen.geometry import extend_to, reduction_walk
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.quantize import mean_multiplier

# Measured on a Cortex-M4 at -O2; they rank the schemes.
INSTRUCTIONS_PER_INPUT = 7
INSTRUCTIONS_PER_OUTPUT = 45


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
        return broken_rule(op)

    def lower(self, op: Operator) -> list[Step]:
        (kept, kept_stride), (reduced, reduced_stride) = reduction_walk(
            op.inputs[0].shape, op.attrs.axes
        )
        kept, (kept_stride,) = extend_to(MAX_REDUCED_GROUPS, kept, [kept_stride])
        reduced, (reduced_stride,) = extend_to(MAX_REDUCED_GROUPS, reduced, [reduced_stride])
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
