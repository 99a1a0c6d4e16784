"""FULLY_CONNECTED on the DSP extension, weights at int8 size: units in byte pairs."""

from __future__ import annotations

import numpy as np

from trecx.codegen.constraints import broken_rule
from trecx.codegen.kernels.common import activation_fields, requantisation
from trecx.codegen.kernels.dsp_bytepair import bytepair_words, halfword_reason
from trecx.codegen.kernels.dsp_common import dot_range, folded_bias
from trecx.codegen.lowering import Blob, Isa, KernelChoice, Step, register
from trecx.ir.graph import Operator

PAIRS_AT_ONCE = 3
LARGEST_RIGHT_SHIFT = 21
ACCUMULATOR_LIMIT = 1 << 23  # so that the bias fits 27 bits, too
# Instructions measured on an emulated Cortex-M4.
GROUP_OF_THREE, GROUP_OF_ONE = 24, 14
BLOCK_OF_THREE, BLOCK_OF_ONE = 200, 100


@register
class DspFullyConnectedBytepair(KernelChoice):
    kinds = ("FULLY_CONNECTED",)
    isa = Isa.DSP
    scheme = "byte pairs, dense"

    def reason_against(self, op: Operator) -> str | None:
        return broken_rule(op) or halfword_reason(op) or _range_reason(op)

    def lower(self, op: Operator) -> list[Step]:
        units, inputs = op.inputs[1].shape
        rows = op.output.size // units
        multipliers, shift = requantisation(op)
        one_multiplier = len(np.unique(multipliers)) == 1
        params = {
            "weights": _dense_weights(op),
            "bias_shift": Blob("int32_t", 32 * folded_bias(op) - shift - 1),
            "multiplier": Blob("int32_t", multipliers[: 1 if one_multiplier else None]),
            "rows": rows,
            "inputs": inputs,
            "units": units,
            "multiplier_step": int(not one_multiplier),
            "output_zero_point": op.output.zero_point,
            **activation_fields(op),
        }
        pairs = (units + 1) // 2
        groups = -(-inputs // 4)
        blocks, single = divmod(pairs, PAIRS_AT_ONCE)
        instructions = 40 + blocks * (BLOCK_OF_THREE + groups * GROUP_OF_THREE)
        instructions += single * (BLOCK_OF_ONE + groups * GROUP_OF_ONE)
        return [
            Step(
                kernel="trecx_fully_connected_s8_bytepair",
                sources=("dsp/fully_connected_s8_bytepair.c",),
                header="fully_connected_s8_dsp.h",
                params_type="trecx_fully_connected_s8_bytepair_params",
                params=params,
                inputs=(op.inputs[0],),
                outputs=(op.output,),
                instructions=rows * instructions,
                scheme=self.scheme,
            )
        ]


def _range_reason(op: Operator) -> str | None:
    """Why a bias, shift or sum does not fit; None when all do."""
    _, shift = requantisation(op)
    if not 1 <= -shift.max() <= -shift.min() <= LARGEST_RIGHT_SHIFT:
        return f"right shifts from {-shift.max()} to {-shift.min()}; 1 to {LARGEST_RIGHT_SHIFT} fit"
    bias, (low, high) = folded_bias(op), dot_range(op)
    largest = int(max(-(low + bias).min(), (high + bias).max()))
    if largest >= ACCUMULATOR_LIMIT:
        return f"a sum can reach {largest}; the limit is {ACCUMULATOR_LIMIT}"
    return None


def _dense_weights(op: Operator) -> Blob:
    """For every three pairs [group][2][pair], then for each pair that is left [group][2]."""
    words = bytepair_words(op)
    words = words.reshape(len(words), -1)
    together = len(words) - len(words) % PAIRS_AT_ONCE
    blocks = words[:together].reshape(-1, PAIRS_AT_ONCE, words.shape[1]).transpose(0, 2, 1)
    return Blob("uint32_t", np.concatenate([blocks.reshape(-1), words[together:].reshape(-1)]))
