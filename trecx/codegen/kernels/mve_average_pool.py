"""AVERAGE_POOL_2D on Helium."""

from __future__ import annotations

import math

from trecx.codegen.geometry import taps_inside, window_gap
from trecx.codegen.kernels.common import activation_fields, window_fields
from trecx.codegen.kernels.mve_common import MveChoice, clamp_instructions
from trecx.codegen.lowering import Step, register
from trecx.ir.graph import Operator

LARGEST_WINDOW = 255  # sums of int8 values in 16 bits


@register
class MveAveragePool(MveChoice):
    """Lanes are channels; see mve/average_pool_s8.c."""

    kinds = ("AVERAGE_POOL_2D",)
    scheme = "channel lanes"

    def misfit(self, op: Operator) -> str | None:
        positions = math.prod(op.attrs.filter)
        if positions > LARGEST_WINDOW:
            return f"windows of {positions} positions, more than {LARGEST_WINDOW}"
        return None

    def lower(self, op: Operator) -> list[Step]:
        channels = op.output.shape[3]
        params = {
            **window_fields(op, op.attrs.filter),
            "channels": channels,
            **activation_fields(op),
        }
        return [
            Step(
                kernel="trecx_average_pool_s8_mve",
                sources=("mve/average_pool_s8.c",),
                header="average_pool_s8_mve.h",
                params_type="trecx_average_pool_s8_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                overlap={0: window_gap(op, by_channel=True)},
                instructions=self._instructions(op, channels),
                scheme=self.scheme,
            )
        ]

    @staticmethod
    def _instructions(op: Operator, channels: int) -> int:
        wide, narrow = channels // 32, -(-channels % 32 // 8) if channels % 32 else 0
        taps = taps_inside(op, op.attrs.filter)
        pixels = op.output.size // channels
        rows = pixels * op.attrs.filter[0]
        work = taps * (10 * wide + 5 * narrow) + rows * 12 * (wide + narrow)
        return work + pixels * (80 * wide + 40 * narrow + 60) + clamp_instructions(op)
