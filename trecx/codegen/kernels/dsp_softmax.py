"""SOFTMAX of two classes: a table over the difference of the two inputs."""

from __future__ import annotations

import numpy as np

from trecx.codegen.constraints import broken_rule
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator
from trecx.ir.interpreter.softmax import softmax

INSTRUCTIONS_PER_ROW = 14


@register
class DspSoftmaxPair(KernelChoice):
    """Softmax does not change when both inputs move together: 511 differences are all there is."""

    kinds = ("SOFTMAX",)
    isa = Isa.DSP
    scheme = "two classes"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op) or (None if op.output.shape[-1] == 2 else "not two classes")

    def lower(self, op: Operator) -> list[Step]:
        rows = op.output.size // 2
        return [
            Step(
                kernel="trecx_softmax_s8_pair",
                sources=("dsp/softmax_s8_pair.c",),
                header="softmax_s8_dsp.h",
                params_type="trecx_softmax_s8_pair_params",
                params={"table": Blob("int8_t", _table(op), align=1), "rows": rows},
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                overlap={0: 0},
                instructions=20 + INSTRUCTIONS_PER_ROW * rows,
                scheme=self.scheme,
            )
        ]


def _table(op: Operator) -> np.ndarray:
    """The first class's probability for all differences, by the interpreter."""
    difference = np.arange(-255, 256)
    inputs = np.stack([difference - 128, np.full_like(difference, -128)], axis=-1)
    inputs += np.maximum(-difference, 0)[:, None]
    return softmax(op, inputs.astype(np.int8))[:, 0]
