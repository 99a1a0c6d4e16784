"""AVERAGE_POOL_2D on the DSP extension: four channels at a time."""

from __future__ import annotations

from dataclasses import replace

from trecx.codegen.geometry import taps_inside
from trecx.codegen.kernels.ref_pool import RefPool
from trecx.codegen.lowering import Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

MAX_TAPS = 255  # the sum of as many int8 values fits 16 bits
# Instructions measured on an emulated Cortex-M4.
INSTRUCTIONS_PER_TAP = 1.5
INSTRUCTIONS_PER_OUTPUT = 18


@register
class DspAveragePool(KernelChoice):
    kinds = ("AVERAGE_POOL_2D",)
    isa = Isa.DSP
    scheme = "four lanes"

    def reason_against(self, op: Operator) -> str | None:
        reason = RefPool().reason_against(op)
        if reason:
            return reason
        if op.output.shape[3] % 4:
            return "channels are not a multiple of 4"
        taps = op.attrs.filter[0] * op.attrs.filter[1]
        return None if taps <= MAX_TAPS else f"{taps} values in a window; {MAX_TAPS} are possible"

    def lower(self, op: Operator) -> list[Step]:
        """As the reference, whose parameters and order of windows it shares."""
        taps = taps_inside(op, op.attrs.filter) * op.output.shape[3]
        instructions = INSTRUCTIONS_PER_TAP * taps + INSTRUCTIONS_PER_OUTPUT * op.output.size
        (step,) = RefPool().lower(op)
        return [
            replace(
                step,
                kernel="trecx_average_pool_s8_lanes",
                sources=("dsp/average_pool_s8_lanes.c",),
                header="average_pool_s8_dsp.h",
                overlap={0: step.overlap[0] + 3},  # a channel is written before the next three
                instructions=int(instructions) + 100,
                scheme=self.scheme,
            )
        ]
